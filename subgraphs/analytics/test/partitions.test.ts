import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import { startAnalyticsRobot } from '../src/analytics-robot.ts';
import { ensurePartitions, monthsFrom } from '../src/partitions.ts';
import { completed, entryTold, openModel, type ModelFixture } from './model-fixture.ts';

describe('partitions', () => {
  let model: ModelFixture;
  beforeAll(async () => {
    model = await openModel();
  });
  beforeEach(() => model.clear());
  afterAll(() => model?.close());

  const partitionsOf = async (table: string) =>
    (await model.rows<{ name: string }>('select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1', [table])).map(({ name }) => name);
  const placeOf = async (day: string) => (await model.rows<{ place: string }>('select tableoid::regclass::text as place from audit_entries where day = $1 order by 1', [day])).map(({ place }) => place);

  test.each([
    ['the last day of a year', '2026-12-31', 'audit_entries_2026_12'],
    ['the first day of a year', '2027-01-01', 'audit_entries_2027_01'],
    ['the last day of a month', '2026-04-30', 'audit_entries_2026_04'],
    ['a leap day', '2028-02-29', 'audit_entries_2028_02'],
    ['a day before all that was there', '2019-07-01', 'audit_entries_2019_07'],
  ])('a fact of %s is in the partition of its month, which is made for it', async (_, day, partition) => {
    await model.react([entryTold(1, 1, day, { amount: -10 }), completed(1, day)]);
    expect(await placeOf(day)).toEqual([partition]);
    expect(await model.rows('select tableoid::regclass::text as place from completions')).toEqual([{ place: partition.replace('audit_entries', 'completions') }]);
  });

  test('facts of absurd days are kept in the default partition, and no partition is made for them', async () => {
    const before = await partitionsOf('audit_entries');
    await model.react(['1970-01-01', '9999-12-31', '2126-11-20'].map((day, index) => entryTold(index, 1, day, { amount: -10 })));
    expect(await partitionsOf('audit_entries')).toEqual(before);
    expect(await model.rows('select count(*)::int as count from audit_entries_others')).toEqual([{ count: 3 }]);
    expect(await model.rows('select closing::int from employee_days order by day')).toEqual([{ closing: -10 }, { closing: -20 }, { closing: -30 }]);
  });

  test('a month that the default partition has facts of stays there', async () => {
    await model.asOwner('drop table if exists audit_entries_2027_05');
    await model.react([entryTold(1, 1, '2126-11-20', { amount: -10 })]);
    await model.asOwner("update audit_entries set day = '2027-05-03'");
    await model.react([entryTold(2, 1, '2027-05-04', { amount: -10 })]);
    expect(await placeOf('2027-05-03')).toEqual(['audit_entries_others']);
    expect(await placeOf('2027-05-04')).toEqual(['audit_entries_others']);
  });

  test('many who need a partition at once make it once, and none fails', async () => {
    for (const year of [2021, 2022]) {
      const days = Array.from({ length: 12 }, (_, month) => `${year}-${String(month + 1).padStart(2, '0')}-10`);
      await Promise.all(Array.from({ length: 6 }, (_, lane) => model.react((lane % 2 === 0 ? days : [...days].reverse()).map((day, index) => entryTold(year * 1_000 + lane * 20 + index, lane, day, { amount: -10 })))));
    }
    expect(await model.rows('select count(*)::int as count from audit_entries')).toEqual([{ count: 144 }]);
    expect(await model.rows('select count(*)::int as count from audit_entries_others')).toEqual([{ count: 0 }]);
  });

  test('a partition goes with the transaction that made it, and the next fact makes it again', async () => {
    await expect(
      model.database.sqlTransaction(async (sql) => {
        await ensurePartitions(sql, ['2020-02-29']);
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await partitionsOf('audit_entries')).not.toContain('audit_entries_2020_02');
    await model.react([entryTold(1, 1, '2020-02-29', { amount: -10 })]);
    expect(await placeOf('2020-02-29')).toEqual(['audit_entries_2020_02']);
  });

  test('a month that is put away leaves all that dashboards read as it was', async () => {
    const rollups = () => Promise.all(['employees', 'employee_days', 'day_totals', 'month_totals', 'day_tops', 'month_tops'].map((table) => model.rows(`select * from ${table} order by 1, 2`)));
    await model.react([entryTold(1, 1, '2023-01-10', { amount: -10 }), entryTold(2, 1, '2023-02-10', { amount: 30, kind: 'REWARD' })]);
    const before = await rollups();
    await model.asOwner('alter table audit_entries detach partition audit_entries_2023_01');
    expect(await rollups()).toEqual(before);
    await model.react([entryTold(3, 1, '2023-01-11', { amount: -5 })]);
    expect(await model.rows('select day::text, closing::int from employee_days order by day')).toEqual([
      { day: '2023-01-10', closing: -10 },
      { day: '2023-01-11', closing: -15 },
      { day: '2023-02-10', closing: 15 },
    ]);
    expect(await placeOf('2023-01-11')).toEqual(['audit_entries_others']);
  });

  test('the next months have theirs before anything happens in them', async () => {
    const now = new Date('2027-11-30T23:30:00Z');
    const robot = startAnalyticsRobot({ database: model.database, clock: () => now, logger: createLogger('analytics', 'fatal') });
    await robot.look();
    await robot.stop();
    expect(await partitionsOf('audit_entries')).toEqual(expect.arrayContaining(['audit_entries_2027_11', 'audit_entries_2027_12', 'audit_entries_2028_01', 'audit_entries_2028_02']));
    expect(await partitionsOf('completions')).toEqual(expect.arrayContaining(['completions_2027_11', 'completions_2028_02']));
  });

  test('months are counted over the end of a year', () => {
    expect(monthsFrom(new Date('2026-11-30T23:30:00Z'), 4)).toEqual(['2026-11-01', '2026-12-01', '2027-01-01', '2027-02-01']);
  });
});
