import { randomUUID } from 'node:crypto';
import { natsUrl } from '../../scripts/embedded-nats.ts';
import { OPERATOR } from '../../scripts/nats-access.ts';
import { eventually, startTestService, type TestService } from '../../scripts/test-service.ts';
import { ensureStreams, eventLike, type TestEvent } from './published.ts';

/** What is no read model: the pipe's tables, the migrations', and what the service notes for whoever rebuilds. */
const INFRASTRUCTURE = ['inbox', 'inbox_positions', 'inbox_versions', 'inbox_waiting', 'mikro_orm_migrations', 'parked_events', 'read_model_settings'];
const DAYS = Array.from({ length: 5 }, (_, day) => `2026-11-${10 + day}`);
/** Where it is the next day already when people sign in here. */
const TIME_ZONE = { BUSINESS_TIME_ZONE: 'Pacific/Auckland' };

/** How rows are asked for as the owner of the tables. */
export type AskOwner = TestService['sql'];

export const environmentOf = (service: TestService): NodeJS.ProcessEnv => {
  const port = Number(service.nats.getServer().split(':').at(-1));
  return { ANALYTICS_DATABASE_URL: service.database.url, NATS_URL: natsUrl({ port, user: OPERATOR, password: 'test' }) };
};

export const noteTimeZone = (sql: AskOwner) =>
  sql(`insert into read_model_settings (business_time_zone) values ($1) on conflict (single) do update set business_time_zone = excluded.business_time_zone`, [TIME_ZONE.BUSINESS_TIME_ZONE]);

export const startAnalytics = async (): Promise<TestService> => {
  const service = await startTestService('analytics', TIME_ZONE);
  await ensureStreams(service.nats);
  return service;
};

/** Without partitions, which are parts of their tables. */
export const modelTables = async (sql: AskOwner): Promise<string[]> => {
  const tables = await sql<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition order by 1`,
  );
  return tables.map(({ name }) => name).filter((name) => !INFRASTRUCTURE.includes(name));
};

/** Every row of the read model, in an order of their own. */
export const dump = async (sql: AskOwner): Promise<Record<string, string[]>> => {
  const tables = await modelTables(sql);
  const rows = await Promise.all(tables.map((table) => sql<{ row: string }>(`select t::text as row from ${table} as t order by 1`)));
  return Object.fromEntries(tables.map((table, index) => [table, (rows[index] ?? []).map(({ row }) => row)]));
};

/** How all tables are made: columns, keys, indexes, partitions and rights, by name. */
export const definitions = async (sql: AskOwner): Promise<string[]> => {
  const lines = await sql<{ line: string }>(`
    with table_of as (select *, oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p'))
    select concat_ws(' ', name, relkind, relacl, reloptions, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid)) as line from table_of
    union all select concat_ws(' ', name, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)) from table_of
      join pg_attribute on attrelid = table_of.oid and attnum > 0 and not attisdropped left join pg_attrdef on adrelid = attrelid and adnum = attnum
    union all select concat_ws(' ', name, conname, pg_get_constraintdef(pg_constraint.oid)) from table_of join pg_constraint on conrelid = table_of.oid
    union all select indexdef from pg_indexes where schemaname = 'public'
    order by 1`);
  return lines.map(({ line }) => line);
};

const applied = async (service: TestService): Promise<number> => (await service.sql<{ count: number }>('select count(*)::int as count from inbox'))[0]?.count ?? 0;
export const appliedAll = (service: TestService, count: number) => eventually(async () => (await applied(service)) === count, 30_000);

interface Person {
  readonly id: string;
  readonly account: string;
  version: number;
}

/** Events of every type: people who sign in, tasks from their creation to the money, days that close. Every tenth person ends in the red. */
export const story = (tasks: number): TestEvent[] => {
  const days = DAYS.flatMap((businessDay) => [
    eventLike('tasks.day_ended.v1', randomUUID(), { version: 1, businessDay }),
    eventLike('day.closed.v1', randomUUID(), { version: 1, businessDay }),
  ]);
  const people: Person[] = Array.from({ length: Math.max(Math.floor(tasks / 10), 3) }, () => ({ id: randomUUID(), account: randomUUID(), version: 0 }));
  const attempt = (index: number) => ({ version: 1, attemptedAt: `${DAYS[index % DAYS.length]}T11:30:00.000Z` });
  const signIns = people.flatMap(({ id }, index) => [
    eventLike('user.created.v1', id, { version: 1 }),
    eventLike('user.authenticated.v1', randomUUID(), attempt(index)),
    eventLike('user.denied.v1', randomUUID(), attempt(index + 1)),
  ]);
  const lives = Array.from({ length: tasks }, (_, index) => lifeOfTask(index, people[index % people.length]!, index % people.length % 10 === 0));
  const carriedOver = people.map((person) =>
    eventLike('account.carried_over.v1', person.account, { version: ++person.version, ownerId: person.id, businessDay: DAYS[0] }),
  );
  return [...days, ...signIns, ...lives.flat(), ...carriedOver];
};

const lifeOfTask = (index: number, person: Person, isPoor: boolean): TestEvent[] => {
  const task = randomUUID();
  const businessDay = DAYS[index % DAYS.length]!;
  const posted = (dataschema: string, kind: string, amount: number) => {
    const entry = { id: randomUUID(), kind, amount, balanceAfter: amount, description: `${kind} ${index}`, taskId: task, businessDay, postedAt: `${businessDay}T10:15:00.000Z` };
    return eventLike(dataschema, person.account, { version: ++person.version, ownerId: person.id, entry });
  };
  return [
    eventLike(index % 2 === 0 ? 'task.created.v2' : 'task.created.v1', task, { version: 1, number: index + 1 }),
    eventLike('task.assigned.v1', task, { version: 2, assigneeId: person.id, businessDay }),
    eventLike('task.priced.v1', task, { version: 1, reward: 1_000 + index }),
    posted('account.charged.v1', 'FEE', isPoor ? -10_000 : -10 - index),
    eventLike('task.completed.v1', task, { version: 3, assigneeId: person.id, businessDay, completedAt: `${businessDay}T12:00:00.000Z` }),
    posted('account.rewarded.v1', 'REWARD', 1_000 + index),
    eventLike('account.balance_changed.v1', person.account, { version: ++person.version, ownerId: person.id, balance: index }),
  ];
};
