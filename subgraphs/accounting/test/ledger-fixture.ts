import { openDatabase, type Database, type Sql } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { AtesEvent, PublishedAtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { taskAssignedV1, taskCompletedV1, taskCreatedV2, taskDeletedV1, tasksDayEndedV1 } from '@ates/shared-events/task-events';
import type { Role } from '@ates/shared-events/user-events';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase, type TestDatabase } from '../../../scripts/test-service.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { copyUsers } from '../src/copies.ts';
import { openAccounts } from '../src/posting.ts';
import { reactToTasks, type TasksReaction } from '../src/reactions.ts';

export const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
/** What every task costs and pays here, in cents. */
export const [FEE, REWARD] = [10_00, 20_00];

/** Accounting's tables without the service around them: what Tasks tells, when, and what tasks cost is up to the test. */
export interface LedgerFixture {
  readonly tables: TestDatabase;
  readonly database: Database;
  /** What the code under test takes for now. */
  now: Date;
  readonly clock: () => Date;
  hire(name?: string, roles?: readonly Role[]): Promise<string>;
  /** One transaction, as the consumer would make it of these events. */
  apply(...events: AtesEvent[]): Promise<TasksReaction>;
  /** A new task for somebody on a day; and done, if `isDone`. */
  work(employeeId: string, day: string, isDone?: boolean): Promise<string>;
  assigned(taskId: string, employeeId: string, day: string, assignmentNumber?: number): AtesEvent;
  completed(taskId: string, employeeId: string, day: string, assignmentNumber?: number): AtesEvent;
  deleted(taskId: string, employeeId: string | null, day: string, assignmentNumber?: number): AtesEvent;
  ended(day: string, counts: { assignments?: number; completions?: number; deletions?: number }): AtesEvent;
  /** The marker with the counts of what was posted. */
  end(day: string): Promise<void>;
  balanceOf(employeeId: string): Promise<number>;
  /** What must be zero of the whole ledger at any time. */
  imbalance(): Promise<{ readonly entries: number; readonly balances: number; readonly accountsOff: number }>;
  rows<Row = Record<string, any>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export async function openLedger(timeZone = 'UTC'): Promise<LedgerFixture> {
  const tables = await createTestDatabase('accounting');
  const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('accounting', 'fatal') });
  let number = 0;
  const occurrence = (): { time: Date; traceparent: string } => ({ time: fixture.now, traceparent: TRACEPARENT });
  const at = (): string => fixture.now.toISOString();
  const fixture: LedgerFixture = {
    tables,
    database,
    now: new Date('2026-11-20T10:00:00Z'),
    clock: () => fixture.now,
    hire: async (name = 'Ann', roles = ['EMPLOYEE']) => {
      const id = uuidv7();
      await copyUsers(database.sql, [{ id, name, email: `${id}@ates.test`, roles, status: 'ACTIVE' }]);
      if (!roles.includes('MANAGER') && !roles.includes('ADMIN')) await openAccounts(database.sql, [id]);
      return id;
    },
    apply: (...events) =>
      database.sqlTransaction((sql: Sql) => reactToTasks({ clock: fixture.clock, random: (min) => min, timeZone }, sql, events as PublishedAtesEvent[])),
    work: async (employeeId, day, isDone = false) => {
      const taskId = uuidv7();
      const task = { version: 1, number: (number += 1), ticket: null, title: `Task ${number}`, description: '', status: 'OPEN' as const, creatorId: employeeId, createdAt: at() };
      await fixture.apply(newEvent(taskCreatedV2, taskId, task, occurrence()), fixture.assigned(taskId, employeeId, day), ...(isDone ? [fixture.completed(taskId, employeeId, day)] : []));
      return taskId;
    },
    assigned: (taskId, assigneeId, businessDay, assignmentNumber = 1) =>
      newEvent(taskAssignedV1, taskId, { version: assignmentNumber + 1, assignmentNumber, assigneeId, previousAssigneeId: null, businessDay, assignedAt: at() }, occurrence()),
    completed: (taskId, assigneeId, businessDay, assignmentNumber = 1) =>
      newEvent(taskCompletedV1, taskId, { version: assignmentNumber + 2, assignmentNumber, assigneeId, businessDay, completedAt: at() }, occurrence()),
    deleted: (taskId, assigneeId, businessDay, assignmentNumber = assigneeId === null ? 0 : 1) =>
      newEvent(taskDeletedV1, taskId, { version: assignmentNumber + 2, assignmentNumber, assigneeId, deletedBy: uuidv7(), businessDay, deletedAt: at() }, occurrence()),
    ended: (businessDay, { assignments = 0, completions = 0, deletions = 0 }) =>
      newEvent(tasksDayEndedV1, uuidv7(), { version: 1, businessDay, endedAt: at(), lastTaskNumber: number, assignments, completions, deletions }, occurrence()),
    end: async (day) => {
      const [counts] = await database.sql<{ assignments: number; completions: number; deletions: number }>('select assignments, completions, deletions from day_closings where day = $1', [day]);
      await fixture.apply(fixture.ended(day, counts ?? {}));
    },
    balanceOf: async (employeeId) => Number((await database.sql<{ balance: string }>('select balance from accounts where owner_id = $1', [employeeId]))[0]?.balance),
    imbalance: async () => {
      const [sums] = await database.sql<{ entries: number; balances: number; accountsOff: number }>(
        `select (select coalesce(sum(amount), 0) from entries)::int as entries, (select sum(balance) from accounts)::int as balances,
           (select count(*) from accounts a where balance <> coalesce((select sum(amount) from entries where account_id = a.id), 0))::int as "accountsOff"`,
      );
      return sums as { entries: number; balances: number; accountsOff: number };
    },
    rows: async (text, params) => database.sql(text, params),
    close: async () => {
      await database.close();
      await tables.drop();
    },
  };
  return fixture;
}
