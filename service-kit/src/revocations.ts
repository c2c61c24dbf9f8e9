import type { Msg } from '@nats-io/transport-node';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import { Counter, Gauge, type Registry } from './metrics.ts';
import { watchConnection, type NatsConnection } from './nats.ts';
import { createRevocationFollower } from './revocation-follower.ts';
import { createRevocationList, REVOCATION_REASONS, type RevocableToken, type RevocationReason } from './revocation-list.ts';
import { parseRevocationsRequest, REVOCATIONS_SINCE_SUBJECT, REVOCATIONS_SUBJECT, type NewRevocation, type Revocation, type RevocationMessage } from './revocation-message.ts';

export type { NewRevocation, Revocation };

/** Which tokens are refused although they are signed and have not expired, as Users tells it. */
export interface RevocationFeed {
  /** Whether this token was revoked: its user changed, its session ended, or its key may not sign any more. Each yes is counted as a refusal. */
  isRevoked(token: RevocableToken): boolean;
  /** Whether nothing was missed and Users was heard of within the last 5 s: then who is not known as revoked is not revoked. */
  isCurrent(): boolean;
  /** Calls `listener` after something new was heard. @returns how to stop that. */
  onRevoked(listener: () => void): () => void;
  /** Milliseconds since Users was last heard of; infinite before the first time. */
  ageMs(): number;
  /** Refusals since the start of the process. */
  refusals(): Readonly<Record<RevocationReason, number>>;
  stop(): void;
}

export interface RevocationFeedOptions {
  /** A promise where the process starts before NATS does. */
  readonly nats: NatsConnection | Promise<NatsConnection>;
  readonly logger: Logger;
  /** From when on silence means that nobody's rights are certain. */
  readonly staleAfterMs?: number;
  /** Milliseconds of a clock that never goes back; tests pass their own. */
  readonly now?: () => number;
}

const STALE_AFTER_MS = 5_000;
const LOOK_AFTER_MS = 1_000;

/**
 * Follows the revocations. Entries are applied whenever they are heard; what was missed is asked for, at the start, after each
 * loss of the connection, after silence and on a gap in the numbering. While something may be missing the feed is not
 * current. It never throws; without NATS or Users it tries again, 250 ms to 2 s apart.
 */
export function followRevocations({ nats, logger, staleAfterMs = STALE_AFTER_MS, now = () => performance.now() }: RevocationFeedOptions): RevocationFeed {
  const list = createRevocationList(now);
  const follower = createRevocationFollower({ list, logger, staleAfterMs, now });
  const refusals = Object.fromEntries(REVOCATION_REASONS.map((reason) => [reason, 0])) as Record<RevocationReason, number>;
  const isCurrent = (): boolean => follower.isComplete() && follower.ageMs() <= staleAfterMs;
  const tell = changesOf(isCurrent, logger);
  const startedAtMs = now();
  const lookAfter = setInterval(() => {
    list.forget();
    // Who has just started is not said to be behind before it had its time.
    if (isCurrent() || now() - startedAtMs > staleAfterMs) tell();
  }, LOOK_AFTER_MS).unref();
  Promise.resolve(nats).then(follower.follow, (error: unknown) => logger.warn({ err: error }, 'revocations are not followed: there is no connection to NATS'));
  return {
    isRevoked: (token) => {
      const reason = list.reasonAgainst(token);
      if (reason !== null) refusals[reason] += 1;
      return reason !== null;
    },
    isCurrent,
    onRevoked: follower.onNews,
    ageMs: follower.ageMs,
    refusals: () => ({ ...refusals }),
    stop: () => {
      clearInterval(lookAfter);
      follower.stop();
    },
  };
}

/** Logs, when called, whether the feed has become current or stopped being so since the last call. */
function changesOf(isCurrent: () => boolean, logger: Logger): () => void {
  let told: boolean | undefined;
  return () => {
    const current = isCurrent();
    if (told === current) return;
    told = current;
    if (current) logger.info('revocations are heard: roles are current');
    else logger.error('revocations are not heard: whatever needs a role is refused until they are; look at Users and at NATS');
  };
}

/**
 * Shows the feed to Prometheus (its age, and the refusals by reason) and in the report of `/readyz`, where it decides nothing: to
 * start a process again does not help it.
 */
