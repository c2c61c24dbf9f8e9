import { cents, type Cents } from '@ates/shared-events/cents';
import { connectionOf, foreignCursor, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import type { Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { idIn, type EntryRow } from './statement-queries.ts';

export interface DayClosingRow {
  /** `YYYY-MM-DD` */
  readonly day: string;
  readonly closedAt: Date | null;
  /** The totals; null until it is closed. */
  readonly companyEarnings: Cents | null;
  readonly paidOut: Cents | null;
  readonly paidEmployees: number | null;
  readonly carriedOver: Cents | null;
}

export interface PayoutRow {
  readonly id: string;
  readonly day: string;
  readonly accountId: string;
  readonly ownerId: string;
  readonly amount: Cents;
  readonly mail: 'PENDING' | 'SENDING' | 'SENT' | 'FAILED';
}

export interface ScheduledRunRow {
  readonly id: string;
  readonly robot: string;
  readonly day: string | null;
  readonly outcome: string;
  readonly message: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly runs: number;
}

interface RawClosing {
  readonly day: string;
  readonly closed_at: Date | null;
  readonly company_earnings: string | null;
  readonly paid_out: string | null;
  readonly paid_employees: number | null;
  readonly carried_over: string | null;
}

const amountOf = (amount: string | null): Cents | null => (amount === null ? null : cents(amount));
const closingOf = (row: RawClosing): DayClosingRow => ({
  day: row.day,
  closedAt: row.closed_at,
  companyEarnings: amountOf(row.company_earnings),
  paidOut: amountOf(row.paid_out),
  paidEmployees: row.paid_employees,
  carriedOver: amountOf(row.carried_over),
});

// A day that is only posted to is not being closed.
const CLOSING = `select day::text, closed_at, company_earnings, paid_out, paid_employees, carried_over from day_closings
  where (requested_at is not null or ended_at is not null)`;

/** The closing of a day; null while nobody closes it. */
export async function dayClosing(sql: Sql, day: string): Promise<DayClosingRow | null> {
  const [row] = await sql<RawClosing>(`${CLOSING} and day = $1`, [day]);
  return row === undefined ? null : closingOf(row);
}

/** A page of closings, the newest day first. */
export async function dayClosings(sql: Sql, pageArguments: PageArguments): Promise<Connection<DayClosingRow>> {
  const page = pageOf(pageArguments);
  const rows = await sql<RawClosing>(`${CLOSING} and ($1::date is null or day < $1) order by day_closings.day desc limit $2`, [dayIn(page.after), page.limit + 1]);
  return connectionOf(rows.map(closingOf), page, ({ day }) => [day]);
}

/** A page of a day's payouts, in the order in which they were posted. */
export async function payoutsOf(sql: Sql, day: string, pageArguments: PageArguments): Promise<Connection<PayoutRow>> {
  const page = pageOf(pageArguments);
  const rows = await sql<Omit<PayoutRow, 'amount'> & { readonly amount: string }>(
    `select payout.id, $1::date::text as day, from_account as "accountId", owner_id as "ownerId", amount, coalesce(mails.status, 'PENDING') as mail
     from (select id, from_account, amount from postings where kind = 'PAYOUT' and business_day = $1 and ($2::uuid is null or id > $2) order by id limit $3) as payout
     join accounts on accounts.id = from_account left join mails on payout_id = payout.id order by payout.id`,
    [day, idIn(page.after), page.limit + 1],
  );
  return connectionOf(rows.map((row) => ({ ...row, amount: cents(row.amount) })), page, ({ id }) => [id]);
}

/** A page of the robots' runs, the newest first; what ended alike one after the other is one of them. */
export async function scheduledRuns(sql: Sql, pageArguments: PageArguments): Promise<Connection<ScheduledRunRow>> {
  const page = pageOf(pageArguments, 2);
  const [endedAt, id] = page.after === null ? [null, null] : [momentIn(page.after[0]), idIn(page.after.slice(1))];
  const rows = await sql<ScheduledRunRow>(
    `select id, robot, day::text, outcome, message, first_at as "startedAt", last_at as "endedAt", runs from scheduled_runs
     where $1::timestamptz is null or (last_at, id) < ($1, $2::uuid) order by last_at desc, id desc limit $3`,
    [endedAt, id, page.limit + 1],
  );
  return connectionOf(rows, page, (run) => [run.endedAt.toISOString(), run.id]);
}

/** What the company earned on days, in cents: fees charged less rewards paid, reversals included. */
export function earningsLoader(sql: Sql): Loader<string, Cents> {
  return batchLoader(
    (days) =>
      sql<{ day: string; earned: string }>(
        `select business_day::text as day, sum(case '${COMPANY_ACCOUNT}'::uuid when to_account then amount when from_account then -amount end) as earned
         from postings where business_day = any($1::date[]) and kind <> 'PAYOUT' group by business_day`,
        [days],
      ),
    ({ day }) => day,
    (row) => cents(row?.earned ?? '0'),
  );
}

/** The employees' entries of a day's payouts, after an id, for those who watch; bounded. */
export async function payoutEntries(sql: Sql, day: string, after: string | null, limit: number): Promise<(EntryRow & { readonly ownerId: string })[]> {
  type Raw = Omit<EntryRow, 'amount' | 'balanceAfter'> & { readonly amount: string; readonly balanceAfter: string; readonly ownerId: string };
  const rows = await sql<Raw>(
    `select entry.id, account_id as "accountId", owner_id as "ownerId", number, 'PAYOUT' as kind, entry.amount, balance_after as "balanceAfter",
       description, null as "taskId", $1::date::text as "businessDay", null as "lateFor", posted_at as "postedAt"
     from (select id, description, posted_at from postings where kind = 'PAYOUT' and business_day = $1
         and ($2::uuid is null or id > (select posting_id from entries where id = $2)) order by id limit $3) as payout
     join entries as entry on posting_id = payout.id and side = -1 join accounts on accounts.id = account_id order by payout.id`,
    [day, after, limit],
  );
  return rows.map((row) => ({ ...row, amount: cents(row.amount), balanceAfter: cents(row.balanceAfter) }));
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function dayIn(after: readonly string[] | null): string | null {
  if (after === null) return null;
  const [day = ''] = after;
  if (!DAY.test(day) || Number.isNaN(Date.parse(day))) throw foreignCursor();
  return day;
}

function momentIn(part: string | undefined): Date {
  const moment = new Date(part ?? '');
  if (Number.isNaN(moment.getTime())) throw foreignCursor();
  return moment;
}
