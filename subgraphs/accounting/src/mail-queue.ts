import type { Sql } from '@ates/service-kit/database';

/** A mail that one sender has for one attempt. */
export interface ClaimedMail {
  readonly id: string;
  readonly kind: 'PAYOUT' | 'REPORT';
  /** `YYYY-MM-DD`. */
  readonly businessDay: string;
  readonly recipientId: string;
  /** Of a PAYOUT; null for reports. */
  readonly payoutId: string | null;
  /** Counts this mail's attempts from 1. */
  readonly attempt: number;
}

/** How an attempt ended. `PENDING` tries again `inMs` from now. */
export type Outcome =
  | { readonly status: 'SENT' }
  | { readonly status: 'PENDING'; readonly reason: string; readonly inMs: number }
  | { readonly status: 'FAILED'; readonly reason: string };

/** From then on a claimed mail that nobody settled is due again. */
export const LEASE_MS = 120_000;

// Materialized: an inlined sub-select may be run again, and lock one more row each time.
const CLAIM = `
  with due as materialized (
    select id from mails where due_at <= $1::timestamptz order by due_at, id limit 1 for update skip locked
  )
  update mails set status = 'SENDING', attempts = attempts + 1, due_at = $2
  from due where mails.id = due.id
  returning mails.id, kind, business_day as "businessDay", recipient_id as "recipientId", payout_id as "payoutId", attempts as attempt`;

// Only the attempt that is the last one may say how it ended: a later one knows better, and what was sent stays sent.
const SETTLE = `
  update mails set status = $3, due_at = $4, last_error = $5, sent_at = $6
  where id = $1 and attempts = $2 and status = 'SENDING' returning id`;

/**
 * Takes the mail that has been due for longest, for an attempt of up to two minutes; null when none is due. The statement is a
 * transaction of its own, so the attempt is counted for good before anything is sent. Senders side by side never get the same one.
 */
export async function claimMail(sql: Sql, now: Date): Promise<ClaimedMail | null> {
  const [mail] = await sql<ClaimedMail>(CLAIM, [now, new Date(now.getTime() + LEASE_MS)]);
  return mail ?? null;
}

/** Writes how an attempt ended. @returns false when it was not this attempt's any more to say, and nothing was changed */
export async function settleMail(sql: Sql, { id, attempt }: ClaimedMail, outcome: Outcome, now: Date): Promise<boolean> {
  const dueAt = outcome.status === 'PENDING' ? new Date(now.getTime() + outcome.inMs) : null;
  const [reason, sentAt] = outcome.status === 'SENT' ? [null, now] : [outcome.reason, null];
  return (await sql(SETTLE, [id, attempt, outcome.status, dueAt, reason, sentAt])).length === 1;
}

export interface UnsentMails {
  readonly PENDING: number;
  readonly SENDING: number;
}

/** How many mails are still to be sent. */
export async function countUnsent(sql: Sql): Promise<UnsentMails> {
  const rows = await sql<{ status: keyof UnsentMails; count: number }>('select status, count(*)::integer as count from mails where due_at is not null group by status');
  return { PENDING: 0, SENDING: 0, ...Object.fromEntries(rows.map(({ status, count }) => [status, count])) };
}
