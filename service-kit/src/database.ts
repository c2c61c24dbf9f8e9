import type { Socket } from 'node:net';
import { MikroORM, type EntityManager, type Options } from '@mikro-orm/postgresql';
import { Migrator, type Migration } from '@mikro-orm/migrations';
import { CompiledQuery } from 'kysely';
import { Client, Pool, types as pgTypes, type PoolClient } from 'pg';
import type { Logger } from './logger.ts';
import { PreparingClient } from './prepared-client.ts';
import { tracingIsOn } from './tracing.ts';

/**
 * One SQL statement with real binds ($1, $2, arrays included), in the transaction that it was made for, if any.
 * `bigint` and `numeric` come as text, exact; `timestamptz` as Date, `date` as `YYYY-MM-DD`.
 */
export interface Sql {
  <Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /**
   * A statement of a transaction whose answer nobody needs: it may wait and leave together with the commit, after every
   * statement before it. Its failure fails the transaction.
   */
  later(text: string, params?: readonly unknown[]): Promise<void>;
}

export interface DatabaseOptions {
  /** The application role's connection. */
  readonly url: string;
  /** The owner role's connection, for migrations; null: the tables are taken as they are. */
  readonly ownerUrl: string | null;
  readonly entities: Options['entities'];
  /** In order; each runs once, in a transaction of its own. */
  readonly migrations: readonly (new (...args: never[]) => Migration)[];
  readonly logger: Logger;
  readonly connectionsMax?: number;
}

export interface Database {
  /** A fresh unit of work, for one request or one batch. */
  fork(): EntityManager;
  /** Statements outside of any transaction. */
  readonly sql: Sql;
  /** One transaction of statements only: commits when `work` resolves, rolls back when it throws. READ COMMITTED. */
  sqlTransaction<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>;
  /** The same with entities; statements and entities share the transaction. */
  transaction<Result>(work: (em: EntityManager, sql: Sql) => Promise<Result>): Promise<Result>;
  /** Null when the database answers, else why not. */
  check(): Promise<string | null>;
  close(): Promise<void>;
}

const CONNECTIONS_MAX = 20;
const SQL_CONNECTIONS_MAX = 10;
/** Any number that only migrations lock: replicas that start at once take turns. */
const MIGRATION_LOCK = 7_061_001;

const { DATE, TIMESTAMPTZ } = pgTypes.builtins;

/** How column values come out: exact, and without a time zone of this process in them. */
const getTypeParser = ((oid: Parameters<typeof pgTypes.getTypeParser>[0], format?: never) => {
  if (oid === DATE) return String;
  if (oid === TIMESTAMPTZ) return (text: string) => new Date(text);
  return pgTypes.getTypeParser(oid, format);
}) as typeof pgTypes.getTypeParser;

/** Brings the schema up to date, by one replica at a time, and opens the application's connection pool. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (options.ownerUrl !== null) await migrate(options, options.ownerUrl);
  const orm = await MikroORM.init({
    clientUrl: options.url,
    entities: options.entities ?? [],
    discovery: { warnWhenNoEntities: false },
    pool: { min: 1, max: options.connectionsMax ?? CONNECTIONS_MAX },
    driverOptions: { types: { getTypeParser }, Client: PreparingClient },
    debug: false,
    logger: (message) => options.logger.debug(message),
  });
  const root = orm.em as EntityManager;
  const pool = openPool(options);
  const sql = sqlBy(async (text, params) => (await (tracingIsOn() ? queryInContext(pool, text, params) : pool.query(text, params))).rows as unknown[]);
  return {
    fork: () => root.fork(),
    sql,
    sqlTransaction: (work) => runTransaction(pool, work),
    transaction: (work) => root.fork().transactional((em) => work(em, sqlOf(em))),
    check: async () => {
      await sql('select 1');
      return null;
    },
    close: async () => {
      await Promise.all([orm.close(true), pool.end()]);
    },
  };
}

/** Statements in the transaction of `em` (or outside, if it has none). */
export function sqlOf(em: EntityManager): Sql {
  const kysely = em.getKysely();
  return sqlBy(async (text, params) => (await kysely.executeQuery(CompiledQuery.raw(text, params))).rows);
}

/** Ids, numbers, dates and words as PostgreSQL writes an array of them: nothing in them needs an escape, which for thousands is worth knowing. */
export function plainArray(values: readonly (string | number | null)[]): string {
  return `{${values.map((value) => value ?? 'null').join(',')}}`;
}

/** Sends every statement at once, those that might wait too. */
function sqlBy(run: (text: string, params: unknown[]) => Promise<unknown[]>): Sql {
  const sql = async <Row>(text: string, params: readonly unknown[] = []) => (await run(text, [...params])) as Row[];
  return Object.assign(sql, {
    later: async (text: string, params: readonly unknown[] = []) => {
      await run(text, [...params]);
    },
  });
}

