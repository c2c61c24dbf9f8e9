import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { accountCarriedOverV1, accountChargedV1, accountPaidV1, accountReversedV1, accountRewardedV1, dayClosedV1, taskPricedV1, type EntryKind } from '@ates/shared-events/accounting-events';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent, type EventDefinition, type EventOf } from '@ates/shared-events/event';
import { taskAssignedV1, taskCompletedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import pg from 'pg';
import { createTestDatabase } from '../../../scripts/test-service.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { READ_MODEL_TABLES } from '../migrations/2026-11-22-read-models.ts';
import { reactToEvents } from '../src/reactions.ts';

const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
export const AT = new Date('2026-11-20T10:00:00.000Z');

/** Ids like those of UUIDv7, of a kind, by number. */
export const idOf = (kind: number, number: number): string => `00000000-0000-7000-8${kind.toString(16).padStart(3, '0')}-${number.toString(16).padStart(12, '0')}`;

/** An event as it comes from the stream; checked against its contract. */
export function told<Definition extends EventDefinition>(definition: Definition, subject: string, data: EventOf<Definition>['data']): PublishedAtesEvent {
  return newEvent(definition, subject, data, { time: AT, traceparent: TRACEPARENT }) as unknown as PublishedAtesEvent;
}

const BY_KIND = { FEE: accountChargedV1, REWARD: accountRewardedV1, REVERSAL: accountReversedV1, PAYOUT: accountPaidV1 } as const;

/** An entry of an employee by number, told as what its kind is. */
export function entryTold(number: number, employee: number, day: string, posted: { kind?: EntryKind; amount: number; task?: number; version?: number; at?: Date }): PublishedAtesEvent {
  const { kind = 'FEE', amount, task, version = 1, at = AT } = posted;
  const entry = {
    id: idOf(1, number), kind, amount: cents(amount), balanceAfter: cents(0), description: `Entry "${number}", {of} \\ one`,
    taskId: task === undefined ? null : idOf(2, task), businessDay: day, postedAt: at.toISOString(),
  };
  const more = { FEE: {}, REWARD: {}, REVERSAL: { reversedEntryId: idOf(1, 0), reason: 'a test' }, PAYOUT: { payoutId: idOf(3, number) } }[kind];
  const definition: EventDefinition = BY_KIND[kind];
  return told(definition, idOf(4, employee), { version, ownerId: idOf(5, employee), entry, ...more });
}

export const carriedOver = (employee: number, day: string, version = 1): PublishedAtesEvent =>
  told(accountCarriedOverV1, idOf(4, employee), { version, ownerId: idOf(5, employee), businessDay: day, balance: cents(0), carriedOverAt: AT.toISOString() });

export const priced = (task: number, reward: number): PublishedAtesEvent =>
  told(taskPricedV1, idOf(2, task), { version: 1, fee: cents(1_000), reward: cents(reward), pricedAt: AT.toISOString() });

export const created = (task: number): PublishedAtesEvent =>
  told(taskCreatedV2, idOf(2, task), { version: 1, number: task + 1, ticket: null, title: `Task "${task}"`, description: '', status: 'OPEN', creatorId: idOf(5, 0), createdAt: AT.toISOString() });

export const assigned = (task: number, day: string, assignmentNumber = 1): PublishedAtesEvent =>
  told(taskAssignedV1, idOf(2, task), { version: assignmentNumber + 1, assignmentNumber, assigneeId: idOf(5, 0), previousAssigneeId: null, businessDay: day, assignedAt: AT.toISOString() });

export const completed = (task: number, day: string, at: Date = AT): PublishedAtesEvent =>
  told(taskCompletedV1, idOf(2, task), { version: 50, assignmentNumber: 1, assigneeId: idOf(5, 0), businessDay: day, completedAt: at.toISOString() });

export const closed = (day: string, figures: { companyEarnings?: number; paidOut?: number; paidEmployees?: number; employeesInTheRed?: number; assignments?: number; completions?: number } = {}, at: Date = AT): PublishedAtesEvent => {
  const { companyEarnings = 0, paidOut = 0, ...counts } = figures;
  const zeros = { assignments: 0, completions: 0, paidEmployees: 0, carriedOver: cents(0), employeesInTheRed: 0 };
  return told(dayClosedV1, idOf(6, Date.parse(day) / 86_400_000), { version: 1, businessDay: day, closedAt: at.toISOString(), ...zeros, ...counts, companyEarnings: cents(companyEarnings), paidOut: cents(paidOut) });
};

/** Analytics' tables without the service around them. */
export interface ModelFixture {
  readonly database: Database;
  /** One transaction, as a consumer makes it of a batch; answers the days that changed. */
  react(events: readonly PublishedAtesEvent[]): Promise<readonly string[]>;
  rows<Row = Record<string, any>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /** A statement as the owner of the tables. */
  asOwner(text: string): Promise<void>;
  /** Empties the read model. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function openModel(timeZone = 'UTC'): Promise<ModelFixture> {
  const tables = await createTestDatabase('analytics');
  const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('analytics', 'fatal') });
  const owner = new pg.Client({ connectionString: tables.ownerUrl });
  await owner.connect();
  // The database is dropped with its sessions.
  owner.on('error', () => undefined);
  return {
    database,
    react: async (events) => (await database.sqlTransaction((sql) => reactToEvents(sql, timeZone, events))).days,
    rows: (text, params = []) => database.sql(text, params),
    asOwner: async (text) => void (await owner.query(text)),
    // For a few rows that is quicker than truncating files.
    clear: async () => void (await owner.query(READ_MODEL_TABLES.map((table) => `delete from ${table}`).join('; '))),
    close: async () => {
      await owner.end();
      await database.close();
      await tables.drop();
    },
  };
}
