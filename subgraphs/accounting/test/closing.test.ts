import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { assertContract } from '@ates/shared-events/event';
import { definitionOf } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newId } from '@ates/shared-events/new-id';
import { closeByHand } from '../src/close-command.ts';
import { lookAtDays, type CloseRobotOptions } from '../src/close-robot.ts';
import { closeDay } from '../src/closing.ts';
import { feeFor } from '../src/ledger.ts';
import { lockAccounts, post } from '../src/posting.ts';
import { reactToTasks } from '../src/reactions.ts';
import { dyingAfter } from './dying-database.ts';
import { FEE, openLedger, REWARD, type LedgerFixture } from './ledger-fixture.ts';

const [MONDAY, TUESDAY, WEDNESDAY, THURSDAY] = ['2026-11-16', '2026-11-17', '2026-11-18', '2026-11-19'] as const;
const EARNED = REWARD - FEE;
const ALARM_AFTER_MS = 600_000;

describe('The close of a business day', () => {
  let ledger: LedgerFixture;
  beforeEach(async () => {
    ledger = await openLedger();
    ledger.now = new Date(`${TUESDAY}T00:01:00Z`);
  });
  afterEach(() => ledger?.close());

  const options = (database: Database = ledger.database): CloseRobotOptions => ({
    database,
    timeZone: 'UTC',
    clock: ledger.clock,
    logger: createLogger('accounting', 'silent'),
    alarmAfterMs: ALARM_AFTER_MS,
    onClosed: () => Promise.resolve(),
  });
  const look = async (database?: Database): Promise<number> => {
    const facts = { closed: 0, overdueSeconds: 0 };
    await lookAtDays(options(database), facts);
    return facts.closed;
  };
  const closingsOf = () => ledger.rows('select day::text, closed_at is not null as closed, company_earnings::int, paid_out::int, paid_employees, carried_over::int, employees_in_the_red from day_closings order by day_closings.day');
  const eventsOf = (type: string) => ledger.rows<{ aggregate_id: string; version: number; data: any; dataschema: string }>('select aggregate_id, version, data, dataschema from outbox where type = $1 order by seq', [type]);
  const payouts = () => ledger.rows<{ day: string; amount: number; owner_id: string }>(`select business_day::text as day, amount::int, owner_id from postings join accounts on accounts.id = from_account where postings.kind = 'PAYOUT' order by business_day, owner_id`);
  const lastRun = async () => (await ledger.rows('select day::text, outcome, message, runs from scheduled_runs order by last_at desc, id desc limit 1'))[0];
  const expectBalancedLedger = async (): Promise<void> => expect(await ledger.imbalance()).toEqual({ entries: 0, balances: 0, accountsOff: 0 });

  test('pays the whole of every positive balance and carries the others over', async () => {
    const [ann, bob, cleo] = [await ledger.hire(), await ledger.hire('Bob'), await ledger.hire('Cleo')];
    for (const done of [true, true]) await ledger.work(ann, MONDAY, done);
    await ledger.work(bob, MONDAY);
    await ledger.end(MONDAY);
    expect(await look()).toBe(1);
    expect(await Promise.all([ann, bob, cleo].map(ledger.balanceOf))).toEqual([0, -FEE, 0]);
    expect(await payouts()).toEqual([{ day: MONDAY, amount: 2 * EARNED, owner_id: ann }]);
    expect(await closingsOf()).toEqual([
      { day: MONDAY, closed: true, company_earnings: 3 * FEE - 2 * REWARD, paid_out: 2 * EARNED, paid_employees: 1, carried_over: -FEE, employees_in_the_red: 1 },
    ]);
    await expectBalancedLedger();
  });

  test('is told: who was paid, who was carried over, the day’s totals, what the next day opens with', async () => {
    const [ann, bob, cleo] = [await ledger.hire(), await ledger.hire('Bob'), await ledger.hire('Cleo')];
    await ledger.work(ann, MONDAY, true);
    await ledger.work(bob, MONDAY);
    await ledger.end(MONDAY);
    await look();
    const [paid] = await eventsOf('account.paid');
    expect(paid?.data).toMatchObject({ ownerId: ann, entry: { kind: 'PAYOUT', amount: -EARNED, balanceAfter: 0, businessDay: MONDAY, description: `Payout of the balance of ${MONDAY}` } });
    expect((await eventsOf('account.balance_changed')).filter(({ aggregate_id }) => aggregate_id === paid?.aggregate_id).at(-1)).toMatchObject({ version: (paid?.version ?? 0) + 1, data: { balance: 0 } });
    expect(new Map((await eventsOf('account.carried_over')).map(({ data }) => [data.ownerId, data.balance]))).toEqual(new Map<unknown, unknown>([[bob, -FEE], [cleo, 0]]));
    const [closed] = await eventsOf('day.closed');
    expect(closed?.data).toMatchObject({ businessDay: MONDAY, assignments: 2, completions: 1, companyEarnings: 2 * FEE - REWARD, paidOut: EARNED, paidEmployees: 1, carriedOver: -FEE, employeesInTheRed: 1 });
    expect((await eventsOf('day.opened')).map(({ data }) => data)).toEqual([expect.objectContaining({ businessDay: TUESDAY, part: 1, parts: 1, balances: [expect.objectContaining({ ownerId: bob, balance: -FEE })] })]);
    for (const { dataschema, data } of await ledger.rows('select dataschema, data from outbox')) expect(() => assertContract(definitionOf(dataschema), data)).not.toThrow();
  });

  test('leaves a mail for everybody who was paid and a report for managers and admins, and none twice', async () => {
    const [ann, mona, adam] = [await ledger.hire(), await ledger.hire('Mona', ['MANAGER']), await ledger.hire('Adam', ['ADMIN', 'ACCOUNTANT'])];
    await ledger.hire('Bob');
    await ledger.work(ann, MONDAY, true);
    await ledger.end(MONDAY);
    await look();
    await look();
    const mails = await ledger.rows('select kind, recipient_id, status, payout_id is not null as paid from mails order by kind, recipient_id');
    expect(mails).toEqual([
      { kind: 'PAYOUT', recipient_id: ann, status: 'PENDING', paid: true },
      ...[mona, adam].sort().map((recipient_id) => ({ kind: 'REPORT', recipient_id, status: 'PENDING', paid: false })),
    ]);
  });

  test('does not come before the marker, and asks for it once the day is over', async () => {
    await ledger.work(await ledger.hire(), MONDAY, true);
    expect(await look()).toBe(0);
    expect(await look()).toBe(0);
    expect((await eventsOf('day.close_requested')).map(({ data }) => data)).toEqual([expect.objectContaining({ businessDay: MONDAY, requestedBy: null })]);
    expect(await lastRun()).toMatchObject({ day: MONDAY, outcome: 'WAITING', message: expect.stringContaining('marker'), runs: 2 });
    expect(await payouts()).toEqual([]);
  });

  test.each([
    ['assignments', { assignments: 2, completions: 1 }],
    ['completions', { assignments: 1, completions: 2 }],
    ['deletions', { assignments: 1, completions: 1, deletions: 1 }],
  ])('waits until all %s that the marker counts are posted', async (kind, counts) => {
    const ann = await ledger.hire();
    await ledger.work(ann, MONDAY, true);
    await ledger.apply(ledger.ended(MONDAY, counts));
    expect(await look()).toBe(0);
    expect(await lastRun()).toMatchObject({ day: MONDAY, outcome: 'WAITING', message: expect.stringContaining(kind) });
    const missing = await ledger.work(ann, TUESDAY);
    if (kind === 'assignments') await ledger.apply(ledger.assigned(missing, ann, MONDAY, 2));
    if (kind === 'completions') await ledger.apply(ledger.completed(missing, ann, MONDAY));
    if (kind === 'deletions') await ledger.apply(ledger.deleted(missing, ann, MONDAY));
    expect(await look()).toBe(1);
    await expectBalancedLedger();
  });

  test('comes without what is missing when an operator accepts that, and not before its marker', async () => {
    const ann = await ledger.hire();
    await ledger.work(ann, MONDAY, true);
    await ledger.rows(`update day_closings set accepted_why = 'its event was discarded'`);
    expect(await look()).toBe(0);
    await ledger.apply(ledger.ended(MONDAY, { assignments: 2, completions: 1 }));
    expect(await look()).toBe(1);
    expect((await eventsOf('day.closed')).map(({ data }) => data)).toEqual([expect.objectContaining({ assignments: 1, completions: 1, paidOut: EARNED })]);
  });

  test('counts the deletion of a task that nobody had', async () => {
    const ann = await ledger.hire();
    const taskId = await ledger.work(ann, MONDAY, true);
    await ledger.apply(ledger.ended(MONDAY, { assignments: 1, completions: 1, deletions: 1 }));
    expect(await look()).toBe(0);
    const { mayClose } = await ledger.apply(ledger.deleted(taskId, null, MONDAY));
    expect(mayClose).toBe(true);
    expect(await look()).toBe(1);
  });

  test('that waits too long is an alarm, not a wrong close', async () => {
    await ledger.work(await ledger.hire(), MONDAY, true);
    await look();
    ledger.now = new Date(ledger.now.getTime() + ALARM_AFTER_MS + 1_000);
    const facts = { closed: 0, overdueSeconds: 0 };
    await lookAtDays(options(), facts);
    expect(facts).toEqual({ closed: 0, overdueSeconds: ALARM_AFTER_MS / 1_000 + 1 });
    expect(await lastRun()).toMatchObject({ day: MONDAY, outcome: 'OVERDUE' });
    expect(await payouts()).toEqual([]);
    await ledger.end(MONDAY);
    await lookAtDays(options(), facts);
    expect(facts).toEqual({ closed: 1, overdueSeconds: 0 });
  });

  test('pays what the day left, not what the next one has brought already', async () => {
    const [ann, bob] = [await ledger.hire(), await ledger.hire('Bob')];
    await ledger.work(ann, MONDAY, true);
    await ledger.work(bob, MONDAY);
    await ledger.work(ann, TUESDAY);
    await ledger.work(bob, TUESDAY, true);
    await ledger.work(bob, TUESDAY, true);
    await ledger.end(MONDAY);
    await look();
    expect(await payouts()).toEqual([{ day: MONDAY, amount: EARNED, owner_id: ann }]);
    expect(await Promise.all([ann, bob].map(ledger.balanceOf))).toEqual([-FEE, 2 * EARNED - FEE]);
    expect((await eventsOf('day.opened'))[0]?.data.balances).toEqual([expect.objectContaining({ ownerId: bob, balance: -FEE })]);
    await expectBalancedLedger();
  });

  test('of days that were missed comes day by day, in order, with what belongs to each', async () => {
    const ann = await ledger.hire();
    ledger.now = new Date(`${THURSDAY}T09:00:00Z`);
    for (const day of [MONDAY, TUESDAY, WEDNESDAY, THURSDAY]) await ledger.work(ann, day, true);
    await ledger.work(ann, TUESDAY, true);
    for (const day of [WEDNESDAY, TUESDAY]) await ledger.end(day);
    expect(await look()).toBe(0);
    await ledger.end(MONDAY);
    expect(await look()).toBe(3);
    expect((await payouts()).map(({ day, amount }) => [day, amount])).toEqual([[MONDAY, EARNED], [TUESDAY, 2 * EARNED], [WEDNESDAY, EARNED]]);
    expect((await eventsOf('day.closed')).map(({ data }) => data.businessDay)).toEqual([MONDAY, TUESDAY, WEDNESDAY]);
    expect(await ledger.balanceOf(ann)).toBe(EARNED);
    await expectBalancedLedger();
  });

  test('leaves out no day: one without any work is closed too, between the others', async () => {
    const ann = await ledger.hire();
    ledger.now = new Date(`${THURSDAY}T09:00:00Z`);
    await ledger.work(ann, MONDAY, true);
    await ledger.work(ann, WEDNESDAY, true);
    for (const day of [MONDAY, WEDNESDAY]) await ledger.end(day);
    expect(await look()).toBe(1);
    expect(await lastRun()).toMatchObject({ day: TUESDAY, outcome: 'WAITING' });
    await ledger.end(TUESDAY);
    expect(await look()).toBe(2);
  });

  test('what comes for a closed day is posted to the first open one, and marked late', async () => {
    const ann = await ledger.hire();
    const taskId = await ledger.work(ann, MONDAY, true);
    await ledger.end(MONDAY);
    await look();
    const { posted } = await ledger.apply(ledger.assigned(taskId, ann, MONDAY, 2));
    expect(posted).toEqual([expect.objectContaining({ businessDay: TUESDAY, lateFor: MONDAY, description: expect.stringContaining(`late: of ${MONDAY}`) })]);
    expect(await ledger.rows('select business_day::text as day, late_for::text from postings where late_for is not null')).toEqual([{ day: TUESDAY, late_for: MONDAY }]);
    expect((await closingsOf())[0]).toMatchObject({ day: MONDAY, company_earnings: FEE - REWARD, paid_out: EARNED });
    await expectBalancedLedger();
  });

  test('can’t be undone: a closed day keeps its totals', async () => {
    await ledger.work(await ledger.hire(), MONDAY, true);
    await ledger.end(MONDAY);
    await look();
    for (const change of ['closed_at = null', 'paid_out = paid_out + 1', 'company_earnings = 0']) {
      await expect(ledger.rows(`update day_closings set ${change}`)).rejects.toThrow(/is closed/);
    }
    await expect(ledger.rows('delete from day_closings')).rejects.toThrow(/permission denied/);
  });

  test('takes no posting any more, whoever tries', async () => {
    const ann = await ledger.hire();
    const taskId = await ledger.work(ann, MONDAY, true);
    await ledger.end(MONDAY);
    await look();
    const posting = { ...feeFor({ taskId, assignmentNumber: 2, employeeId: ann, businessDay: MONDAY, lateFor: null }, { fee: cents(FEE), reward: cents(REWARD) }, undefined), id: newId(), traceparent: '' };
    const byHand = ledger.database.sqlTransaction(async (sql) => post(sql, [posting], await lockAccounts(sql, [ann], []), ledger.now));
    await expect(byHand).rejects.toThrow(/is closed: post it to the first open day/);
  });

  test('asked for a hundred times by ten replicas at once, comes once', async () => {
    const employees = await Promise.all(['Ann', 'Bob', 'Cleo'].map((name) => ledger.hire(name)));
    for (const employee of employees) await ledger.work(employee, MONDAY, true);
    const adminId = await ledger.hire('Adam', ['ADMIN']);
    const requests = Array.from({ length: 100 }, () => closeByHand(ledger.database, { day: MONDAY, adminId }, { timeZone: 'UTC', clock: ledger.clock }));
    await Promise.all([...requests, ...Array.from({ length: 10 }, () => look())]);
    expect(await eventsOf('day.close_requested')).toHaveLength(1);
    await ledger.end(MONDAY);
    const closed = await Promise.all(Array.from({ length: 10 }, () => look()));
    expect(closed.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(await payouts()).toHaveLength(3);
    expect(await eventsOf('day.closed')).toHaveLength(1);
    await expectBalancedLedger();
  });

  test('killed at any statement and started again, comes once', async () => {
    const ann = await ledger.hire();
    await ledger.hire('Mona', ['MANAGER']);
    await ledger.work(ann, MONDAY, true);
    await ledger.end(MONDAY);
    let [statements, isClosed] = [0, false];
    while (!isClosed) {
      const { database, done } = dyingAfter(ledger.database, statements, (pid) => ledger.rows('select pg_terminate_backend($1)', [pid]));
      isClosed = await closeDay(database, MONDAY, { timeZone: 'UTC', clock: ledger.clock }).catch(() => false);
      if (isClosed) break;
      expect(done()).toBe(statements);
      expect(await payouts()).toEqual([]);
      expect(await eventsOf('account.paid')).toEqual([]);
      expect(await ledger.rows('select from mails')).toEqual([]);
      expect(await ledger.balanceOf(ann)).toBe(EARNED);
      statements += 1;
    }
    expect(statements).toBeGreaterThan(5);
    expect(await look()).toBe(0);
    expect(await payouts()).toHaveLength(1);
    expect(await ledger.rows('select from mails')).toHaveLength(2);
    await expectBalancedLedger();
  });

  test('waits for what is being posted, and keeps out what comes meanwhile', async () => {
    const ann = await ledger.hire();
    const taskId = await ledger.work(ann, MONDAY, true);
    await ledger.apply(ledger.ended(MONDAY, { assignments: 1, completions: 1 }));
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
    const { promise: isPosted, resolve: posted } = Promise.withResolvers<void>();
    const posting = ledger.database.sqlTransaction(async (sql) => {
      await reactToTasks({ clock: ledger.clock, random: (min) => min, timeZone: 'UTC' }, sql, [ledger.assigned(taskId, ann, MONDAY, 2)] as never);
      // What may wait for the commit has left by now.
      await sql('select 1');
      posted();
      await mayCommit;
    });
    await isPosted;
    const closing = look();
    await waitingFor(1);
    const later = ledger.apply(ledger.assigned(taskId, ann, MONDAY, 3));
    await waitingFor(2);
    commit();
    await posting;
    expect(await closing).toBe(0);
    expect((await later).posted).toEqual([expect.objectContaining({ lateFor: null })]);
    expect(await lastRun()).toMatchObject({ outcome: 'WAITING' });
    await expectBalancedLedger();
  });

  /** Resolves when so many sessions wait for an advisory lock. */
  async function waitingFor(sessions: number): Promise<void> {
    for (;;) {
      const [waiting] = await ledger.rows<{ count: number }>(`select count(*)::int from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`);
      if (waiting?.count === sessions) return;
    }
  }
});
