import { chmodSync, existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openDatabase, type Database } from '@ates/service-kit/database';
import pg from 'pg';
import { randomFrom } from '../chaos/random.ts';
import { startPostgres } from '../scripts/embedded-postgres.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { provisionDatabases, urlOfDatabase } from '../scripts/provision-databases.ts';
import { COMPANY_ACCOUNT, PAYOUTS_ACCOUNT } from '../subgraphs/accounting/migrations/2026-11-20-accounting.ts';
import { MIGRATIONS } from '../subgraphs/accounting/migrations/all.ts';
import { logger } from './ledger-database.ts';
import { EMPLOYEES, LedgerYears, type PostingRow } from './ledger-years.ts';
import type { Place } from './tasks-place.ts';

/** Accounting's database of its own, with years of entries. */
export interface FilledLedger {
  readonly database: Database;
  /** As the service's role, for what is not part of the service. */
  readonly url: string;
  /** As the superuser, who sees what all sessions did. */
  readonly adminUrl: string;
}

export interface LoadOptions {
  readonly place: Place;
  /** Of PostgreSQL; filled already if it is there. */
  readonly folder: string;
  readonly entries: number;
  readonly seed: number;
  readonly say: (text: string) => void;
}

const PASSWORD = 'bench';
const CHUNK = 5_000;
const LOADERS = 2;
/** With the indexes, and besides it the log of changes. */
const BYTES_PER_ENTRY = 500;
const BYTES_BESIDES = 4e9;
const GB = 1e9;
/** While rows are loaded only; measured is what PostgreSQL has by default here. The ledger's triggers are not asked: see `check`. */
const FAST = `set synchronous_commit = off; set session_replication_role = replica; set maintenance_work_mem = '512MB'`;
const TITLES = ['Feed the parrots of the east wing', 'Polish the perches before the board meets', 'Count the seeds in the cellar', 'Teach the newcomers the company song', 'Sweep the feathers off the stairs', 'Mend the swing in the lobby', 'Bring the mail to the tree houses'];
const id = (of: 'owner' | 'account' | 'task', column: string): string => `md5('${of} ' || ${column})::uuid`;

const COLUMNS = ['kind', 'employee', 'task', 'assignment', 'amount', 'employeeNumber', 'employeeBalance', 'otherNumber', 'otherBalance', 'day', 'postedAt'] as const satisfies (keyof PostingRow)[];
const INSERT = `
  with row as materialized (
    select uuidv7(posted_at - clock_timestamp()) as id, row.*, ${id('account', 'employee')} as account_id, case kind when 'REWARD' then 1 else -1 end as side,
      case kind when 'PAYOUT' then '${PAYOUTS_ACCOUNT}'::uuid else '${COMPANY_ACCOUNT}'::uuid end as other_id,
      case when task > 0 then ${id('task', 'task')} end as task_id, 'POPUG-' || task || ' ' || ($12::text[])[1 + task % ${TITLES.length}] as label
    from unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::bigint[], $6::int[], $7::bigint[], $8::int[], $9::bigint[], $10::date[], $11::timestamptz[])
      as row (kind, employee, task, assignment, amount, employee_number, employee_balance, other_number, other_balance, day, posted_at)
  ), posted as (
    insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, posted_at)
    select id, kind, case kind when 'FEE' then 'fee/' || task_id || '/' || assignment when 'REWARD' then 'reward/' || task_id else 'payout/' || day || '/' || account_id end,
      case side when 1 then other_id else account_id end, case side when 1 then account_id else other_id end, amount, task_id, day,
      case kind when 'FEE' then 'Fee for ' || label || ', assignment ' || assignment when 'REWARD' then 'Reward for ' || label else 'Payout of the balance of ' || day end, posted_at
    from row
  )
  insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
  select uuidv7(posted_at - clock_timestamp()), id, row.side * own, case own when 1 then account_id else other_id end, case own when 1 then employee_number else other_number end,
    row.side * own * amount, case own when 1 then employee_balance else other_balance end, day
  from row cross join (values (1), (-1)) as sides (own)`;

