import { v7 as uuidv7 } from 'uuid';
import type { Sql } from '@ates/service-kit/database';
import { accountBalanceChangedV1, accountChargedV1, accountRewardedV1 } from '@ates/shared-events/accounting-events';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { cents, type Cents } from '@ates/shared-events/cents';
import { newEvent } from '@ates/shared-events/event';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { applyPostings, type AccountState, type Entry, type Posting } from './ledger.ts';

/** An entry that was posted to an employee's account, with what its listeners want to know. */
export interface PostedEntry {
  readonly id: string;
  readonly accountId: string;
  readonly ownerId: string;
  readonly kind: Posting['kind'];
  readonly amount: Cents;
  readonly balanceAfter: Cents;
  readonly description: string;
  readonly taskId: string;
  readonly businessDay: string;
  readonly postedAt: Date;
}

interface LockedAccount extends AccountState {
  readonly ownerId: string | null;
  readonly version: number;
}

interface IdentifiedEntry extends Entry {
  readonly id: string;
}

/**
 * Posts to the ledger, inside the caller's transaction, in a few statements however many postings there are. What was
 * posted for the same cause before is left out. Employees' accounts are locked in one order and the company's, which
 * everybody needs, last.
 * @returns the employees' entries in order, and the events that tell of them, to be recorded in the same transaction
 */
export async function post(sql: Sql, postings: readonly Posting[], postedAt: Date): Promise<{ posted: PostedEntry[]; events: AtesEvent[] }> {
  if (postings.length === 0) return { posted: [], events: [] };
  const employees = await lockEmployeeAccounts(sql, [...new Set(postings.map(({ employeeId }) => employeeId))]);
  const fresh = await insertPostings(sql, postings, employees, postedAt);
  if (fresh.length === 0) return { posted: [], events: [] };
  const company = await lockCompanyAccount(sql);
  const { entries, accountsAfter } = applyPostings(fresh, employees, company);
  const identified = entries.map((entry) => ({ ...entry, id: uuidv7() }));
  const { posted, events, versions } = announce(fresh, identified, employees, postedAt);
  await insertEntries(sql, identified, accountsAfter, versions);
  return { posted, events };
}

/** Makes an account for each of these employees who has none. */
export async function openAccounts(sql: Sql, ownerIds: readonly string[]): Promise<void> {
  await sql(
    `insert into accounts (id, kind, owner_id)
     select uuidv7(), 'EMPLOYEE', owner_id from unnest($1::uuid[]) as owner (owner_id) on conflict (owner_id) do nothing`,
    [ownerIds],
  );
}

async function lockEmployeeAccounts(sql: Sql, ownerIds: readonly string[]): Promise<ReadonlyMap<string, LockedAccount>> {
  const lock = async (): Promise<LockedAccount[]> => {
    const rows = await sql<{ id: string; owner_id: string; balance: string; entry_count: number; version: number }>(
      'select id, owner_id, balance, entry_count, version from accounts where owner_id = any($1::uuid[]) order by id for update',
      [ownerIds],
    );
    return rows.map((row) => ({ id: row.id, ownerId: row.owner_id, balance: cents(row.balance), entryCount: row.entry_count, version: row.version }));
  };
  let accounts = await lock();
  if (accounts.length < ownerIds.length) {
    // Their user has not been heard of yet: charged at once, named later.
    await openAccounts(sql, ownerIds);
    accounts = await lock();
  }
  return new Map(accounts.map((account) => [account.ownerId as string, account]));
}

async function lockCompanyAccount(sql: Sql): Promise<AccountState> {
  const [row] = await sql<{ balance: string; entry_count: number }>('select balance, entry_count from accounts where id = $1 for update', [COMPANY_ACCOUNT]);
  if (row === undefined) throw new Error('The company has no account: the first migration makes it');
  return { id: COMPANY_ACCOUNT, balance: cents(row.balance), entryCount: row.entry_count };
}

