import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openDatabase, type Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import pg from 'pg';
import { randomFrom } from '../chaos/random.ts';
import { startPostgres } from '../scripts/embedded-postgres.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { provisionDatabases, urlOfDatabase } from '../scripts/provision-databases.ts';
import { MIGRATIONS } from '../subgraphs/tasks/migrations/all.ts';
import type { Place } from './tasks-place.ts';
import { CREATORS, EMPLOYEES, Rows, type Row } from './tasks-rows.ts';

/** Tasks' database of its own, filled. */
export interface FilledDatabase {
  readonly database: Database;
  /** As the service's role, for what is not part of the service. */
  readonly url: string;
  /** What they were made of. */
  readonly rows: Rows;
}

export interface FillOptions {
  readonly place: Place;
  /** Of PostgreSQL; filled already if it is there. */
  readonly folder: string;
  readonly count: number;
  readonly seed: number;
  readonly logger: Logger;
  readonly say: (text: string) => void;
}

const PASSWORD = 'bench';
const CHUNK = 5_000;
const LOADERS = 2;
const COLUMNS = ['number', 'createdAt', 'status', 'creator', 'assignee', 'ticket', 'title', 'description', 'endedAt'] as const satisfies (keyof Row)[];
/** While rows are loaded only; measured is what PostgreSQL has by default here. */
const FAST = `set synchronous_commit = off; set session_replication_role = replica; set maintenance_work_mem = '512MB'`;
const PEOPLE = (count: number): string => `select md5('popug ' || number)::uuid as id, number from generate_series(0, ${count - 1}) as number`;
const personId = (column: string): string => `md5('popug ' || ${column})::uuid`;

/** What a chunk of rows is made of them; whoever has done a task has had it. */
const INSERT = `
  with row as materialized (
    select uuidv7(created_at - clock_timestamp()) as id, row.*, case when assignee is not null then ${personId('assignee')} end as assignee_id
    from unnest($1::int[], $2::timestamptz[], $3::text[], $4::int[], $5::int[], $6::text[], $7::text[], $8::text[], $9::timestamptz[])
      as row (number, created_at, status, creator, assignee, ticket, title, description, ended_at)
  ), made as (
    insert into tasks (id, number, ticket, title, description, status, creator_id, created_at, completed_at, completed_business_day, completed_by,
      deleted_at, deleted_business_day, fee, reward)
    select id, number, ticket, title, description, status, ${personId('creator')}, created_at,
      case when status = 'DONE' then ended_at end, case when status = 'DONE' then ended_at::date end, case when status = 'DONE' then assignee_id end,
      case when status = 'DELETED' then ended_at end, case when status = 'DELETED' then ended_at::date end, 1500, 3000
    from row
  )
  insert into task_holders (task_id, version, assignee_id, assignment_number, status, created_at, creator_id)
  select id, case status when 'OPEN' then 2 else 3 end, assignee_id, case when assignee_id is null then 0 else 1 end, status, created_at, ${personId('creator')} from row`;

/** Starts PostgreSQL with its own settings and durability, and makes the tasks unless they are there. */
export async function fillDatabase(options: FillOptions): Promise<FilledDatabase> {
  const { place, folder, count, seed, logger, say } = options;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711);
  const [port = 0] = await chooseFreePorts(1);
  const starting = startPostgres({ dataDir: join(folder, 'postgres'), port, superuserPassword: PASSWORD });
  place.stopAtEnd(starting);
  const postgres = await starting;
  await provisionDatabases({ superuserUrl: postgres.superuserUrl, services: [{ name: 'tasks', ownerPassword: PASSWORD, appPassword: PASSWORD }] });
  const url = urlOfDatabase(postgres.superuserUrl, 'tasks', { name: 'tasks', password: PASSWORD });
  const ownerUrl = urlOfDatabase(postgres.superuserUrl, 'tasks', { name: 'tasks_owner', password: PASSWORD });
  const database = await openDatabase({ url, ownerUrl, entities: [], migrations: MIGRATIONS, logger });
  const rows = new Rows(randomFrom(seed), count, Date.now());
  const marker = join(folder, `filled-${count}-${seed}`);
  if (existsSync(marker)) say(`the ${count} tasks of ${folder} are used again`);
  else {
    await load(urlOfDatabase(postgres.superuserUrl, 'tasks'), rows, count, say);
    writeFileSync(marker, '');
  }
  return { database, url, rows };
}

/** Rows first, as two sessions, and the indexes over them afterwards. */
async function load(url: string, rows: Rows, count: number, say: (text: string) => void): Promise<void> {
  const clients = Array.from({ length: LOADERS }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  try {
    const [first] = clients as [pg.Client];
    for (const client of clients) await client.query(FAST);
    const startedAt = performance.now();
    const seconds = (): string => `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`;
    await first.query(`insert into user_copies (user_id, name, assignable) select id, 'Popug ' || number, number < ${EMPLOYEES} from (${PEOPLE(Math.max(EMPLOYEES, CREATORS))}) as people`);
    const indexes = await dropIndexes(first);
    const chunks = rows.chunks(CHUNK);
    let inserted = 0;
    let told = 0;
    const insert = async (client: pg.Client): Promise<void> => {
      for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
        await client.query(INSERT, COLUMNS.map((name) => next.value.map((row) => row[name])));
        inserted += next.value.length;
        if (inserted >= told + count / 5) say(`${(told = inserted)} tasks inserted, ${seconds()}`);
      }
    };
    await Promise.all(clients.map(insert));
    const left = [...indexes];
    const index = async (client: pg.Client): Promise<void> => {
      for (let statement = left.shift(); statement !== undefined; statement = left.shift()) await client.query(statement);
    };
    await Promise.all(clients.map(index));
    say(`${indexes.length} indexes made, ${seconds()}`);
    for (const table of ['tasks', 'task_holders', 'user_copies']) await first.query(`vacuum (analyze) ${table}`);
    await first.query('checkpoint');
    say(`vacuumed, analyzed and written, ${seconds()}`);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** @returns how to make them again; those that are constraints stay */
async function dropIndexes(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ indexname: string; indexdef: string }>(
    `select indexname, indexdef from pg_indexes where tablename in ('tasks', 'task_holders')
       and indexname not in (select conname from pg_constraint)`,
  );
  for (const { indexname } of rows) await client.query(`drop index ${indexname}`);
  // The longest first, so that both sessions end at once.
  return rows.map(({ indexdef }) => indexdef).sort((one, other) => Number(other.includes('gin')) - Number(one.includes('gin')));
}
