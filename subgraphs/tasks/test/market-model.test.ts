import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyAction, anyBatch, chance, narrowBatch, newWorld } from './market-actions.ts';
import { openMarketDatabase, type MarketDatabase } from './market-database.ts';
import { checkInvariants, storedMarket } from './market-invariants.ts';
import { Happening, Market } from './market-model.ts';

const RUNS = 30;
const SEED = 20_261_121;
const ASKED_RUNS = process.env['MARKET_RUNS'];
/** Always the same runs; who asks for some number of runs gets others each time. */
const PARAMETERS = { unbiased: true, ...(ASKED_RUNS === undefined ? { numRuns: RUNS, seed: SEED } : { numRuns: Number(ASKED_RUNS) }) };
const TIMEOUT_MS = 60_000 + 2_000 * PARAMETERS.numRuns;
/** How far the clock of a replica is off at most. */
const SKEW_MAX_MS = 3_000;

/** At once, on replicas whose clocks differ. */
const batch = fc
  .oneof(anyBatch, { arbitrary: narrowBatch, weight: 2 })
  .chain((actions) => fc.tuple(...actions.map((action) => fc.integer({ min: -SKEW_MAX_MS, max: SKEW_MAX_MS }).map((skewMs) => new Happening(action, skewMs)))));

describe('the market', () => {
  let market: MarketDatabase;
  beforeAll(async () => {
    market = await openMarketDatabase();
  });
  afterAll(() => market?.close());

  test('does what its model does, whatever happens one after the other', async () => {
    const happenings = fc.commands([anyAction.map((action) => new Happening(action))], { maxCommands: 100, size: 'max' });
    await fc.assert(
      fc.asyncProperty(happenings, fc.nat(), async (happens, seed) => {
        await market.clear();
        const real = newWorld(market.database, chance(seed));
        const model = new Market(real.now, chance(seed));
        await fc.asyncModelRun(() => ({ model, real }), happens);
        expect(await storedMarket(market.database)).toEqual(model.records());
        await checkInvariants(market.database);
      }),
      PARAMETERS,
    );
  }, TIMEOUT_MS);

  test('keeps its rules, whatever happens at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 20, size: 'max' }), fc.nat(), async (batches, seed) => {
        await market.clear();
        const world = newWorld(market.database, chance(seed));
        for (const atOnce of batches) {
          const { tasks } = await storedMarket(market.database);
          const ends = await Promise.allSettled(atOnce.map((happening) => happening.happen(world, tasks)));
          const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as Error] : []));
          const [failure] = failures.length > 0 ? failures : await checkInvariants(market.database).then(() => [], (error: Error) => [error]);
          if (failure !== undefined) throw new Error(`After this happened at once: ${atOnce.join(', ')}`, { cause: failure });
        }
      }),
      // A race that was lost once is not lost again each time: to make the example smaller is a matter of luck.
      { ...PARAMETERS, numRuns: 1.5 * PARAMETERS.numRuns, endOnFailure: true },
    );
  }, TIMEOUT_MS);
});
