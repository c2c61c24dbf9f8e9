import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createMetrics } from '@ates/service-kit/metrics';
import { registerReconciliation, startAnalyticsRobot } from '../src/analytics-robot.ts';
import { readDays } from '../src/day-stats.ts';
import { compareWithClosings, unreconciledDays } from '../src/reconciliation.ts';
import { assigned, closed, completed, entryTold, openModel, type ModelFixture } from './model-fixture.ts';

const DAY = '2026-11-20';
const CLOSED_AT = new Date('2026-11-21T00:00:05.000Z');
const after = (seconds: number): Date => new Date(CLOSED_AT.getTime() + seconds * 1_000);

describe('a closed day', () => {
  let model: ModelFixture;
  beforeAll(async () => {
    model = await openModel();
  });
  beforeEach(() => model.clear());
  afterAll(() => model?.close());

  /** As the API says it. */
  const isReconciled = async () => (await readDays(model.database.sql, [DAY]))[0]?.reconciled;

  const work = [
    assigned(1, DAY),
    completed(1, DAY),
    entryTold(1, 1, DAY, { amount: -1_500 }),
    entryTold(2, 2, DAY, { amount: 3_000, kind: 'REWARD' }),
    entryTold(3, 2, DAY, { amount: -3_000, kind: 'PAYOUT' }),
  ];
  const closing = closed(DAY, { companyEarnings: -1_500, paidOut: 3_000, paidEmployees: 1, employeesInTheRed: 1, assignments: 1, completions: 1 }, CLOSED_AT);

  test('is reconciled when its figures are those of Accounting', async () => {
    await model.react(work);
    expect(await isReconciled()).toBe(false);
    await model.react([closing]);
    expect(await isReconciled()).toBe(true);
    expect((await compareWithClosings(model.database.sql, DAY, DAY))[0]?.ours).toEqual({ companyEarnings: -1_500, paidOut: 3_000, paidEmployees: 1, employeesInTheRed: 1, assignments: 1, completions: 1 });
  });

  test.each(['companyEarnings', 'paidOut', 'paidEmployees', 'employeesInTheRed', 'assignments', 'completions'] as const)('is not when %s is another one', async (figure) => {
    await model.react([...work, { ...closing, data: { ...closing.data, [figure]: 7 } } as typeof closing]);
    expect(await isReconciled()).toBe(false);
  });

  test('counts as in the red whoever was left so by earlier months', async () => {
    await model.react([entryTold(1, 1, '2026-09-01', { amount: -10 }), entryTold(2, 2, '2026-11-01', { amount: -10 }), entryTold(3, 2, '2026-11-21', { amount: 20 }), closed(DAY, { employeesInTheRed: 2 })]);
    expect(await isReconciled()).toBe(true);
  });

  test('differs when its figures still do after two minutes; before that they may be on their way', async () => {
    await model.react([closing]);
    expect(await unreconciledDays(model.database.sql, after(119))).toEqual([]);
    expect(await unreconciledDays(model.database.sql, after(121))).toEqual([expect.objectContaining({ day: DAY })]);
    await model.react(work);
    expect(await unreconciledDays(model.database.sql, after(121))).toEqual([]);
  });

  test('is not looked at any more after 400 days', async () => {
    await model.react([closing]);
    expect(await unreconciledDays(model.database.sql, after(399 * 86_400))).toHaveLength(1);
    expect(await unreconciledDays(model.database.sql, after(402 * 86_400))).toEqual([]);
  });

  test('that differs is told by the robot, once per look, with both figures and what mends it, and counted', async () => {
    await model.react([closing]);
    const errors: { facts: any; message: string }[] = [];
    const logger = { error: (facts: object, message: string) => void errors.push({ facts, message }) } as never;
    const robot = startAnalyticsRobot({ database: model.database, clock: () => after(300), logger });
    const metrics = createMetrics('analytics');
    registerReconciliation(metrics, robot);
    await robot.look();
    expect(errors.length).toBeGreaterThanOrEqual(2);
    expect(errors.at(-1)).toEqual({ facts: { days: [{ day: DAY, theirs: expect.objectContaining({ paidOut: 3_000 }), ours: expect.objectContaining({ paidOut: 0 }) }] }, message: expect.stringContaining('npm run rebuild -- analytics') });
    expect(await metrics.metrics()).toContain('ates_unreconciled_days{service="analytics"} 1');
    await model.react(work);
    const told = errors.length;
    await robot.look();
    expect(errors).toHaveLength(told);
    expect(robot.facts()).toEqual({ unreconciledDays: 0 });
    await robot.stop();
  });
});
