import { setImmediate } from 'node:timers/promises';
import { newId } from '@ates/shared-events/new-id';
import { plainArray, type Sql } from '@ates/service-kit/database';
import { accountBalanceChangedV1, accountChargedV1, accountReversedV1, accountRewardedV1, type EntryKind } from '@ates/shared-events/accounting-events';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { cents, type Cents } from '@ates/shared-events/cents';
import { newEvent } from '@ates/shared-events/event';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { applyPostings, sidesOf, type AccountState, type Entry, type Posting, type Reversible } from './ledger.ts';

/** An entry that was posted to an employee's account, with what its listeners want to know. */
export interface PostedEntry {
  readonly id: string;
  readonly accountId: string;
  readonly ownerId: string;
  /** Counts the account's entries from 1. */
  readonly number: number;
  readonly kind: EntryKind;
  readonly amount: Cents;
  readonly balanceAfter: Cents;
  readonly description: string;
  readonly taskId: string | null;
  readonly businessDay: string;
  readonly lateFor: string | null;
  readonly postedAt: Date;
}

export interface LockedAccount extends AccountState {
  readonly ownerId: string | null;
  readonly version: number;
}

/** From so many postings on the database need not wait for their events. */
const MANY_POSTINGS = 100;

interface IdentifiedEntry extends Entry {
  readonly id: string;
}

/**
 * Posts to the ledger, inside the caller's transaction, in two statements however many postings there are. What was
 * posted for the same cause before is left out. Employees' accounts are locked in one order and the company's, which
 * everybody needs, last. Should somebody post one of the causes in the moment between, the unique key fails the
 * transaction, and its next try leaves that one out.
 * @param accounts as `lockAccounts` gave them for these postings
 * @returns the employees' entries in order, and the events that tell of them, to be recorded in the same transaction
 */
export async function post(
  sql: Sql,
  postings: readonly Posting[],
  { employees, company, posted: known }: LockedAccounts,
  postedAt: Date,
): Promise<{ posted: PostedEntry[]; events: AtesEvent[] }> {
  const fresh = withoutRepeated(postings, known);
  if (fresh.length === 0) return { posted: [], events: [] };
  const { entries, accountsAfter } = applyPostings(fresh, employees, company);
  const identified = entries.map((entry) => ({ ...entry, id: newId() }));
  const rows = { postings: fresh.map((posting) => ({ ...posting, ...sidesOf(posting, employees.get(posting.employeeId) as LockedAccount, company) })), entries: identified, accountsAfter, versions: versionsAfter(employees, accountsAfter) };
  if (fresh.length < MANY_POSTINGS) {
    await sql.later(INSERT_POSTINGS, columnsOf(rows, postedAt));
    return announce(fresh, identified, employees, postedAt);
  }
  // The database is at work while the events are made; for a few that would only be one more round trip.
  const written = sql(INSERT_POSTINGS, columnsOf(rows, postedAt));
  written.catch(() => {});
  await setImmediate();
  const announced = announce(fresh, identified, employees, postedAt);
  await written;
  return announced;
}

/** Each account's version after one event per entry, and one for the balance. */
function versionsAfter(employees: ReadonlyMap<string, LockedAccount>, accountsAfter: readonly AccountState[]): Map<string, number> {
  const before = new Map([...employees.values()].map((account) => [account.id, account]));
  return new Map(
    accountsAfter.flatMap(({ id, entryCount }) => {
      const account = before.get(id);
      return account === undefined ? [] : [[id, account.version + entryCount - account.entryCount + 1] as const];
    }),
  );
}

function withoutRepeated(postings: readonly Posting[], known: readonly string[]): Posting[] {
  const causes = new Set(known);
  return postings.filter(({ cause }) => !causes.has(cause) && causes.add(cause));
}

/** Makes an account for each of these employees who has none. */
export async function openAccounts(sql: Sql, ownerIds: readonly string[]): Promise<void> {
  await sql(
    `insert into accounts (id, kind, owner_id)
     select uuidv7(), 'EMPLOYEE', owner_id from unnest($1::uuid[]) as owner (owner_id) on conflict (owner_id) do nothing`,
    [ownerIds],
  );
}

/** The accounts that postings touch, locked until the transaction ends. */
export interface LockedAccounts {
  readonly employees: ReadonlyMap<string, LockedAccount>;
  readonly company: AccountState;
  /** Which of the causes have been posted already. */
  readonly posted: readonly string[];
}

/** Locks the company's account and those of `employeeIds`, and tells which of `causes` have been posted for. */
export async function lockAccounts(sql: Sql, employeeIds: readonly string[], causes: readonly string[]): Promise<LockedAccounts> {
  const ownerIds = [...new Set(employeeIds)];
  const lock = () =>
    sql<{ id: string; owner_id: string | null; balance: string; entry_count: number; version: number; posted: string[] }>(
      `select id, owner_id, balance, entry_count, version, array(select cause from postings where cause = any($2::text[])) as posted
       from accounts where owner_id = any($1::uuid[]) or id = '${COMPANY_ACCOUNT}'
       order by owner_id is null, id for update of accounts`,
      [ownerIds, causes],
    );
  let rows = await lock();
  if (rows.length < ownerIds.length + 1) {
    // Their user has not been heard of yet: charged at once, named later.
    await openAccounts(sql, ownerIds);
    rows = await lock();
  }
  const accounts = rows.map((row) => ({ id: row.id, ownerId: row.owner_id, balance: cents(row.balance), entryCount: row.entry_count, version: row.version }));
  const company = accounts.find(({ ownerId }) => ownerId === null);
  if (company === undefined) throw new Error('The company has no account: the first migration makes it');
  const employees = new Map(accounts.filter(({ ownerId }) => ownerId !== null).map((account) => [account.ownerId as string, account]));
  return { employees, company, posted: rows[0]?.posted ?? [] };
}

