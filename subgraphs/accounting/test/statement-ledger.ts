import { openDatabase, type Database, type Sql } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp, listen, type RunningHttpServer } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { serveStatements } from '../src/statement-door.ts';
import { statementLink, statementLinkKey, type StatementFormat } from '../src/statement-links.ts';
import { periodOf, type StatementPeriod } from '../src/statement-period.ts';

export const SECRET = 'the secret of the gateway of this test';
export const NOW = new Date('2026-12-01T09:00:00Z');
const key = statementLinkKey(SECRET);

/** What is posted to an employee's account: the sign says whose money it is. */
export interface Posted {
  readonly kind: string;
  readonly amount: number;
  readonly day: string;
  readonly description: string;
  readonly taskId?: string | null;
  readonly at?: string;
  /** Of a reversal: which of these, from 1. */
  readonly reverses?: number;
}


/** A ledger of its own, on a real database. */
export interface TestLedger {
  readonly database: Database;
  close(): Promise<void>;
}

export async function openLedger(): Promise<TestLedger> {
  const tables = await createTestDatabase('accounting');
  const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('accounting', 'fatal') });
  return {
    database,
    close: async () => {
      await database.close();
      await tables.drop();
    },
  };
}

export async function openAccount({ sql }: Database, name: string): Promise<string> {
  const [accountId, ownerId] = [uuidv7(), uuidv7()];
  await sql(`insert into accounts (id, kind, owner_id) values ($1, 'EMPLOYEE', $2)`, [accountId, ownerId]);
  await sql('insert into user_copies (user_id, name) values ($1, $2)', [ownerId, name]);
  return accountId;
}

/** Through all of the ledger's checks, in one statement as they ask for. */
export async function post({ sql }: Database, accountId: string, posted: readonly Posted[]): Promise<void> {
  await sql(
    `with made as materialized (
       select *, uuidv7() as id from unnest($2::text[], $3::bigint[], $4::date[], $5::text[], $6::uuid[], $7::timestamptz[], $8::int[])
         with ordinality as posted (kind, amount, day, description, task_id, at, reverses, place)
     ), written as (
       insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, reverses, reason, posted_at)
       select id, kind, id::text, case when amount < 0 then $1::uuid else '${COMPANY_ACCOUNT}' end, case when amount < 0 then '${COMPANY_ACCOUNT}' else $1::uuid end,
         abs(amount), task_id, day, description, original_id, case when reverses is not null then 'a test' end, at
       from made left join (select id as original_id, place as original_place from made) as original on original_place = reverses
     ), sides as (
       select id as posting_id, place, day, $1::uuid as account_id, amount from made
       union all select id, place, day, '${COMPANY_ACCOUNT}', -amount from made
     ), entered as (
       insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
       select uuidv7(), posting_id, sign(sides.amount), account_id, entry_count + place, sides.amount,
         balance + sum(sides.amount) over (partition by account_id order by place), day
       from sides join accounts on accounts.id = account_id
     )
     update accounts set balance = balance + change, entry_count = entry_count + count
     from (select account_id, sum(amount) as change, count(*) as count from sides group by account_id) as sum where accounts.id = account_id`,
    [
      accountId,
      posted.map(({ kind }) => kind),
      posted.map(({ amount }) => amount),
      posted.map(({ day }) => day),
      posted.map(({ description }) => description),
      posted.map(({ taskId }) => taskId ?? null),
      posted.map(({ at, day }) => at ?? `${day}T12:00:00Z`),
      posted.map(({ reverses }) => reverses ?? null),
    ],
  );
}

export const fee = (day: string, amount: number, description = 'Fee for POPUG-17 Feed the parrot, assignment 1'): Posted => ({ kind: 'FEE', amount: -amount, day, description });
export const reward = (day: string, amount: number): Posted => ({ kind: 'REWARD', amount, day, description: 'Reward for POPUG-17 Feed the parrot' });
export const payout = (day: string, amount: number, at: string): Posted => ({ kind: 'PAYOUT', amount: -amount, day, description: `Payout of ${day}`, at });

/** What PostgreSQL says that a statement comes to, by reading everything. */
export async function truth({ sql }: Database, accountId: string, period: StatementPeriod) {
  const [sums] = await sql<{ opening: string; closing: string; entries: number }>(
    `select coalesce(sum(amount) filter (where business_day < $2), 0)::text as opening, coalesce(sum(amount) filter (where business_day <= $3), 0)::text as closing,
       count(*) filter (where business_day between $2 and $3)::int as entries from entries where account_id = $1`,
    [accountId, period.firstDay, period.lastDay],
  );
  return { opening: Number(sums?.opening), closing: Number(sums?.closing), entries: sums?.entries };
}

/** Cents of an amount as documents write it. */
export const centsOf = (dollars: string | undefined): number => {
  if (dollars === undefined || !/^-?\d+\.\d\d$/.test(dollars)) throw new Error(`${dollars} is no amount in dollars`);
  return Number(dollars.replace('.', ''));
};

export interface Door extends RunningHttpServer {
  readonly logs: string[];
  get(url: string, options?: { readonly method?: string; readonly secret?: string | null }): Promise<Response>;
}

export async function openDoor(sql: Sql, clock = () => NOW): Promise<Door> {
  const app = createHttpApp(createHealth(), createMetrics('accounting'));
  const logs: string[] = [];
  const logger = createLogger('accounting', 'debug', { write: (line) => void logs.push(line) });
  serveStatements(app, { sql, gatewaySecret: SECRET, key, clock, logger });
  const server = await listen(app, '127.0.0.1', 0);
  return {
    ...server,
    logs,
    get: (url, { method = 'GET', secret = SECRET } = {}) => fetch(`http://127.0.0.1:${server.port}${url}`, { method, headers: secret === null ? {} : { 'x-gateway-secret': secret } }),
  };
}

export const linkTo = (accountId: string, label: string, format: StatementFormat = 'CSV', now = NOW): string =>
  statementLink({ accountId, period: periodOf(label) as StatementPeriod, format, now, key }).url;
