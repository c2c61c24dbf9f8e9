import type { Sql } from '@ates/service-kit/database';
import { addCents, cents, negateCents, type Cents } from '@ates/shared-events/cents';
import { UNKNOWN_TASK } from './copies.ts';
import type { ClaimedMail } from './mail-queue.ts';
import { oneLine, reportMail, statementMail, STATEMENT_ENTRIES_MAX, type DayReport, type DayStatement, type MailTexts, type StatementLine } from './mail-texts.ts';

/** A mail that can be sent, or why it can't be: not yet, or never. */
export type MailContent =
  | { readonly is: 'READY'; readonly to: { readonly name: string; readonly address: string }; readonly texts: MailTexts }
  | { readonly is: 'NOT_YET' | 'NEVER'; readonly reason: string };

interface Recipient {
  readonly name: string;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly status: string;
}

const REPORTED_TO = ['MANAGER', 'ADMIN'];

/**
 * Reads whom a mail goes to and what it says, as both are now. What is read is bounded by one day's entries of one account, or by one
 * day's rewards.
 * @throws Error when the ledger does not have what the mail is about
 */
export async function readMail(sql: Sql, mail: ClaimedMail): Promise<MailContent> {
  const [recipient] = await sql<Recipient>('select name, email, roles, status from user_copies where user_id = $1', [mail.recipientId]);
  if (recipient?.status === 'DELETED') return { is: 'NEVER', reason: 'the user was deleted' };
  if (recipient === undefined || recipient.email === null) return { is: 'NOT_YET', reason: 'the user’s address is not known here yet' };
  const { name, email: address } = recipient;
  const to = { name: oneLine(name), address };
  if (mail.kind === 'PAYOUT') return { is: 'READY', to, texts: statementMail({ name, ...(await readStatement(sql, mail)) }) };
  // Who was a manager at the close may not be one any more, and the company's figures are not everybody's.
  const mayKnow = recipient.status === 'ACTIVE' && recipient.roles.some((role) => REPORTED_TO.includes(role));
  if (!mayKnow) return { is: 'NEVER', reason: 'the user is no active manager or admin any more' };
  return { is: 'READY', to, texts: reportMail({ name, ...(await readReport(sql, mail.businessDay)) }) };
}

// Entries of the days after it may stand between the day's own: what they moved is taken out of the balances. A closed day gets no
// more entries, and its payout is the last of them.
const PAYOUT = `
  select payout.account_id as "accountId", payout.number, payout.amount, of_day.count, of_day.amount as moved,
    payout.balance_after - (
      select coalesce(sum(amount), 0) from entries where account_id = payout.account_id and business_day > $2 and number < payout.number
    ) as closing
  from entries as payout cross join lateral (
    select count(*)::integer as count, coalesce(sum(amount), 0) as amount
    from entries where account_id = payout.account_id and business_day = $2 and number < payout.number
  ) as of_day
  where payout.posting_id = $1 and payout.side = -1`;

const NEWEST_ENTRIES = `
  select postings.description, entries.amount from entries join postings on postings.id = entries.posting_id
  where entries.account_id = $1 and entries.business_day = $2 and entries.number < $3
  order by entries.number desc limit ${STATEMENT_ENTRIES_MAX}`;

interface PayoutRow {
  readonly accountId: string;
  readonly number: number;
  readonly amount: string;
  readonly count: number;
  readonly moved: string;
  readonly closing: string;
}

async function readStatement(sql: Sql, { payoutId, businessDay: day }: ClaimedMail): Promise<Omit<DayStatement, 'name'>> {
  const [row] = await sql<PayoutRow>(PAYOUT, [payoutId, day]);
  if (row === undefined) throw new Error(`The ledger has no payout ${payoutId}: its mail can't say what was paid`);
  const newest = await sql<{ description: string; amount: string }>(NEWEST_ENTRIES, [row.accountId, day, row.number]);
  const payout = negateCents(cents(row.amount));
  const closing = cents(row.closing);
  const beforePayout = addCents(closing, payout);
  const { lines, before } = withBalances(newest, beforePayout);
  const opening = addCents(beforePayout, negateCents(cents(row.moved)));
  return {
    day,
    opening,
    omitted: { count: row.count - lines.length, amount: addCents(before, negateCents(opening)) },
    entries: lines,
    payout,
    closing,
  };
}

/** Entries, newest first, as lines, oldest first, that lead to a balance; and the balance before the first of them. */
function withBalances(newest: readonly { readonly description: string; readonly amount: string }[], last: Cents): { lines: StatementLine[]; before: Cents } {
  let balance = last;
  const lines = newest.map(({ description, amount: text }) => {
    const amount = cents(text);
    const line = { description, amount, balanceAfter: balance };
    balance = addCents(balance, negateCents(amount));
    return line;
  });
  return { lines: lines.reverse(), before: balance };
}

const REPORT = `
  select day.company_earnings as "companyEarnings", day.paid_out as "paidOut", day.paid_employees as "paidEmployees", day.carried_over as "carriedOver",
    day.employees_in_the_red as "employeesInTheRed", day.assignments, day.completions, best.amount as reward, task.number, task.title
  from day_closings as day
  left join lateral (
    select task_id, amount from postings
    where business_day = day.day and kind = 'REWARD' and not exists (select from postings as reversal where reversal.reverses = postings.id)
    order by amount desc, posted_at, id limit 1
  ) as best on true
  left join task_copies as task on task.task_id = best.task_id
  where day.day = $1 and day.closed_at is not null`;

interface ReportRow {
  readonly companyEarnings: string;
  readonly paidOut: string;
  readonly paidEmployees: number;
  readonly carriedOver: string;
  readonly employeesInTheRed: number;
  readonly assignments: number;
  readonly completions: number;
  readonly reward: string | null;
  readonly number: number | null;
  readonly title: string | null;
}

async function readReport(sql: Sql, day: string): Promise<Omit<DayReport, 'name'>> {
  const [row] = await sql<ReportRow>(REPORT, [day]);
  if (row === undefined) throw new Error(`Day ${day} is not closed: there is nothing to report yet`);
  const task = row.title === null ? UNKNOWN_TASK.title : `POPUG-${row.number} ${row.title}`;
  return {
    day,
    companyEarnings: cents(row.companyEarnings),
    paidOut: cents(row.paidOut),
    paidEmployees: row.paidEmployees,
    carriedOver: cents(row.carriedOver),
    employeesInTheRed: row.employeesInTheRed,
    mostExpensive: row.reward === null ? null : { task, reward: cents(row.reward) },
    assignments: row.assignments,
    completions: row.completions,
  };
}