/** What was posted between employees and the company for these causes, by cause. */
export async function postedFor(sql: Sql, causes: readonly string[]): Promise<Map<string, Reversible>> {
  const rows = await sql<Omit<Reversible, 'amount'> & { readonly amount: string }>(
    `select postings.id, cause, case to_account when '${COMPANY_ACCOUNT}' then 'EMPLOYEE' else 'COMPANY' end as payer, owner_id as "employeeId",
       postings.amount, task_id as "taskId", description, entries.id as "entryId"
     from postings join entries on posting_id = postings.id join accounts on accounts.id = account_id
     where cause = any($1::text[]) and owner_id is not null`,
    [causes],
  );
  return new Map(rows.map((row) => [row.cause, { ...row, amount: cents(row.amount) }]));
}

interface PostingRows {
  readonly postings: readonly (Posting & { readonly from: string; readonly to: string })[];
  readonly entries: readonly IdentifiedEntry[];
  readonly accountsAfter: readonly AccountState[];
  readonly versions: ReadonlyMap<string, number>;
}

const INSERT_POSTINGS = `
  with posted as (
    insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, reverses, reason, late_for, posted_at)
    select *, $10::timestamptz
    from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::uuid[], $8::date[], $9::text[], $23::uuid[], $24::text[], $25::date[])
  ), entered as (
    -- An account's entries one after the other: their index pages are then at hand, a quarter more postings a second.
    insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
    select * from unnest($11::uuid[], $12::uuid[], $13::smallint[], $14::uuid[], $15::int[], $16::bigint[], $17::bigint[], $18::date[]) as entry (id, posting_id, side, account_id, number) order by account_id, number
  )
  update accounts set balance = after.balance, entry_count = after.entry_count, version = coalesce(after.version, accounts.version)
  from unnest($19::uuid[], $20::bigint[], $21::int[], $22::int[]) as after (id, balance, entry_count, version) where accounts.id = after.id`;

/** The parameters of INSERT_POSTINGS. */
function columnsOf({ postings, entries, accountsAfter, versions }: PostingRows, postedAt: Date): unknown[] {
  const of = <Row>(rows: readonly Row[], value: (row: Row) => string | number | null): string => plainArray(rows.map(value));
  return [
    of(postings, ({ id }) => id),
    of(postings, ({ kind }) => kind),
    postings.map(({ cause }) => cause),
    of(postings, ({ from }) => from),
    of(postings, ({ to }) => to),
    of(postings, ({ amount }) => amount),
    of(postings, ({ taskId }) => taskId),
    of(postings, ({ businessDay }) => businessDay),
    postings.map(({ description }) => description),
    postedAt,
    of(entries, ({ id }) => id),
    of(entries, ({ postingId }) => postingId),
    of(entries, ({ side }) => side),
    of(entries, ({ accountId }) => accountId),
    of(entries, ({ number }) => number),
    of(entries, ({ amount }) => amount),
    of(entries, ({ balanceAfter }) => balanceAfter),
    of(entries, ({ businessDay }) => businessDay),
    of(accountsAfter, ({ id }) => id),
    of(accountsAfter, ({ balance }) => balance),
    of(accountsAfter, ({ entryCount }) => entryCount),
    of(accountsAfter, ({ id }) => versions.get(id) ?? null),
    of(postings, ({ reversal }) => reversal?.postingId ?? null),
    postings.map(({ reversal }) => reversal?.reason ?? null),
    of(postings, ({ lateFor }) => lateFor),
  ];
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
    const { id, accountId, number, amount, balanceAfter } = byPosting.get(posting.id) as IdentifiedEntry;
    const { kind, description, taskId, businessDay, lateFor, employeeId: ownerId, traceparent } = posting;
    posted.push({ id, accountId, ownerId, number, kind, amount, balanceAfter, description, taskId, businessDay, lateFor, postedAt });
    const entry = { id, kind, amount, balanceAfter, description, taskId, businessDay, postedAt: postedAt.toISOString(), ...(lateFor !== null && { lateFor }) };
    const occurrence = { time: postedAt, traceparent };
    const state = { version: nextVersion(accountId), ownerId, entry };
    if (posting.reversal === null) events.push(newEvent(kind === 'FEE' ? accountChargedV1 : accountRewardedV1, accountId, state, occurrence));
    else {
      const { postingId, reason, entryId } = posting.reversal;
      events.push(newEvent(accountReversedV1, accountId, { ...state, reversedEntryId: entryId ?? (byPosting.get(postingId) as IdentifiedEntry).id, reason }, occurrence));
    }
    lastOf.set(accountId, { ownerId, balance: balanceAfter, traceparent });
  }
  for (const [accountId, { ownerId, balance, traceparent }] of lastOf) {
    const state = { version: nextVersion(accountId), ownerId, balance, changedAt: postedAt.toISOString() };
    events.push(newEvent(accountBalanceChangedV1, accountId, state, { time: postedAt, traceparent }));
  }
  return { posted, events };
}