/** Starts PostgreSQL with its own settings and durability, and makes the history unless it is there. @throws when the disk has no room */
export async function loadLedger(options: LoadOptions): Promise<FilledLedger> {
  const { place, folder, entries, seed, say } = options;
  const marker = join(folder, `filled-${entries}-${seed}`);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711);
  if (!existsSync(marker)) checkRoom(options);
  const [port = 0] = await chooseFreePorts(1);
  const starting = startPostgres({ dataDir: join(folder, 'postgres'), port, superuserPassword: PASSWORD });
  place.stopAtEnd(starting);
  const postgres = await starting;
  await provisionDatabases({ superuserUrl: postgres.superuserUrl, services: [{ name: 'accounting', ownerPassword: PASSWORD, appPassword: PASSWORD }] });
  const url = urlOfDatabase(postgres.superuserUrl, 'accounting', { name: 'accounting', password: PASSWORD });
  const ownerUrl = urlOfDatabase(postgres.superuserUrl, 'accounting', { name: 'accounting_owner', password: PASSWORD });
  const adminUrl = urlOfDatabase(postgres.superuserUrl, 'accounting');
  const database = await openDatabase({ url, ownerUrl, entities: [], migrations: MIGRATIONS, logger });
  if (existsSync(marker)) say(`the ${entries} entries of ${folder} are used again`);
  else {
    await load(adminUrl, new LedgerYears(randomFrom(seed), Math.round(entries / 2), new Date()), say);
    writeFileSync(marker, '');
  }
  return { database, url, adminUrl };
}

function checkRoom({ folder, entries, say }: LoadOptions): void {
  const { bavail, bsize } = statfsSync(folder);
  const needed = entries * BYTES_PER_ENTRY + BYTES_BESIDES;
  const rooms = `${((bavail * bsize) / GB).toFixed(0)} GB are free where ${folder} is, ${(needed / GB).toFixed(1)} GB are needed at most`;
  if (bavail * bsize < needed) throw new Error(`${rooms}: give another folder by --data, or fewer --entries`);
  say(rooms);
}

