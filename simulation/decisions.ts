import fc from 'fast-check';
import type { Decisions } from './simulation.ts';

const WORLD_BYTES_MAX = 100;
const FAULT_BYTES_MAX = 400;

/** Decisions that fast-check draws from a seed, and makes fewer of when a run fails. */
export const decisions: fc.Arbitrary<Decisions> = fc.record({
  world: fc.uint8Array({ minLength: 20, maxLength: WORLD_BYTES_MAX, size: 'max' }),
  faults: fc.uint8Array({ maxLength: FAULT_BYTES_MAX, size: 'max' }),
});
