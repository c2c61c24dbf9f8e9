import type { EntryKind } from '@ates/shared-events/accounting-events';
import { cents, type Cents } from '@ates/shared-events/cents';
import { connectionOf, pageOf, wholeNumber, type Connection, type Page, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import DataLoader from 'dataloader';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { UNKNOWN_TASK, UNKNOWN_USER_NAME } from './copies.ts';
import type { TaskLabel } from './ledger.ts';
import { knownTasks } from './prices.ts';
import type { Price } from './pricing.ts';

export interface AccountRow {
  readonly id: string;
  readonly ownerId: string;
  readonly balance: Cents;
}

export interface EntryRow {
  readonly id: string;
  readonly accountId: string;
  readonly number: number;
  readonly kind: EntryKind;
  readonly amount: Cents;
  readonly balanceAfter: Cents;
  readonly description: string;
  readonly taskId: string | null;
  readonly businessDay: string;
  readonly postedAt: Date;
}

/** The entries of one account that are asked for. */
export interface StatementRequest {
  readonly accountId: string;
  readonly day: string | null;
  readonly page: Page;
}

export type TaskCopy = TaskLabel & { readonly id: string; readonly price: Price | null };

interface RawAccount {
  readonly id: string;
  readonly owner_id: string;
  readonly balance: string;
}

const ACCOUNT = `select id, owner_id, balance from accounts where kind = 'EMPLOYEE'`;
const accountOf = ({ id, owner_id, balance }: RawAccount): AccountRow => ({ id, ownerId: owner_id, balance: cents(balance) });

/** Everything that an operation reads by key, each kind in one statement for all that is asked for at once. */
export interface StatementLoaders {
  readonly accountsById: Loader<string, AccountRow | null>;
  readonly accountsByOwner: Loader<string, AccountRow | null>;
  readonly userNames: Loader<string, string>;
  readonly tasks: Loader<string, TaskCopy>;
  readonly earnedToday: Loader<string, Cents>;
  readonly statements: Loader<StatementRequest, Connection<EntryRow>>;
}

export function statementLoaders({ sql }: Database, currentDay: () => Promise<string>): StatementLoaders {
  return {
    accountsById: batchLoader(
      (ids) => sql<RawAccount>(`${ACCOUNT} and id = any($1::uuid[])`, [ids]),
      ({ id }) => id,
      (row) => (row === undefined ? null : accountOf(row)),
    ),
    accountsByOwner: batchLoader(
      (ids) => sql<RawAccount>(`${ACCOUNT} and owner_id = any($1::uuid[])`, [ids]),
      ({ owner_id }) => owner_id,
      (row) => (row === undefined ? null : accountOf(row)),
    ),
    userNames: batchLoader(
      (ids) => sql<{ user_id: string; name: string }>('select user_id, name from user_copies where user_id = any($1::uuid[])', [ids]),
      ({ user_id }) => user_id,
      (row) => row?.name ?? UNKNOWN_USER_NAME,
    ),
    tasks: taskCopyLoader(sql),
    earnedToday: batchLoader(
      async (ids) =>
        sql<{ account_id: string; earned: string }>(
          'select account_id, sum(amount)::text as earned from entries where account_id = any($1::uuid[]) and business_day = $2 group by account_id',
          [ids, await currentDay()],
        ),
      ({ account_id }) => account_id,
      (row) => cents(row?.earned ?? '0'),
    ),
    statements: new DataLoader((requests) => readStatements(sql, requests), { cache: false }),
  };
}

function taskCopyLoader(sql: Sql): Loader<string, TaskCopy> {
  return batchLoader(
    async (ids) => [...(await knownTasks(sql, ids))],
    ([id]) => id,
    (known, id) => ({ id, ...(known?.[1].label ?? UNKNOWN_TASK), price: known?.[1].price ?? null }),
  );
}

/** Pages of several accounts' entries, newest first: one statement for those that ask alike. */
async function readStatements(sql: Sql, requests: readonly StatementRequest[]): Promise<Connection<EntryRow>[]> {
  const alike = Map.groupBy(requests, ({ day, page }) => JSON.stringify([day, page]));
  const answers = new Map<StatementRequest, Connection<EntryRow>>();
  for (const group of alike.values()) {
    const [{ day, page }] = group as [StatementRequest];
    const rows = await sql<Omit<EntryRow, 'amount' | 'balanceAfter'> & { amount: string; balanceAfter: string }>(
      `select entry.id, entry.account_id as "accountId", entry.number, posting.kind, entry.amount, entry.balance_after as "balanceAfter",
         posting.description, posting.task_id as "taskId", entry.business_day::text as "businessDay", posting.posted_at as "postedAt"
       from unnest($1::uuid[]) as wanted (account_id)
       cross join lateral (
         select * from entries where entries.account_id = wanted.account_id
           and ($2::date is null or business_day = $2) and ($3::int is null or number < $3)
         order by number desc limit $4
       ) as entry
       join postings as posting on posting.id = entry.posting_id
       order by entry.account_id, entry.number desc`,
      [[...new Set(group.map(({ accountId }) => accountId))], day, page.after === null ? null : wholeNumber(page.after[0]), page.limit + 1],
    );
    const byAccount = Map.groupBy(rows, ({ accountId }) => accountId);
    for (const request of group) {
      const entries = (byAccount.get(request.accountId) ?? []).map((row) => ({ ...row, amount: cents(row.amount), balanceAfter: cents(row.balanceAfter) }));
      answers.set(request, connectionOf(entries, page, ({ number }) => [String(number)]));
    }
  }
  return requests.map((request) => answers.get(request) as Connection<EntryRow>);
}

/** A page of employees' accounts, in the order in which they were opened. */
export async function listAccounts(sql: Sql, inTheRed: boolean | null, pageArguments: PageArguments): Promise<Connection<AccountRow>> {
  const page = pageOf(pageArguments);
  const rows = await sql<RawAccount>(
    `${ACCOUNT} and ($1::boolean is null or (balance < 0) = $1) and ($2::uuid is null or id > $2) order by id limit $3`,
    [inTheRed, page.after?.[0] ?? null, page.limit + 1],
  );
  return connectionOf(rows.map(accountOf), page, ({ id }) => [id]);
}

/** Fees charged less rewards paid on a day, in cents. */
export async function companyEarnings(sql: Sql, day: string): Promise<Cents> {
  const [row] = await sql<{ earned: string }>(
    `select coalesce(sum(case '${COMPANY_ACCOUNT}'::uuid when to_account then amount when from_account then -amount end), 0)::text as earned
     from postings where business_day = $1 and kind <> 'PAYOUT'`,
    [day],
  );
  return cents(row?.earned ?? '0');
}
