import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { AtesEvent, PublishedAtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { taskAssignedV1, taskCreatedV2, taskDeletedV1 } from '@ates/shared-events/task-events';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase, eventually } from '../../../scripts/test-service.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { reactToTasks } from '../src/reactions.ts';
import { startSealing } from '../src/sealing.ts';

const DAY = '2026-11-20';
const OCCURRENCE = { time: new Date('2026-11-20T10:00:00Z'), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const AT = OCCURRENCE.time.toISOString();
const SAVED_TABLES = ['postings', 'entries', 'accounts', 'entry_seals', 'sealed_accounts'];
/** What a description has to survive on its way into a hash. */
const TITLE = 'Feed “the” \\parrot\\ "now"\n\u0001\u001F\u007F\u2028🦜';

export const logger = createLogger('accounting', 'silent');
export const clock = () => OCCURRENCE.time;
export const ANN = uuidv7();
export const BOB = uuidv7();

/** A ledger of its own, and hands that may do to it what nobody may. */
export interface TestLedger {
  readonly database: Database;
  readonly url: string;
  /** Makes a task and assigns it to each of these in turn; the fee is 10.00 each time. */
  charge(...assigneeIds: readonly string[]): Promise<void>;
  /** The same, and deletes the task: the last fee is taken back. */
  chargeAndTakeBack(...assigneeIds: readonly string[]): Promise<void>;
  /** Until no entry is left without its seal. */
  seal(): Promise<void>;
  unsealed(): Promise<number>;
  /** As the owner of the tables, without their triggers, in one transaction. */
  tamper(statements: string): Promise<void>;
  /** As the owner. */
  owner(statement: string): Promise<void>;
  /** Remembers all rows, for `restore`. */
  save(): Promise<void>;
  restore(): Promise<void>;
  close(): Promise<void>;
}

export async function openTestLedger(): Promise<TestLedger> {
  const tables = await createTestDatabase('accounting');
  const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger });
  const owner = new pg.Client({ connectionString: tables.ownerUrl });
  await owner.connect();
  const rules = { clock, random: () => 10_00, timeZone: 'UTC' };
  const apply = async (events: readonly AtesEvent[]): Promise<void> => {
    await database.sqlTransaction((sql) => reactToTasks(rules, sql, events as PublishedAtesEvent[]));
  };
  const switchTriggers = (how: 'disable' | 'enable') => SAVED_TABLES.map((table) => `alter table ${table} ${how} trigger user`).join(';');
  const tamper = async (statements: string): Promise<void> => {
    await owner.query(`begin; ${switchTriggers('disable')}`);
    await owner.query(`${statements}; ${switchTriggers('enable')}; commit`).catch(async (error: unknown) => {
      await owner.query('rollback');
      throw error;
    });
  };
  const unsealed = async () => {
    const [row] = await database.sql<{ count: number }>('select (select count(*) from entries)::int - (select count(*) from entry_seals)::int as count');
    return row?.count ?? 0;
  };
  return {
    database,
    url: tables.url,
    charge: (...assigneeIds) => apply(eventsOf(assigneeIds)),
    chargeAndTakeBack: (...assigneeIds) => apply(eventsOf(assigneeIds, 'deleted')),
    unsealed,
    seal: async () => {
      const sealing = startSealing({ database, clock, logger });
      await eventually(async () => (await unsealed()) === 0);
      await sealing.stop();
    },
    tamper,
    owner: async (statement) => void (await owner.query(statement)),
    save: () => tamper(SAVED_TABLES.map((table) => `drop table if exists saved_${table}; create table saved_${table} as table ${table}`).join(';')),
    // Events that were recorded stay recorded: versions go on from there.
    restore: () =>
      tamper(`update saved_accounts set version = accounts.version from accounts where accounts.id = saved_accounts.id;
        ${SAVED_TABLES.map((table) => `truncate ${table}; insert into ${table} table saved_${table}`).join(';')}`),
    close: async () => {
      await database.close();
      await owner.end();
      await tables.drop();
    },
  };
}

function eventsOf(assigneeIds: readonly string[], end?: 'deleted'): AtesEvent[] {
  const taskId = uuidv7();
  const text = { number: 17, ticket: null, title: TITLE, description: '', status: 'OPEN' as const, creatorId: uuidv7(), createdAt: AT };
  const assigned = assigneeIds.map((assigneeId, index) =>
    newEvent(taskAssignedV1, taskId, { version: index + 2, assignmentNumber: index + 1, assigneeId, previousAssigneeId: null, businessDay: DAY, assignedAt: AT }, OCCURRENCE),
  );
  const last = { version: assigneeIds.length + 2, assignmentNumber: assigneeIds.length, assigneeId: assigneeIds.at(-1) ?? null };
  const ended = end === undefined ? [] : [newEvent(taskDeletedV1, taskId, { ...last, deletedBy: text.creatorId, businessDay: DAY, deletedAt: AT }, OCCURRENCE)];
  return [newEvent(taskCreatedV2, taskId, { version: 1, ...text }, OCCURRENCE), ...assigned, ...ended];
}
