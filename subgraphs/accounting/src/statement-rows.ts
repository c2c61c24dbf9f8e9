import type { EntryKind } from '@ates/shared-events/accounting-events';
import { addCents, cents, ZERO_CENTS, type Cents } from '@ates/shared-events/cents';
import type { Sql } from '@ates/service-kit/database';
import { UNKNOWN_USER_NAME } from './copies.ts';
import type { StatementPeriod } from './statement-period.ts';

/** What a statement begins with, and which entries belong to it: those that were posted when this was read. */
export interface StatementHead {
  readonly accountId: string;
  readonly ownerName: string;
  readonly period: StatementPeriod;
  /** When this was read: what is posted later is not in the statement. */
  readonly madeAt: Date;
  /** The sum of all entries of earlier business days. */
  readonly openingBalance: Cents;
  /** The numbers between which the period's entries are; others may be among them. */
  readonly firstNumber: number;
  readonly lastNumber: number;
}

/** One entry of a statement. */
export interface StatementLine {
  readonly number: number;
  readonly businessDay: string;
  readonly postedAt: Date;
  readonly kind: EntryKind;
  readonly description: string;
  /** `POPUG-17`; null of what is about no task, or one not known here yet. */
  readonly task: string | null;
  readonly amount: Cents;
}

export interface StatementOf {
  readonly accountId: string;
  readonly period: StatementPeriod;
  readonly now: Date;
}

/** Entries of an account that are read by one statement. */
export const STATEMENT_PAGE_ENTRIES = 1_000;

/**
 * Numbers follow the days but for what is posted late (payouts after midnight, a day that closed late): all below the first entry of the
 * period or later is of earlier days, and its sum is the balance that the last of it left. To this comes what is of earlier days behind
 * that. So of an account's days, not of its entries, each is looked at: one probe of entries_by_day for a day, backwards for the last
 * entry of each earlier one, forwards for the first of each other.
 */
const HEAD = `
  with recursive earlier as (
    (select business_day, number from entries where account_id = $1 and business_day < $2::date order by business_day desc, number desc limit 1)
    union all
    select before.* from earlier cross join lateral (
      select business_day, number from entries where account_id = $1 and business_day < earlier.business_day order by business_day desc, number desc limit 1
    ) as before
  ), since as (
    (select business_day, number from entries where account_id = $1 and business_day >= $2 order by business_day, number limit 1)
    union all
    select later.* from since cross join lateral (
      select business_day, number from entries where account_id = $1 and business_day > since.business_day order by business_day, number limit 1
    ) as later
  ), bounds as (
    select (select max(number) from earlier) as last_before, (select min(number) from since) as first_since,
      (select min(number) from since where business_day <= $3::date) as first_within,
      (select max(last.number) from since cross join lateral (
        select number from entries where account_id = $1 and business_day = since.business_day order by number desc limit 1
      ) as last where business_day <= $3) as last_within
  )
  select coalesce(name, $4) as "ownerName", coalesce(first_within, 1) as "firstNumber", coalesce(last_within, 0) as "lastNumber",
    coalesce((select balance_after from entries where account_id = $1 and number = coalesce(first_since - 1, entry_count)), 0) as settled,
    (select coalesce(sum(amount), 0)::text from (
      select amount, business_day from entries where account_id = $1 and number > first_since and number <= last_before offset 0
    ) as mixed where business_day < $2) as straggling
  from accounts cross join bounds left join user_copies on user_id = owner_id
  where accounts.id = $1 and kind = 'EMPLOYEE'`;

/** A range of numbers, not the first so many of the period: it costs the same however the entries are spread, and whatever the planner thinks of it. */
const PAGE = `
  with page as materialized (
    select number, amount, business_day, posting_id from entries where account_id = $1 and number between $2 and $3
  )
  select page.number, page.business_day::text as "businessDay", posting.posted_at as "postedAt", posting.kind, posting.description,
    'POPUG-' || task.number as task, page.amount
  from page
  cross join lateral (select * from postings where postings.id = page.posting_id limit 1) as posting
  left join task_copies as task on task.task_id = posting.task_id and task.number > 0
  where page.business_day between $4::date and $5::date order by page.number`;

/** The head of an employee's statement; null when there is no such account. */
export async function readStatementHead(sql: Sql, { accountId, period, now }: StatementOf): Promise<StatementHead | null> {
  const [row] = await sql<{ ownerName: string; firstNumber: number; lastNumber: number; settled: string; straggling: string }>(HEAD, [
    accountId,
    period.firstDay,
    period.lastDay,
    UNKNOWN_USER_NAME,
  ]);
  if (row === undefined) return null;
  const { settled, straggling, ownerName, ...numbers } = row;
  return { accountId, period, madeAt: now, ...numbers, ownerName: oneLine(ownerName), openingBalance: addCents(cents(settled), cents(straggling)) };
}

/**
 * The entries of the period in the order of their numbers, a thousand or fewer at a time. Each page is a statement of its own, so no
 * connection waits for a slow reader; all show the same moment, because entries are never changed and later ones have higher numbers.
 */
export async function* readStatementPages(sql: Sql, { accountId, period, firstNumber, lastNumber }: StatementHead): AsyncGenerator<StatementLine[], void> {
  for (let from = firstNumber; from <= lastNumber; from += STATEMENT_PAGE_ENTRIES) {
    const to = Math.min(from + STATEMENT_PAGE_ENTRIES - 1, lastNumber);
    const rows = await sql<Omit<StatementLine, 'amount'> & { readonly amount: string }>(PAGE, [accountId, from, to, period.firstDay, period.lastDay]);
    yield rows.map((row) => ({ ...row, description: oneLine(row.description), amount: cents(row.amount) }));
  }
}

export interface KindTotal {
  readonly kind: EntryKind;
  readonly entries: number;
  readonly amount: Cents;
}

/** What a statement's lines come to. */
export interface StatementTally {
  /** Adds a line. @returns the balance after it, of what the statement shows: its opening balance and its lines so far */
  add(line: StatementLine): Cents;
  /** By kind, those that occur. */
  totals(): KindTotal[];
  balance(): Cents;
}

export function createTally({ openingBalance }: Pick<StatementHead, 'openingBalance'>): StatementTally {
  let balance = openingBalance;
  const totals = new Map<EntryKind, KindTotal>();
  return {
    add: ({ kind, amount }) => {
      balance = addCents(balance, amount);
      const before = totals.get(kind);
      totals.set(kind, { kind, entries: (before?.entries ?? 0) + 1, amount: addCents(before?.amount ?? ZERO_CENTS, amount) });
      return balance;
    },
    totals: () => [...totals.values()].toSorted((one, other) => one.kind.localeCompare(other.kind)),
    balance: () => balance,
  };
}

/** `-12.34`: dollars, made of the digits of the cents. */
export function dollars(amount: Cents): string {
  const digits = String(Math.abs(amount)).padStart(3, '0');
  return `${amount < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** People's text in one line: without line ends, control characters and marks that turn the direction of what follows. */
function oneLine(text: string): string {
  return text.replaceAll(/[\u202a-\u202e\u2066-\u2069]/g, '').replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}