/** Rows first, as two sessions, and the indexes over them afterwards. */
async function load(url: string, years: LedgerYears, say: (text: string) => void): Promise<void> {
  const clients = Array.from({ length: LOADERS }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  try {
    const [first] = clients as [pg.Client];
    for (const client of clients) await client.query(FAST);
    const startedAt = performance.now();
    const seconds = (): string => `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`;
    const indexes = await dropIndexes(first);
    const chunks = years.chunks(CHUNK);
    let inserted = 0;
    let told = 0;
    await Promise.all(
      clients.map(async (client) => {
        for (let next = chunks.next(); next.done !== true; next = chunks.next()) {
          await client.query(INSERT, [...COLUMNS.map((name) => next.value.map((row) => row[name])), TITLES]);
          inserted += next.value.length;
          if (inserted >= told + 1_000_000) say(`${(told = inserted)} postings inserted, ${seconds()}`);
        }
      }),
    );
    await addAround(first, years);
    const left = [...indexes];
    await Promise.all(
      clients.map(async (client) => {
        for (let statement = left.shift(); statement !== undefined; statement = left.shift()) await client.query(statement.create);
      }),
    );
    for (const { attach } of indexes) if (attach !== null) await first.query(attach);
    say(`${inserted} postings with ${indexes.length} indexes, ${seconds()}`);
    for (const table of ['postings', 'entries', 'accounts', 'day_closings', 'mails', 'user_copies']) await first.query(`vacuum (analyze) ${table}`);
    await first.query('checkpoint');
    await check(first, inserted);
    const { rows } = await first.query<{ size: string }>('select pg_size_pretty(pg_database_size(current_database())) as size');
    say(`vacuumed, analyzed, written and found right, ${seconds()}; it takes ${rows[0]?.size}`);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

interface Index {
  readonly create: string;
  /** Makes it the constraint that it was; null when it was none. */
  readonly attach: string | null;
}

/** @returns how to make them again, as the migrations had made them */
async function dropIndexes(client: pg.Client): Promise<Index[]> {
  const { rows } = await client.query<{ name: string; definition: string; constrained: string; type: string | null }>(
    `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition, indrelid::regclass::text as constrained, contype as type
     from pg_index left join pg_constraint on conindid = indexrelid and contype in ('p', 'u') where indrelid in ('postings'::regclass, 'entries'::regclass)`,
  );
  for (const { name, constrained, type } of rows) await client.query(type === null ? `drop index ${name}` : `alter table ${constrained} drop constraint ${name}`);
  return rows.map(({ name, definition, constrained, type }) => ({
    create: definition,
    attach: type === null ? null : `alter table ${constrained} add constraint ${name} ${type === 'p' ? 'primary key' : 'unique'} using index ${name}`,
  }));
}

/** Whose accounts they are, how these stand, the days and the mails of the payouts. */
async function addAround(client: pg.Client, { employees, company, payouts, days }: LedgerYears): Promise<void> {
  await client.query(`insert into user_copies (user_id, name, email, roles) select ${id('owner', 'number')}, 'Popug ' || number, 'popug-' || number || '@ates.test', '{EMPLOYEE}' from generate_series(0, ${EMPLOYEES - 1}) as number`);
  await client.query(
    `insert into accounts (id, kind, owner_id, balance, entry_count, version)
     select ${id('account', '(place - 1)')}, 'EMPLOYEE', ${id('owner', '(place - 1)')}, balance, entries, 2 * entries from unnest($1::bigint[], $2::int[]) with ordinality as account (balance, entries, place)`,
    [employees.map(({ balance }) => balance), employees.map(({ entries }) => entries)],
  );
  for (const [account, { balance, entries }] of [[COMPANY_ACCOUNT, company], [PAYOUTS_ACCOUNT, payouts]] as const) {
    await client.query('update accounts set balance = $2, entry_count = $3 where id = $1', [account, balance, entries]);
  }
  await client.query(
    `insert into day_closings (day, version, assignments, completions, ended_at, marked_assignments, marked_completions, marked_deletions, closed_at, company_earnings, paid_out, paid_employees, carried_over, employees_in_the_red)
     select day, 2, assignments, completions, closed_at, assignments, completions, 0, closed_at, earnings, paid_out, paid_employees, carried_over, in_the_red
     from unnest($1::date[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::bigint[], $8::int[], $9::timestamptz[])
       as row (day, assignments, completions, earnings, paid_out, paid_employees, carried_over, in_the_red, closed_at)`,
    (['day', 'assignments', 'completions', 'earnings', 'paidOut', 'paidEmployees', 'carriedOver', 'inTheRed', 'closedAt'] as const).map((name) => days.map((day) => day[name])),
  );
  await client.query(
    `insert into mails (kind, business_day, recipient_id, payout_id, status, attempts, sent_at)
     select 'PAYOUT', business_day, owner_id, postings.id, 'SENT', 1, posted_at from postings join accounts on accounts.id = from_account where postings.kind = 'PAYOUT'`,
  );
}

/** What the ledger's triggers would have seen to. @throws when it is not so */
async function check(client: pg.Client, postings: number): Promise<void> {
  const { rows } = await client.query<{ postings: number; entries: number; wrong: number; off: number; sum: number }>(
    `with walked as (
       select account_id, number, balance_after, entries.amount, row_number() over in_order as place, sum(entries.amount) over in_order as balance,
         posted_at < lag(posted_at) over in_order as is_early, entries.side * postings.amount <> entries.amount as is_other
       from entries join postings on postings.id = posting_id window in_order as (partition by account_id order by number)
     ), ends as (
       select account_id, count(*) as entries, sum(amount) as balance, count(*) filter (where number <> place or balance_after <> balance or is_early or is_other) as wrong from walked group by 1
     )
     select (select count(*)::int from postings) as postings, coalesce(sum(ends.entries), 0)::int as entries, coalesce(sum(wrong), 0)::int as wrong, coalesce(sum(ends.balance), 0)::int as sum,
       count(*) filter (where accounts.balance <> coalesce(ends.balance, 0) or entry_count <> coalesce(ends.entries, 0))::int as off
     from accounts full join ends on account_id = accounts.id`,
  );
  const [found] = rows;
  if (found?.postings !== postings || found.entries !== 2 * postings || found.wrong + found.off !== 0 || found.sum !== 0) throw new Error(`The history was loaded wrong: ${JSON.stringify(found)} of ${postings} postings`);
}
