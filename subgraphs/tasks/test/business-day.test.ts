import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../../scripts/test-service.ts';
import { endEarly, endElapsedDays, extendRegister, stampBusinessDay } from '../src/business-day.ts';
import { shuffleTasks } from '../src/shuffle.ts';
import { completeTask, createTask } from '../src/task-commands.ts';
import { deleteTask } from '../src/task-edits.ts';
import { openMarketDatabase, type MarketDatabase } from './market-database.ts';

const ANN = '01a1f8f1-0000-7000-8000-000000000001';
const HOUR_MS = 3_600_000;
const at = (moment: string): Date => new Date(moment);

describe('the business day', () => {
  let market: MarketDatabase;
  let database: MarketDatabase['database'];
  beforeAll(async () => {
    market = await openMarketDatabase();
    ({ database } = market);
  });
  afterEach(() => market.clear());
  afterAll(() => market?.close());

  const stamp = (moment: string, timeZone = 'UTC') => database.transaction((_em, sql) => stampBusinessDay(sql, timeZone, at(moment)));
  const end = (moment: string, timeZone = 'UTC') => endElapsedDays(database, timeZone, () => at(moment));
  const days = () => database.sql<{ day: string; starts_at: Date; ends_at: Date; ended: boolean }>('select day::text, starts_at, ends_at, ended_at is not null as ended from business_days order by day');
  const markers = async () => (await database.sql<{ data: any }>(`select data from outbox where type = 'tasks.day_ended' order by seq`)).map(({ data }) => data);

  test.each([
    ['UTC', '2026-11-20T23:59:59Z', '2026-11-20'],
    ['Pacific/Auckland', '2026-11-20T23:59:59Z', '2026-11-21'],
    ['America/New_York', '2026-11-20T03:00:00Z', '2026-11-19'],
  ])('is the calendar date in the business time zone: %s', async (timeZone, moment, day) => {
    expect(await stamp(moment, timeZone)).toBe(day);
  });

  test('that is over is ended once, with a marker that counts what it holds', async () => {
    await market.employees(ANN);
    const options = { database, timeZone: 'UTC', clock: () => at('2026-11-20T12:00:00Z'), random: () => 0 };
    const first = await createTask(options, ANN, { title: 'One', description: '' });
    const second = await createTask(options, ANN, { title: 'Two', description: '' });
    await shuffleTasks(options, ANN);
    await completeTask(options, ANN, first.id);
    await deleteTask(options, ANN, second.id);
    expect(await end('2026-11-20T23:59:59Z')).toEqual([]);
    const ended = await Promise.all(Array.from({ length: 10 }, () => end('2026-11-21T00:00:00Z')));
    expect(ended.flat()).toEqual(['2026-11-20']);
    expect(await markers()).toEqual([{ version: 1, businessDay: '2026-11-20', endedAt: '2026-11-21T00:00:00.000Z', lastTaskNumber: second.number, assignments: 4, completions: 1, deletions: 1 }]);
  });

  test('that no number was given on tells the last number before it', async () => {
    const task = await createTask({ database, timeZone: 'UTC', clock: () => at('2026-11-20T12:00:00Z'), random: () => 0 }, ANN, { title: 'One', description: '' });
    await end('2026-11-22T00:00:00Z');
    expect((await markers()).map(({ businessDay, lastTaskNumber, assignments }) => ({ businessDay, lastTaskNumber, assignments }))).toEqual([
      { businessDay: '2026-11-20', lastTaskNumber: task.number, assignments: 0 },
      { businessDay: '2026-11-21', lastTaskNumber: task.number, assignments: 0 },
    ]);
  });

  test('ends early when it is asked to, and gives way to the earliest day still open', async () => {
    await stamp('2026-11-20T12:00:00Z');
    expect(await endEarly(database.sql, '2026-11-20', 'UTC', at('2026-11-20T12:30:00Z'))).toBe(true);
    expect(await stamp('2026-11-20T12:30:00Z')).toBe('2026-11-21');
    expect(await end('2026-11-20T12:30:00Z')).toEqual(['2026-11-20']);
    expect(await stamp('2026-11-20T13:00:00Z')).toBe('2026-11-21');
    expect(await end('2026-11-21T00:00:00Z')).toEqual([]);
    expect(await end('2026-11-22T00:00:00Z')).toEqual(['2026-11-21']);
  });

  test('ends early once, and never before it has begun', async () => {
    await stamp('2026-11-20T12:00:00Z');
    const now = at('2026-11-20T12:30:00Z');
    expect(await endEarly(database.sql, '2026-11-21', 'UTC', now)).toBe(false);
    expect(await endEarly(database.sql, '2026-11-20', 'UTC', now)).toBe(true);
    await end('2026-11-20T12:30:00Z');
    expect(await endEarly(database.sql, '2026-11-20', 'UTC', now)).toBe(false);
    expect(await markers()).toHaveLength(1);
  });

  test('that is being ended waits for what was begun on it; what begins after midnight waits for nothing', async () => {
    await stamp('2026-11-20T12:00:00Z');
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: passed, resolve: passes } = Promise.withResolvers<void>();
    const late = database.transaction(async (_em, sql) => {
      expect(await stampBusinessDay(sql, 'UTC', at('2026-11-20T23:59:59Z'))).toBe('2026-11-20');
      passes();
      await released;
    });
    await passed;
    const ended = end('2026-11-21T00:00:00Z');
    await eventually(async () => (await database.sql('select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()')).length === 1);
    expect(await stamp('2026-11-21T00:00:00Z')).toBe('2026-11-21');
    expect(await markers()).toEqual([]);
    release();
    await late;
    expect(await ended).toEqual(['2026-11-20']);
  });

  test('ends one by one, in order, after the service was down for several: each has its marker, also when nothing happened', async () => {
    await stamp('2026-11-10T12:00:00Z');
    const missed = Array.from({ length: 10 }, (_, index) => `2026-11-${index + 10}`);
    expect(await end('2026-11-20T00:30:00Z')).toEqual(missed);
    expect((await markers()).map(({ businessDay }) => businessDay)).toEqual(missed);
  });

  test.each([
    ['America/Santiago', '2026-09-05T12:00:00Z', '2026-09-06', 23],
    ['America/Santiago', '2027-04-02T12:00:00Z', '2027-04-03', 25],
    ['Asia/Beirut', '2026-03-28T12:00:00Z', '2026-03-29', 23],
    ['Asia/Beirut', '2026-10-23T12:00:00Z', '2026-10-24', 25],
    ['Africa/Cairo', '2026-04-23T12:00:00Z', '2026-04-24', 23],
    ['Africa/Cairo', '2026-10-28T12:00:00Z', '2026-10-29', 25],
    ['America/Havana', '2026-10-31T12:00:00Z', '2026-11-01', 25],
  ])('in %s is as long as daylight saving makes it, begins where the day before ends, and is what the calendar says all through (%s)', async (timeZone, moment, moved, hours) => {
    await extendRegister(database.sql, timeZone, at(moment));
    const register = await days();
    for (const [index, { starts_at: startsAt }] of register.entries()) if (index > 0) expect(startsAt).toEqual(register[index - 1]?.ends_at);
    const change = register.find(({ day }) => day === moved);
    if (change === undefined) throw new Error(`${moved} is not in the register`);
    expect((change.ends_at.getTime() - change.starts_at.getTime()) / HOUR_MS).toBe(hours);
    const calendar = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
    for (let now = change.starts_at.getTime() - 2 * HOUR_MS; now < change.ends_at.getTime() + 2 * HOUR_MS; now += HOUR_MS / 4) {
      expect(await stamp(new Date(now).toISOString(), timeZone)).toBe(calendar.format(now));
    }
  });

  test('that no calendar of the zone has is passed over: nothing is stamped with it, it has no marker', async () => {
    const timeZone = 'Pacific/Apia';
    await extendRegister(database.sql, timeZone, at('2011-12-29T22:00:00Z'));
    expect((await days()).map(({ day }) => day)).toEqual(['2011-12-29', '2011-12-31']);
    expect(await stamp('2011-12-30T09:59:59Z', timeZone)).toBe('2011-12-29');
    expect(await stamp('2011-12-30T10:00:00Z', timeZone)).toBe('2011-12-31');
    expect(await end('2012-01-02T08:00:00Z', timeZone)).toEqual(['2011-12-29', '2011-12-31', '2012-01-01']);
  });

  test('has nothing stamped with it after its marker, whatever was in flight at midnight', async () => {
    const before = at('2026-11-20T23:59:59.999Z');
    await stamp(before.toISOString());
    let stamped = 0;
    let goOn = true;
    const stampers = Array.from({ length: 6 }, async (_, stamper) => {
      const options = { database, timeZone: 'UTC', clock: () => before, random: () => 0 };
      while (goOn) {
        await createTask(options, ANN, { title: `Task of ${stamper}`, description: '' });
        stamped += 1;
      }
    });
    await market.employees(ANN);
    const ender = (async () => {
      while (stamped < 60) await new Promise((resolve) => setTimeout(resolve, 5));
      await end('2026-11-21T00:00:00Z');
      const then = stamped;
      while (stamped < then + 60) await new Promise((resolve) => setTimeout(resolve, 5));
      goOn = false;
    })();
    await Promise.all([...stampers, ender]);
    const events = await database.sql<{ type: string; day: string }>(`select type, data ->> 'businessDay' as day from outbox where type in ('task.assigned', 'tasks.day_ended') order by seq`);
    const marker = events.findIndex(({ type }) => type === 'tasks.day_ended');
    expect(marker).toBeGreaterThan(0);
    expect(events.slice(0, marker).every(({ day }) => day === '2026-11-20')).toBe(true);
    expect(events.slice(marker + 1).every(({ day }) => day === '2026-11-21')).toBe(true);
    expect((await markers())[0]).toMatchObject({ assignments: marker });
  });
});