export function registerRevocations(registry: Registry, feed: RevocationFeed, health?: Health): void {
  health?.show('revocations', () => (feed.isCurrent() ? null : 'are not heard: whatever needs a role is refused'));
  const registers = [registry];
  const age: Gauge = new Gauge({
    name: 'ates_revocations_age_seconds',
    help: 'Since when revocations were not heard of; above 5 whatever needs a role is refused',
    registers,
    collect: () => age.set(feed.ageMs() / 1_000),
  });
  const refusals: Counter<'reason'> = new Counter({
    name: 'ates_revocations_refusals_total',
    help: 'Requests, sockets and subscriptions refused because their token was revoked, by what was: the user, the session, the key',
    labelNames: ['reason'],
    registers,
    collect: () => {
      refusals.reset();
      for (const reason of REVOCATION_REASONS) refusals.inc({ reason }, feed.refusals()[reason]);
    },
  });
}

/** What Users has to tell from a number on. */
export interface RevocationsRead {
  /** The highest number up to which this tells: without `more` the highest ever given, also when its entry is too old to be told; 0 before the first. */
  readonly last: number;
  /** Whether there are entries after `last`: at most 2,000 are told at once. */
  readonly more: boolean;
  /** Ids of the keys that may sign, the next one included. */
  readonly keys: readonly string[];
  /** Those with `after < seq <= last` of the last 10 minutes, in any order. */
  readonly entries: readonly Revocation[];
}

export interface RevocationAnnouncerOptions {
  readonly nats: NatsConnection;
  readonly logger: Logger;
  /** Reads what was committed after this number. */
  readonly read: (after: number) => Promise<RevocationsRead>;
  /** Between heartbeats. */
  readonly intervalMs?: number;
}

export interface RevocationAnnouncer {
  /** To be called after a commit: what is new is told without waiting for the next heartbeat. */
  announceNow(): void;
  stop(): Promise<void>;
}

const INTERVAL_MS = 500;
/** One of several replicas answers. */
const ANSWERERS = 'users';

/**
 * The sender's side: tells what is new since its last message, every half second at least, and answers whoever asks. A
 * `read` that fails is logged once per outage and means silence: followers then go stale, which is right.
 */
export function announceRevocations({ nats, logger, read, intervalMs = INTERVAL_MS }: RevocationAnnouncerOptions): RevocationAnnouncer {
  let told = 0;
  let connected = true;
  const message = (after: number, known: RevocationsRead): string => JSON.stringify({ at: new Date().toISOString(), after, ...known } satisfies RevocationMessage);
  const outage = outagesOf(logger);
  const announce = async (): Promise<void> => {
    // What is published without a connection is lost, or sent when it is no news any more.
    for (let more = true; more && connected; ) {
      const known = await read(told);
      // A number below what was told: the database was restored.
      const after = known.last < told ? 0 : told;
      const all = after === told ? known : await read(0);
      nats.publish(REVOCATIONS_SUBJECT, message(after, all));
      more = all.more && all.last > after;
      told = all.last;
    }
  };
  const answer = async (request: Msg): Promise<void> => {
    try {
      const after = parseRevocationsRequest(request.string());
      request.respond(message(after, await read(after)));
    } catch (error) {
      logger.warn({ err: error }, 'a question for revocations could not be answered');
    }
  };
  const repeated = repeatedly(() => announce().then(outage.over, outage.happened), intervalMs);
  const answers = nats.subscribe(REVOCATIONS_SINCE_SUBJECT, {
    queue: ANSWERERS,
    callback: (error, request) => {
      if (error !== null) return logger.error({ err: error }, 'questions for revocations are not heard');
      return void answer(request);
    },
  });
  watchConnection(nats, (isConnected) => {
    connected = isConnected;
    if (isConnected) repeated.now();
  });
  return {
    announceNow: repeated.now,
    stop: async () => {
      answers.unsubscribe();
      await repeated.stop();
    },
  };
}

/** Logs the first failure of an outage, and its end. */
function outagesOf(logger: Logger): { happened(error: unknown): void; over(): void } {
  let failing = false;
  return {
    happened: (error) => {
      if (!failing) logger.error({ err: error }, 'revocations cannot be told: in 5 s whatever needs a role is refused everywhere');
      failing = true;
    },
    over: () => {
      if (failing) logger.info('revocations are told again');
      failing = false;
    },
  };
}

/** Runs `work` at once, then `intervalMs` after each end, and after `now()`; never twice at a time. `work` must not reject. */
function repeatedly(work: () => Promise<void>, intervalMs: number): { now(): void; stop(): Promise<void> } {
  let stopped = false;
  let running: Promise<void> | null = null;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    do {
      again = false;
      await work();
    } while (again && !stopped);
    running = null;
    if (!stopped) timer = setTimeout(start, intervalMs).unref();
  };
  const start = (): void => {
    clearTimeout(timer);
    running = run();
  };
  start();
  return {
    now: () => {
      if (stopped) return;
      if (running === null) start();
      else again = true;
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