async function insertPostings(sql: Sql, postings: readonly Posting[], employees: ReadonlyMap<string, LockedAccount>, postedAt: Date): Promise<Posting[]> {
  const accountOf = ({ employeeId }: Posting) => employees.get(employeeId)?.id;
  const inserted = await sql<{ id: string }>(
    `insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, posted_at)
     select id, kind, cause, from_account, to_account, amount, task_id, business_day, description, $10
     from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::uuid[], $8::date[], $9::text[]) with ordinality
       as posting (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, position)
     order by position
     on conflict (cause) do nothing returning id`,
    [
      postings.map(({ id }) => id),
      postings.map(({ kind }) => kind),
      postings.map(({ cause }) => cause),
      postings.map((posting) => (posting.kind === 'FEE' ? accountOf(posting) : COMPANY_ACCOUNT)),
      postings.map((posting) => (posting.kind === 'FEE' ? COMPANY_ACCOUNT : accountOf(posting))),
      postings.map(({ amount }) => amount),
      postings.map(({ taskId }) => taskId),
      postings.map(({ businessDay }) => businessDay),
      postings.map(({ description }) => description),
      postedAt,
    ],
  );
  const fresh = new Set(inserted.map(({ id }) => id));
  return postings.filter(({ id }) => fresh.has(id));
}

async function insertEntries(
  sql: Sql,
  entries: readonly IdentifiedEntry[],
  accountsAfter: readonly AccountState[],
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  await sql(
    `with inserted as (
       insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
       select * from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::uuid[], $5::int[], $6::bigint[], $7::bigint[], $8::date[])
     )
     update accounts set balance = after.balance, entry_count = after.entry_count, version = coalesce(after.version, accounts.version)
     from unnest($9::uuid[], $10::bigint[], $11::int[], $12::int[]) as after (id, balance, entry_count, version) where accounts.id = after.id`,
    [
      entries.map(({ id }) => id),
      entries.map(({ postingId }) => postingId),
      entries.map(({ side }) => side),
      entries.map(({ accountId }) => accountId),
      entries.map(({ number }) => number),
      entries.map(({ amount }) => amount),
      entries.map(({ balanceAfter }) => balanceAfter),
      entries.map(({ businessDay }) => businessDay),
      accountsAfter.map(({ id }) => id),
      accountsAfter.map(({ balance }) => balance),
      accountsAfter.map(({ entryCount }) => entryCount),
      accountsAfter.map(({ id }) => versions.get(id) ?? null),
    ],
  );
}

/** One event per employee's entry, then one balance per account touched, each with the account's next version. */
function announce(postings: readonly Posting[], entries: readonly IdentifiedEntry[], employees: ReadonlyMap<string, LockedAccount>, postedAt: Date) {
  const byPosting = new Map(entries.filter(({ accountId }) => accountId !== COMPANY_ACCOUNT).map((entry) => [entry.postingId, entry]));
  const versions = new Map([...employees.values()].map(({ id, version }) => [id, version]));
  const lastOf = new Map<string, { ownerId: string; balance: Cents; traceparent: string }>();
  const nextVersion = (accountId: string): number => {
    const version = (versions.get(accountId) ?? 0) + 1;
    versions.set(accountId, version);
    return version;
  };
  const posted: PostedEntry[] = [];
  const events: AtesEvent[] = [];
  for (const posting of postings) {
    const { id, accountId, amount, balanceAfter } = byPosting.get(posting.id) as IdentifiedEntry;
    const { kind, description, taskId, businessDay, employeeId: ownerId, traceparent } = posting;
    posted.push({ id, accountId, ownerId, kind, amount, balanceAfter, description, taskId, businessDay, postedAt });
    const entry = { id, kind, amount, balanceAfter, description, taskId, businessDay, postedAt: postedAt.toISOString() };
    const definition = kind === 'FEE' ? accountChargedV1 : accountRewardedV1;
    events.push(newEvent(definition, accountId, { version: nextVersion(accountId), ownerId, entry }, { time: postedAt, traceparent }));
    lastOf.set(accountId, { ownerId, balance: balanceAfter, traceparent });
  }
  for (const [accountId, { ownerId, balance, traceparent }] of lastOf) {
    const state = { version: nextVersion(accountId), ownerId, balance, changedAt: postedAt.toISOString() };
    events.push(newEvent(accountBalanceChangedV1, accountId, state, { time: postedAt, traceparent }));
  }
  return { posted, events, versions };
}
