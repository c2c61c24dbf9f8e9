import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { taskUpdatedV1 } from '@ates/shared-events/task-events';
import { userAuthenticatedV1, userCreatedV1, userDeletedV1, userDeniedV1 } from '@ates/shared-events/user-events';
import fc from 'fast-check';
import { AT, assigned, carriedOver, closed, completed, created, entryTold, idOf, openModel, priced, told, type ModelFixture } from './model-fixture.ts';
import { modelOf, READ, type ReadModel } from './read-model.ts';

const ZONE = 'Pacific/Auckland';
const DAYS = ['2026-10-31', '2026-11-01', '2026-11-19', '2026-11-20', '2026-12-31', '2027-01-01', '2028-02-29', '1970-01-01', '9999-12-31'] as const;
const KINDS = ['FEE', 'FEE', 'REWARD', 'REVERSAL', 'PAYOUT'] as const;
const EMPLOYEES = 4;
const LANES = 3;
const RUNS = 60;

/** A number from 0 to below the count, by chance. */
type Choose = (count: number) => number;
const oneOf = <Value>(choose: Choose, values: readonly Value[]): Value => values[choose(values.length)]!;
const momentOf = (choose: Choose): Date => new Date(AT.getTime() + choose(3) * 1_000);

/** Streams of events, one per aggregate whose order counts; an entry, a price, a completion counts the same whenever it comes. */
function historyOf(choose: Choose): PublishedAtesEvent[][] {
  let entries = 0;
  const account = (): PublishedAtesEvent[] => {
    const kind = oneOf(choose, KINDS);
    const amount = (choose(4) + 1) * 10 * (kind === 'FEE' || kind === 'PAYOUT' ? -1 : 1);
    return [choose(8) === 0 ? carriedOver(choose(EMPLOYEES + 1), oneOf(choose, DAYS)) : entryTold((entries += 1), choose(EMPLOYEES), oneOf(choose, DAYS), { kind, amount, at: momentOf(choose) })];
  };
  const task = (number: number): PublishedAtesEvent[] => {
    const renamed = told(taskUpdatedV1, idOf(2, number), { ...(created(number).data as any), title: `Task ${number}, renamed`, assigneeId: null, updatedBy: idOf(5, 0), updatedAt: AT.toISOString() });
    return [
      created(number),
      ...Array.from({ length: choose(3) }, (_, index) => assigned(number, oneOf(choose, DAYS), index + 1)),
      ...(choose(2) === 0 ? [completed(number, oneOf(choose, DAYS), momentOf(choose))] : []),
      ...(choose(3) === 0 ? [renamed] : []),
    ];
  };
  const person = (number: number): PublishedAtesEvent[] => {
    const state = (name: string, status: 'ACTIVE' | 'DELETED') => ({ version: 1, name, email: 'ann@ates.test', roles: ['EMPLOYEE' as const], status });
    return [told(userCreatedV1, idOf(5, number), state(`Ann ${number}`, 'ACTIVE')), ...(choose(3) === 0 ? [told(userDeletedV1, idOf(5, number), state('deleted', 'DELETED'))] : [])];
  };
  const attempt = (number: number): PublishedAtesEvent[] => {
    const of = { version: 1, method: 'PASSWORD' as const, attemptedAt: new Date(AT.getTime() + choose(4) * 3_600_000).toISOString(), userId: idOf(5, 0) };
    return [choose(2) === 0 ? told(userAuthenticatedV1, idOf(7, number), of) : told(userDeniedV1, idOf(7, number), { ...of, reason: 'WRONG_CREDENTIAL' })];
  };
  const many = (count: number, make: (number: number) => PublishedAtesEvent[]) => Array.from({ length: choose(count) }, (_, number) => make(number));
  const prices = many(6, (number) => [priced(number, 2_000 + choose(2) * 100)]);
  return [...many(25, account), ...many(6, task), ...prices, ...many(3, person), ...many(5, attempt), ...many(3, (number) => [closed(DAYS[number]!, { companyEarnings: 10 * number })])];
}

/** Deals streams out to lanes, each with the order of its streams kept and the rest mixed; some events come twice, wherever. */
function dealt(choose: Choose, streams: readonly PublishedAtesEvent[][]): PublishedAtesEvent[][] {
  const lanes = Array.from({ length: LANES }, (): PublishedAtesEvent[][] => []);
  for (const stream of streams) {
    oneOf(choose, lanes).push([...stream]);
    const repeatable = stream.filter(({ dataschema }) => /^(account\.|task\.(priced|completed)|day\.)/.test(dataschema));
    if (repeatable.length > 0 && choose(4) === 0) oneOf(choose, lanes).push([oneOf(choose, repeatable)]);
  }
  return lanes.map((waiting) => {
    const lane: PublishedAtesEvent[] = [];
    while (waiting.length > 0) {
      const place = choose(waiting.length);
      lane.push(waiting[place]!.shift()!);
      if (waiting[place]!.length === 0) waiting.splice(place, 1);
    }
    return lane;
  });
}

function cut(choose: Choose, lane: readonly PublishedAtesEvent[]): PublishedAtesEvent[][] {
  const batches: PublishedAtesEvent[][] = [];
  for (let from = 0; from < lane.length; ) {
    const size = 1 + choose(12);
    batches.push(lane.slice(from, from + size));
    from += size;
  }
  return batches;
}

