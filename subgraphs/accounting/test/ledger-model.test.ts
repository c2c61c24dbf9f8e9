import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newId } from '@ates/shared-events/new-id';
import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';
import { lookAtDays } from '../src/close-robot.ts';
import { openAccounts } from '../src/posting.ts';
import { FEE, openLedger, REWARD, type LedgerFixture } from './ledger-fixture.ts';

const RUNS = Number(process.env['LEDGER_MODEL_RUNS'] ?? 40);
const FIRST_DAY = Date.parse('2030-01-01T00:00:00Z');
const DAY_MS = 86_400_000;
const EMPLOYEES = 3;

/** What happens in the market; numbers choose among what there is. */
type Action =
  | { readonly does: 'CREATE' | 'END_DAY' }
  | { readonly does: 'ASSIGN' | 'COMPLETE' | 'DELETE'; readonly task: number }
  /** Somebody tells an earlier event again, under another id. */
  | { readonly does: 'REPEAT'; readonly event: number };

interface Told {
  readonly event: AtesEvent;
  /** What is in one lane is told in order; between lanes there is no order. */
  readonly lane: number;
}

/** What the ledger has to come to, by plain sums. */
interface Expected {
  readonly balances: ReadonlyMap<string, number>;
  readonly payouts: readonly (readonly [day: string, employeeId: string, amount: number])[];
  readonly earnings: ReadonlyMap<string, number>;
}

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Action>({ does: 'CREATE' }) },
  { weight: 6, arbitrary: fc.record({ does: fc.constantFrom('ASSIGN' as const, 'COMPLETE' as const, 'DELETE' as const), task: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant<Action>({ does: 'END_DAY' }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('REPEAT' as const), event: fc.nat() }) },
);

