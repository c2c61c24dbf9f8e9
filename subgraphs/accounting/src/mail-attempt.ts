import type { Database } from '@ates/service-kit/database';
import { unless } from '@ates/shared-events/pause';
import { readMail } from './mail-content.ts';
import type { ClaimedMail, Outcome } from './mail-queue.ts';
import { isPermanentRefusal, type MailTransport } from './mail-transport.ts';

export interface AttemptOptions {
  readonly database: Database;
  readonly transport: MailTransport;
  readonly clock: () => Date;
  /** Default 90 s: below the lease of a claim, so that an attempt is over before the next one begins. */
  readonly sendTimeoutMs?: number;
}

const SEND_TIMEOUT_MS = 90_000;
/** About a week, of which all but the first hour is an attempt an hour. */
const ATTEMPTS_MAX = 180;
const RETRY_MIN_MS = 30_000;
const RETRY_MAX_MS = 3_600_000;
const ADDRESS_RETRY_MS = 600_000;
const REASON_MAX_CHARACTERS = 500;

/** How long a mail waits after this attempt (from 1), in ms: 30 s, then twice as long each time, up to an hour. */
export function retryInMs(attempt: number): number {
  return Math.min(RETRY_MIN_MS * 2 ** (attempt - 1), RETRY_MAX_MS);
}

/** One attempt, from reading what the mail says to the server’s answer; broken off when `stopping` aborts. Never throws. */
export async function attemptMail({ database, transport, clock, sendTimeoutMs = SEND_TIMEOUT_MS }: AttemptOptions, mail: ClaimedMail, stopping: AbortSignal): Promise<Outcome> {
  if (mail.attempt > ATTEMPTS_MAX) return { status: 'FAILED', reason: `none of ${ATTEMPTS_MAX} attempts came to an end` };
  const again = (reason: string, inMs: number): Outcome => (mail.attempt >= ATTEMPTS_MAX ? { status: 'FAILED', reason } : { status: 'PENDING', reason, inMs });
  const over = AbortSignal.any([stopping, AbortSignal.timeout(sendTimeoutMs)]);
  try {
    const content = await readMail(database.sql, mail);
    if (content.is !== 'READY') return content.is === 'NEVER' ? { status: 'FAILED', reason: content.reason } : again(content.reason, ADDRESS_RETRY_MS);
    over.throwIfAborted();
    await unless(over, transport.send({ ...mail, ...content.texts, to: content.to, date: clock() }, over));
    return { status: 'SENT' };
  } catch (error) {
    if (isPermanentRefusal(error)) return { status: 'FAILED', reason: reasonOf(error) };
    return again(over.aborted ? 'it was broken off before there was an answer' : reasonOf(error), retryInMs(mail.attempt));
  }
}

/** An error in words that may be kept and logged: servers repeat the address that they refuse. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/[^\s<>"]+@[^\s<>"]+/g, '(address)').slice(0, REASON_MAX_CHARACTERS);
}