describe('the read model', () => {
  let model: ModelFixture;
  beforeAll(async () => {
    model = await openModel(ZONE);
  });
  afterAll(() => model?.close());

  const readAll = async (): Promise<ReadModel> => Object.fromEntries(await Promise.all(Object.entries(READ).map(async ([table, text]) => [table, await model.rows(text)] as const)));
  const inTurn = async (batches: readonly PublishedAtesEvent[][]): Promise<void> => {
    for (const batch of batches) await model.react(batch);
  };

  test('comes to the same whatever the order of streams, the batches, what is told twice and who is at work at once: to what the list of events says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (generate) => {
        const choose: Choose = (count) => generate(fc.nat, { max: count - 1 });
        const streams = historyOf(choose);
        const lanes = dealt(choose, streams).map((lane) => cut(choose, lane));
        await model.clear();
        // Each to its end, lest what is left of a failed run is in the next one.
        const ends = await Promise.allSettled(lanes.map(inTurn));
        expect(ends.flatMap((end) => (end.status === 'rejected' ? [`${end.reason.message} ${end.reason.detail} ${end.reason.where}`] : []))).toEqual([]);
        expect(await readAll()).toEqual(modelOf(streams.flat(), ZONE));
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: 20_000 },
    );
  });

  test('is the same from one batch as from batches of one', async () => {
    const seeds = fc.sample(fc.array(fc.nat(), { minLength: 400, maxLength: 400 }), { numRuns: 1, seed: 17 })[0]!;
    let place = 0;
    const events = historyOf((count) => seeds[place++ % seeds.length]! % count).flat();
    await model.clear();
    await model.react(events);
    const atOnce = await readAll();
    await model.clear();
    await inTurn(events.map((event) => [event]));
    expect(await readAll()).toEqual(atOnce);
    expect(atOnce).toEqual(modelOf(events, ZONE));
  });
});

describe('a day', () => {
  let model: ModelFixture;
  beforeAll(async () => {
    model = await openModel();
  });
  afterAll(() => model?.close());

  test('to which an entry comes late changes the closings and the red days after it, and no more', async () => {
    await model.clear();
    await model.react([entryTold(1, 1, '2026-11-01', { amount: -10 }), entryTold(2, 1, '2026-11-03', { amount: -5 }), entryTold(3, 1, '2026-11-05', { amount: 40, kind: 'REWARD' })]);
    expect(await model.react([entryTold(4, 1, '2026-11-02', { amount: 12, kind: 'REWARD' })])).toEqual(['2026-11-02', '2026-11-03']);
    expect(await model.rows('select day::text, closing::int from employee_days order by day')).toEqual([
      { day: '2026-11-01', closing: -10 },
      { day: '2026-11-02', closing: 2 },
      { day: '2026-11-03', closing: -3 },
      { day: '2026-11-05', closing: 37 },
    ]);
    expect(await model.rows('select day::text, red_change from day_totals order by day')).toEqual([
      { day: '2026-11-01', red_change: 1 },
      { day: '2026-11-02', red_change: -1 },
      { day: '2026-11-03', red_change: 1 },
      { day: '2026-11-05', red_change: -1 },
    ]);
  });

  test('is not named as changed by what is told twice', async () => {
    await model.clear();
    const events = [entryTold(1, 1, '2026-11-01', { amount: -10 }), priced(1, 3_000), completed(1, '2026-11-02')];
    expect(await model.react(events)).toEqual(['2026-11-01', '2026-11-02']);
    expect(await model.react(events)).toEqual([]);
  });

  test('has the one completed first of equally expensive tasks, and of these the one of the lower id, whichever is told first', async () => {
    const later = new Date(AT.getTime() + 1);
    const done = [completed(1, '2026-11-20', later), completed(2, '2026-11-21'), completed(3, '2026-11-20'), completed(4, '2026-11-20')];
    for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 0, 2]]) {
      await model.clear();
      await model.react([1, 2, 3, 4].map((number) => priced(number, 3_000)));
      for (const index of order) await model.react([done[index]!]);
      expect(await model.rows('select day::text, task_id as task from day_tops order by day')).toEqual([{ day: '2026-11-20', task: idOf(2, 3) }, { day: '2026-11-21', task: idOf(2, 2) }]);
      expect(await model.rows('select month::text, task_id as task from month_tops')).toEqual([{ month: '2026-11-01', task: idOf(2, 2) }]);
    }
  });

  test('has its most expensive task also when price and completion are told in the same moment', async () => {
    await model.clear();
    const numbers = Array.from({ length: 200 }, (_, number) => number);
    for (let from = 0; from < numbers.length; from += 10) {
      const some = numbers.slice(from, from + 10);
      await Promise.all([model.react(some.map((number) => priced(number, 2_000 + number))), model.react(some.map((number) => completed(number, `2026-11-${String(1 + (from / 10) % 28).padStart(2, '0')}`)))]);
    }
    const tops = await model.rows<{ reward: number }>('select reward::int from day_tops order by day');
    expect(tops.map(({ reward }) => reward)).toEqual(Array.from({ length: 20 }, (_, index) => 2_009 + index * 10));
  });
});