describe('Whatever happens in the market', () => {
  let ledger: LedgerFixture;
  let daysUsed = 0;
  beforeAll(async () => {
    ledger = await openLedger();
  });
  afterAll(() => ledger?.close());

  test('every employee is paid, day by day, what a plain sum over the history says; in whatever order and batches it is told', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 1, maxLength: 60 }),
        fc.array(fc.record({ lane: fc.nat(), count: fc.integer({ min: 1, max: 6 }), look: fc.boolean() }), { minLength: 20, maxLength: 40 }),
        async (actions, deliveries) => {
          const employees = Array.from({ length: EMPLOYEES }, () => uuidv7());
          // Of one of them nobody has told: the first fee opens the account.
          await openAccounts(ledger.database.sql, employees.slice(1));
          const { told, expected, days } = happen(actions, employees);
          ledger.now = new Date(FIRST_DAY + daysUsed * DAY_MS);
          await tell(told, deliveries);
          expect(await outcome(employees, days)).toEqual(expected);
          await expectWholeLedger();
        },
      ),
      { numRuns: RUNS },
    );
  }, 120_000);

  /** The events of a history, and what it comes to. It ends with a day's end, so that nothing of it waits. */
  function happen(actions: readonly Action[], employees: readonly string[]): { told: Told[]; expected: Expected; days: string[] } {
    const tasks: { id: string; assignee: string; assignment: number; open: boolean }[] = [];
    const moves: { day: string; employeeId: string; amount: number }[] = [];
    const told: Told[] = [];
    const days = [dayNumber(daysUsed)];
    let counts = { assignments: 0, completions: 0, deletions: 0 };
    const today = (): string => days.at(-1) as string;
    const say = (event: AtesEvent, lane: number): void => void told.push({ event, lane });
    const laneOf = (taskId: string): number => Number.parseInt(taskId.slice(-2), 16) % 4;
    const assign = (task: (typeof tasks)[number], place: number): void => {
      task.assignee = employees[place % employees.length] as string;
      task.assignment += 1;
      counts.assignments += 1;
      moves.push({ day: today(), employeeId: task.assignee, amount: -FEE });
      say(ledger.assigned(task.id, task.assignee, today(), task.assignment), laneOf(task.id));
    };
    const endDay = (isLast: boolean): void => {
      say(ledger.ended(today(), counts), 4 + (days.length % 2));
      counts = { assignments: 0, completions: 0, deletions: 0 };
      daysUsed += 1;
      if (!isLast) days.push(dayNumber(daysUsed));
    };
    for (const [place, each] of actions.entries()) {
      const task = 'task' in each ? tasks.filter(({ open }) => open)[each.task % Math.max(tasks.filter(({ open }) => open).length, 1)] : undefined;
      if (each.does === 'CREATE') {
        const created = { id: newId(), assignee: '', assignment: 0, open: true };
        tasks.push(created);
        assign(created, place);
      } else if (each.does === 'END_DAY') endDay(false);
      else if (each.does === 'REPEAT') {
        const again = told[each.event % Math.max(told.length, 1)];
        if (again !== undefined && again.lane < 4) say({ ...again.event, id: newId() }, again.lane);
      } else if (task !== undefined && each.does === 'ASSIGN') assign(task, place);
      else if (task !== undefined) {
        const isDone = each.does === 'COMPLETE';
        task.open = false;
        counts[isDone ? 'completions' : 'deletions'] += 1;
        moves.push({ day: today(), employeeId: task.assignee, amount: isDone ? REWARD : FEE });
        say(isDone ? ledger.completed(task.id, task.assignee, today(), task.assignment) : ledger.deleted(task.id, task.assignee, today(), task.assignment), laneOf(task.id));
      }
    }
    endDay(true);
    return { told, expected: sumUp(moves, days, employees), days };
  }

  /** Batch by batch, each from lanes that are chosen; now and then somebody looks whether a day can be closed. At the end, all that is left. */
  async function tell(told: readonly Told[], deliveries: readonly { lane: number; count: number; look: boolean }[]): Promise<void> {
    const lanes = [...Map.groupBy(told, ({ lane }) => lane).values()];
    for (let step = 0; lanes.some(({ length }) => length > 0); step += 1) {
      const { lane, count, look } = deliveries[step % deliveries.length] as (typeof deliveries)[number];
      const filled = lanes.filter(({ length }) => length > 0);
      const batch = [...(filled[lane % filled.length] as Told[]).splice(0, count), ...(filled[(lane + 1) % filled.length] as Told[]).splice(0, count)];
      await ledger.apply(...batch.map(({ event }) => event));
      if (look) await lookNow();
    }
    await lookNow();
  }

  async function lookNow(): Promise<void> {
    const options = { database: ledger.database, timeZone: 'UTC', clock: ledger.clock, logger: createLogger('accounting', 'silent'), alarmAfterMs: DAY_MS, onClosed: () => Promise.resolve() };
    await lookAtDays(options, { closed: 0, overdueSeconds: 0 });
  }

  async function outcome(employees: readonly string[], days: readonly string[]): Promise<Expected> {
    const balances = await ledger.rows<{ owner_id: string; balance: number }>('select owner_id, balance::int from accounts where owner_id = any($1::uuid[]) and entry_count > 0', [employees]);
    const paid = await ledger.rows<{ day: string; owner_id: string; amount: number }>(
      `select business_day::text as day, owner_id, amount::int from postings join accounts on accounts.id = from_account where postings.kind = 'PAYOUT' and owner_id = any($1::uuid[])`,
      [employees],
    );
    const earned = await ledger.rows<{ day: string; earned: number }>('select day::text, company_earnings::int as earned from day_closings where closed_at is not null and day = any($1::date[])', [days]);
    return {
      balances: new Map(balances.map(({ owner_id, balance }) => [owner_id, balance] as const).sort(byText)),
      payouts: paid.map(({ day, owner_id, amount }) => [day, owner_id, amount] as const).sort(byText),
      earnings: new Map(earned.map(({ day, earned: amount }) => [day, amount] as const).sort(byText)),
    };
  }

  async function expectWholeLedger(): Promise<void> {
    expect(await ledger.imbalance()).toEqual({ entries: 0, balances: 0, accountsOff: 0 });
    expect(await ledger.rows('select from postings where late_for is not null')).toEqual([]);
  }
});

function dayNumber(number: number): string {
  return new Date(FIRST_DAY + number * DAY_MS).toISOString().slice(0, 10);
}

function sumUp(moves: readonly { day: string; employeeId: string; amount: number }[], days: readonly string[], employees: readonly string[]): Expected {
  const balances = new Map<string, number>();
  const payouts: Expected['payouts'][number][] = [];
  const earnings = new Map<string, number>();
  for (const day of days) {
    const ofDay = moves.filter((move) => move.day === day);
    earnings.set(day, ofDay.reduce((sum, { amount }) => sum - amount, 0));
    for (const { employeeId, amount } of ofDay) balances.set(employeeId, (balances.get(employeeId) ?? 0) + amount);
    for (const employeeId of employees) {
      const balance = balances.get(employeeId) ?? 0;
      if (balance > 0) {
        payouts.push([day, employeeId, balance]);
        balances.set(employeeId, 0);
      }
    }
  }
  return { balances: new Map([...balances].sort(byText)), payouts: [...payouts].sort(byText), earnings: new Map([...earnings].sort(byText)) };
}

function byText(one: readonly unknown[], other: readonly unknown[]): number {
  return String(one) < String(other) ? -1 : 1;
}