function openPool({ url, logger, connectionsMax }: DatabaseOptions): Pool {
  const settings = {
    connectionString: url,
    Client: PreparingClient,
    types: { getTypeParser },
    // A statement may be sent before the one before it is answered: see runTransaction.
    pipeline: true,
    max: connectionsMax ?? SQL_CONNECTIONS_MAX,
  };
  const pool = new Pool(settings);
  const onLoss = (error: Error): void => logger.warn({ err: error }, 'a database connection was lost');
  pool.on('error', onLoss);
  pool.on('connect', (client) => client.on('error', onLoss));
  return pool;
}

/** The pool's own `query` sends in the context of whoever gave the connection back: a span would be in somebody else's trace. */
async function queryInContext(pool: Pool, text: string, params: unknown[]): Promise<{ readonly rows: unknown[] }> {
  const client = await pool.connect();
  try {
    const answer = await client.query(text, params);
    client.release();
    return answer;
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

/** What leaves in one packet. A packet and the wait for its answer cost more than most of the statements in it. */
type Statement = readonly [text: string, params?: readonly unknown[]];

interface Answer {
  readonly rows: unknown[];
  /** The first word of the statement that was done. */
  readonly command: string;
}

async function runTransaction<Result>(pool: Pool, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  // `begin` leaves with the first statement, and what may wait with the one after it, at last with `commit`.
  let waiting: Statement[] = [['begin']];
  let begun = false;
  const flush = async (...statements: Statement[]): Promise<Answer | undefined> => {
    const packet = [...waiting, ...statements];
    waiting = [];
    begun = true;
    return (await sendTogether(client, packet)).at(-1);
  };
  const sql: Sql = Object.assign(async <Row>(text: string, params: readonly unknown[] = []) => ((await flush([text, params]))?.rows ?? []) as Row[], {
    later: async (text: string, params: readonly unknown[] = []) => {
      waiting.push([text, params]);
    },
  });
  let broken = false;
  try {
    const result = await work(sql);
    if (begun || waiting.length > 1) {
      const committed = await flush(['commit']);
      // What PostgreSQL answers, without an error, when a statement had failed and nobody let its error through.
      if (committed?.command !== 'COMMIT') throw new Error('The transaction was rolled back: a statement in it had failed');
    }
    return result;
  } catch (error) {
    if (begun) {
      await client.query('rollback').catch(() => {
        broken = true;
      });
    }
    throw error;
  } finally {
    client.release(broken);
  }
}

/** @throws the first error; the statements behind a failed one fail with it, and a `commit` among them rolls back */
async function sendTogether(client: PoolClient, statements: readonly Statement[]): Promise<Answer[]> {
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.cork();
  const answers = statements.map(([text, params]) => client.query(text, params === undefined ? undefined : [...params]));
  process.nextTick(() => stream.uncork());
  const settled = await Promise.allSettled(answers);
  return settled.map((answer) => {
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  });
}

async function migrate({ migrations, logger }: DatabaseOptions, ownerUrl: string): Promise<void> {
  const lock = new Client({ connectionString: ownerUrl });
  lock.on('error', (error) => logger.warn({ err: error }, 'a database connection was lost'));
  await lock.connect();
  try {
    await lock.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    if (await upToDate(lock, migrations)) return;
    const orm = await MikroORM.init({
      clientUrl: ownerUrl,
      entities: [],
      discovery: { warnWhenNoEntities: false },
      extensions: [Migrator],
      migrations: {
        migrationsList: migrations.map((migration) => ({ name: migration.name, class: migration as never })),
        snapshot: false,
        snapshotOnMigrate: false,
      },
      pool: { min: 0, max: 2 },
      debug: false,
      logger: (message: string) => logger.debug(message),
    } as never);
    try {
      const done = await orm.migrator.up();
      logger.info({ migrations: done.map(({ name }) => name) }, 'migrated');
    } finally {
      await orm.close(true);
    }
  } finally {
    await lock.end();
  }
}

/** Saves every start but the first the time that a second ORM takes. */
async function upToDate(owner: Client, migrations: DatabaseOptions['migrations']): Promise<boolean> {
  const table = await owner.query<{ found: boolean }>(`select to_regclass('mikro_orm_migrations') is not null as found`);
  if (table.rows[0]?.found !== true) return false;
  const { rows } = await owner.query<{ name: string }>('select name from mikro_orm_migrations');
  const known = new Set(rows.map(({ name }) => name));
  return migrations.every(({ name }) => known.has(name));
}
