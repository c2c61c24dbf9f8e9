import type { Logger } from '@ates/service-kit/logger';
import { Counter, Gauge, type Registry } from '@ates/service-kit/metrics';
import { attemptMail, type AttemptOptions } from './mail-attempt.ts';
import { claimMail, countUnsent, settleMail, type ClaimedMail, type Outcome, type UnsentMails } from './mail-queue.ts';
import { CONNECTIONS_MAX } from './mail-transport.ts';
import type { RunResult } from './scheduled-runs.ts';

/** What became of the attempts of one go through the mails that were due. */
export interface MailRun {
  readonly sent: number;
  readonly failed: number;
  readonly retried: number;
}

export interface MailerOptions extends AttemptOptions {
  readonly logger: Logger;
  /** Called when nothing is due any more, if anything was. */
  readonly onRun?: (run: MailRun) => Promise<void> | void;
  readonly lookEveryMs?: number;
}

export interface Mailer {
  /** Looks for due mails now, for example after a close. */
  look(): void;
  /** Takes no more mails and waits for those under way, for 2 s; then they are broken off, and are due again. Leaves the transport open. */
  stop(): Promise<void>;
  /** Since the start of the process; and how many are being sent. */
  facts(): MailRun & { readonly sending: number };
  /** In the database. */
  unsent(): Promise<UnsentMails>;
}

const LOOK_EVERY_MS = 5_000;
const STOP_GRACE_MS = 2_000;
const COUNTED_AS = { SENT: 'sent', FAILED: 'failed', PENDING: 'retried' } as const;

/**
 * Sends the mails that the close of a day left in the table, each once unless an answer is lost. A mail is claimed, and the claim
 * committed; then it is sent; then it is settled as SENT or FAILED, or is PENDING again. Who dies in between leaves a claim that runs
 * out, and the mail is sent again under the same Message-ID. Replicas may send side by side. Looks at once, every 5 s and when it is
 * told to; up to five mails are under way at a time. Never throws.
 */
export function startMailer(options: MailerOptions): Mailer {
  const { database, clock, logger, lookEveryMs = LOOK_EVERY_MS } = options;
  const stopping = new AbortController();
  const total = { sent: 0, failed: 0, retried: 0 };
  const told = { ...total };
  let sending = 0;

  const deliver = async (mail: ClaimedMail): Promise<void> => {
    sending += 1;
    try {
      const outcome = await attemptMail(options, mail, stopping.signal);
      const settled = await settleMail(database.sql, mail, outcome, clock());
      if (settled) total[COUNTED_AS[outcome.status]] += 1;
      log(logger, mail, settled ? outcome : null);
    } finally {
      sending -= 1;
    }
  };
  const work = async (lane: Lane): Promise<void> => {
    try {
      while (lane.isOpen()) {
        const mail = await claimMail(database.sql, clock());
        if (mail === null) return;
        // Where there is one there may be more, and a slow one holds up nobody.
        lane.startAnother();
        await deliver(mail);
      }
    } catch (error) {
      // What was claimed and not settled is due again when its lease runs out.
      logger.error({ err: error }, 'mails could not be claimed or settled, the next look tries again');
    }
  };
  const tell = async (): Promise<void> => {
    const run = { sent: total.sent - told.sent, failed: total.failed - told.failed, retried: total.retried - told.retried };
    Object.assign(told, total);
    if (run.sent + run.failed + run.retried === 0) return;
    try {
      await options.onRun?.(run);
    } catch (error) {
      logger.error({ err: error }, 'what was sent could not be told');
    }
  };

  const lanes = createLanes(work, tell);
  lanes.start();
  const looking = setInterval(lanes.start, lookEveryMs);
  return {
    look: lanes.start,
    stop: async () => {
      clearInterval(looking);
      const ended = lanes.close();
      const breakOff = setTimeout(() => stopping.abort(), STOP_GRACE_MS);
      await ended;
      clearTimeout(breakOff);
    },
    facts: () => ({ ...total, sending }),
    unsent: () => countUnsent(database.sql),
  };
}

/** What a piece of work knows of those beside it. */
interface Lane {
  /** Starts the same work once more, if there is room. */
  startAnother(): void;
  isOpen(): boolean;
}

/** Up to as many of `work` side by side as there are connections; after the last of them, `onIdle`. Neither may reject. */
function createLanes(work: (lane: Lane) => Promise<void>, onIdle: () => Promise<void>): { start(): void; close(): Promise<unknown> } {
  const running = new Set<Promise<void>>();
  let working = 0;
  let closed = false;
  const run = async (): Promise<void> => {
    working += 1;
    await work({ startAnother: start, isOpen: () => !closed });
    working -= 1;
    if (working === 0) await onIdle();
  };
  const start = (): void => {
    if (closed || running.size >= CONNECTIONS_MAX) return;
    const lane: Promise<void> = run().finally(() => running.delete(lane));
    running.add(lane);
  };
  return {
    start,
    close: () => {
      closed = true;
      return Promise.all(running);
    },
  };
}

/** @param outcome null when a later attempt has the mail */
function log(logger: Logger, { id: mailId, kind, businessDay, recipientId, attempt: number }: ClaimedMail, outcome: Outcome | null): void {
  const facts = { mailId, kind, businessDay, recipientId, attempt: number };
  if (outcome === null) logger.warn(facts, 'an attempt to send a mail took longer than its lease: a later one settles it');
  else if (outcome.status === 'SENT') logger.info(facts, 'a mail was sent');
  else if (outcome.status === 'PENDING') logger.warn({ ...facts, reason: outcome.reason, retryInMs: outcome.inMs }, 'a mail could not be sent for now');
  else logger.error({ ...facts, reason: outcome.reason }, 'a mail was not sent and is not tried again');
}

/** A run as `scheduledRuns` shows it. */
export function runResult({ sent, failed, retried }: MailRun): RunResult {
  const message = `${sent} sent, ${retried} to be tried again, ${failed} not sent and given up`;
  if (failed > 0) return { day: null, outcome: 'FAILED', message: `${message}: the log says why` };
  return { day: null, outcome: sent > 0 ? 'DONE' : 'WAITING', message };
}

/** Shows the mails to Prometheus. What can't be read then is left out. */
export function registerMailMetrics(registry: Registry, mailer: Pick<Mailer, 'facts' | 'unsent'>): void {
  const registers = [registry];
  const counter = (name: string, help: string, outcome: keyof MailRun): void => {
    const made: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        made.reset();
        made.inc(mailer.facts()[outcome]);
      },
    });
  };
  counter('ates_mails_sent_total', 'Mails that were taken over, since the start of the process', 'sent');
  counter('ates_mails_failed_total', 'Mails that are not tried again, since the start of the process', 'failed');
  counter('ates_mails_retried_total', 'Attempts after which a mail waits for the next one, since the start of the process', 'retried');
  const unsent: Gauge<'status'> = new Gauge({
    name: 'ates_mails_unsent',
    help: 'Mails in the database that are still to be sent, by status',
    labelNames: ['status'],
    registers,
    collect: async () => {
      unsent.reset();
      const counts = await mailer.unsent().catch(() => ({}));
      for (const [status, number] of Object.entries(counts)) unsent.set({ status }, number);
    },
  });
}
