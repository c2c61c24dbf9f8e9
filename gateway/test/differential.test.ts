import { describe, expect, test } from '@jest/globals';
import { createCases } from '../../simulation/differential/cases.ts';
import { addToTally, createTally, describeFailure, describeTally, isFailure } from '../../simulation/differential/report.ts';
import { compileOperation } from '../src/execution/compile-operation.ts';

const SEED = 20_261_122;
const CASES = 2_000;
/** So that each kind of plan, fault and rule is there, and the same as Apollo's is the usual. */
const SAME_LEAST = 1_000;

describe('the executor, beside Apollo’s', () => {
  test(`answers ${CASES} drawn operations on drawn supergraphs as the specification asks, and unlike Apollo’s only for a known reason`, async () => {
    const caseOf = createCases(SEED, compileOperation, { operationsOfASupergraph: 6, answersOfAnOperation: 40 });
    const tally = createTally();
    const failures: string[] = [];
    for (let number = 0; number < CASES; number += 1) {
      const checked = await caseOf(number);
      addToTally(tally, checked);
      if (isFailure(checked)) failures.push(describeFailure(checked, SEED));
    }
    expect(failures).toEqual([]);
    expect(tally.same).toBeGreaterThan(SAME_LEAST);
    expect(describeTally(tally)).toMatch(/plan: Condition[^]*plan: Fetch of entities[^]*plan: input rewrite/);
  }, 60_000);

  test('it is noticed when the executor answers wrongly', async () => {
    const caseOf = createCases(SEED, (...parts) => {
      const compiled = compileOperation(...parts);
      return { ...compiled, execute: async (execution) => ({ ...(await compiled.execute(execution)), errors: [] }) };
    });
    let noticed = 0;
    for (let number = 0; number < 100; number += 1) if (isFailure(await caseOf(number))) noticed += 1;
    expect(noticed).toBeGreaterThan(10);
  }, 60_000);
});
