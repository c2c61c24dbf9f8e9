import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const UUID_BYTES = 16;
const pool = new Uint8Array(UUID_BYTES * 1_024);
let used = pool.length;

/** A UUIDv7. Randomness is drawn for a thousand at a time: asking the system for each few of them costs more than all the rest. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return v7({ random: pool.subarray(used, (used += UUID_BYTES)) });
}
