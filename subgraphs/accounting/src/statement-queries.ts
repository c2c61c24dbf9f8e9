import type { EntryKind } from '@ates/shared-events/accounting-events';
import { cents, type Cents } from '@ates/shared-events/cents';
import { connectionOf, foreignCursor, pageOf, wholeNumber, type Connection, type Page, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId } from '@ates/service-kit/identifiers';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import DataLoader from 'dataloader';
import { UNKNOWN_TASK, UNKNOWN_USER_NAME } from './copies.ts';
import type { TaskLabel } from './ledger.ts';
import { knownTasks } from './prices.ts';
import type { Price } from './pricing.ts';

export interface AccountRow {
  readonly id: string;
  readonly ownerId: string;
  readonly balance: Cents;
  readonly entryCount: number;
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
  /** The day that it belongs to, if that was closed when it came. */
  readonly lateFor: string | null;
  readonly postedAt: Date;
}

/** An account at a moment; null for now. */
export interface BalanceRequest {
  readonly accountId: string;
  readonly at: Date;
}

/** An entry by its place in its account. */
export type EntryPlace = Pick<EntryRow, 'accountId' | 'number'>;

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
  readonly entry_count: number;
}

type RawEntry = Omit<EntryRow, 'amount' | 'balanceAfter'> & { readonly amount: string; readonly balanceAfter: string };

const ACCOUNT = `select id, owner_id, balance, entry_count from accounts where kind = 'EMPLOYEE'`;
const accountOf = ({ id, owner_id, balance, entry_count }: RawAccount): AccountRow => ({ id, ownerId: owner_id, balance: cents(balance), entryCount: entry_count });

const ENTRY = `entry.id, entry.account_id as "accountId", entry.number, posting.kind, entry.amount, entry.balance_after as "balanceAfter",
  posting.description, posting.task_id as "taskId", entry.business_day::text as "businessDay", posting.late_for::text as "lateFor", posting.posted_at as "postedAt"`;
const entryOf = (row: RawEntry): EntryRow => ({ ...row, amount: cents(row.amount), balanceAfter: cents(row.balanceAfter) });

/** Everything that an operation reads by key, each kind in one statement for all that is asked for at once. */
export interface StatementLoaders {
  readonly accountsById: Loader<string, AccountRow | null>;
  readonly accountsByOwner: Loader<string, AccountRow | null>;
  readonly userNames: Loader<string, string>;
  readonly tasks: Loader<string, TaskCopy>;
  readonly earnedToday: Loader<string, Cents>;
  readonly balances: DataLoader<BalanceRequest, Cents>;
  readonly hashes: DataLoader<EntryPlace, string | null>;
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
    balances: new DataLoader((requests) => balancesAt(sql, requests), { cache: false }),
    hashes: new DataLoader((places) => hashesOf(sql, places), { cache: false }),
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
    const rows = await sql<RawEntry>(
      `select ${ENTRY}
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
      answers.set(request, connectionOf((byAccount.get(request.accountId) ?? []).map(entryOf), page, ({ number }) => [String(number)]));
    }
  }
  return requests.map((request) => answers.get(request) as Connection<EntryRow>);
}

/** An account's entries from a number on, oldest first; for who may have missed some. */
export async function entriesAfter(sql: Sql, accountId: string, afterNumber: number, limit: number): Promise<EntryRow[]> {
  const rows = await sql<RawEntry>(
    `select ${ENTRY} from entries as entry join postings as posting on posting.id = entry.posting_id
     where account_id = $1 and number > $2 order by number limit $3`,
    [accountId, afterNumber, limit],
  );
  return rows.map(entryOf);
}

/** The number of an account's entry. @throws DomainError BAD_USER_INPUT when the account has none of that id */
export async function numberOfEntry(sql: Sql, accountId: string, entryId: string): Promise<number> {
  const [entry] = isId(entryId) ? await sql<{ number: number }>('select number from entries where id = $1 and account_id = $2', [entryId, accountId]) : [];
  if (entry === undefined) throw new DomainError('BAD_USER_INPUT', 'after is no entry of this account: give the id of the last entry that you have of it, or leave it out');
  return entry.number;
}

/** Balances at moments, each account's found by halving: the same effort however long its history. */
async function balancesAt(sql: Sql, requests: readonly BalanceRequest[]): Promise<Cents[]> {
  const rows = await sql<{ balance: string }>(
    'select balance_as_of(account_id, moment) as balance from unnest($1::uuid[], $2::timestamptz[]) with ordinality as asked (account_id, moment, place) order by place',
    [requests.map(({ accountId }) => accountId), requests.map(({ at }) => at)],
  );
  return rows.map(({ balance }) => cents(balance));
}

/** Entries' hashes in hex; null for those that are not sealed yet. */
async function hashesOf(sql: Sql, places: readonly EntryPlace[]): Promise<(string | null)[]> {
  const rows = await sql<{ hash: string | null }>(
    `select encode(hash, 'hex') as hash from unnest($1::uuid[], $2::integer[]) with ordinality as asked (account_id, number, place)
     left join entry_seals using (account_id, number) order by place`,
    [places.map(({ accountId }) => accountId), places.map(({ number }) => number)],
  );
  return rows.map(({ hash }) => hash);
}

/** Which accounts are asked for; null and what is left out are all. */
export interface AccountFilter {
  readonly inTheRed?: boolean | null;
  readonly ownerId?: string | null;
}

/** A page of employees' accounts, in the order in which they were opened. */
export async function listAccounts(sql: Sql, filter: AccountFilter, pageArguments: PageArguments): Promise<Connection<AccountRow>> {
  const page = pageOf(pageArguments);
  const ownerId = filter.ownerId ?? null;
  if (ownerId !== null && !isId(ownerId)) return connectionOf<AccountRow>([], page, ({ id }) => [id]);
  const rows = await sql<RawAccount>(
    `${ACCOUNT} and ($1::boolean is null or (balance < 0) = $1) and ($2::uuid is null or id > $2) and ($4::uuid is null or owner_id = $4) order by id limit $3`,
    [filter.inTheRed ?? null, idIn(page.after), page.limit + 1, ownerId],
  );
  return connectionOf(rows.map(accountOf), page, ({ id }) => [id]);
}

/** The id that a cursor of one part holds; null at the beginning. @throws DomainError BAD_USER_INPUT when it holds none */
export function idIn(after: readonly string[] | null): string | null {
  if (after === null) return null;
  const [id] = after;
  if (id === undefined || !isId(id)) throw foreignCursor();
  return id;
}
