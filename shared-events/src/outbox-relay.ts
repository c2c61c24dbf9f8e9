import type { NatsConnection } from '@nats-io/transport-node';
import { Client } from 'pg';
import type { Producer } from './event.ts';
import { OUTBOX_CHANNEL } from './outbox.ts';
import type { EventLogger } from './event-applier.ts';
import { watchLink, type NatsLink } from './nats-link.ts';
import { createLatch, pause, type Latch } from './pause.ts';
import { Leader, type LeaderEvents } from './outbox-leader.ts';

export interface RelayOptions {
  readonly producer: Producer;
  /** The relay's own session: it holds the leader's lock and listens for commits. */
  readonly databaseUrl: string;
  readonly nats: NatsConnection;
  readonly logger: EventLogger;
  /** How long to gather commits before a batch is published, in ms; default 0. For events that nobody waits for. */
  readonly lingerMs?: number;
  /** Unready from when the oldest unpublished event is older than this, in ms; default 30 s. */
  readonly maxAgeMs?: number;
  /** How long published events are kept, in days; default 90. */
  readonly keepDays?: number;
}

export interface RelayFacts {
  /** Whether this relay is the active one. */
  readonly leads: boolean;
  /** Events in the outbox that the stream does not have, counted up to 100,000. */
  readonly unpublished: number;
  /** Age of the oldest of them, in ms; 0 when there is none. */
  readonly oldestMs: number;
  readonly published: number;
  /** How often the stream was found to be other than the outbox left it. */
  readonly resyncs: number;
}

export interface Relay {
  /** Null while the outbox is being emptied by somebody, else the reason why it is not. */
  check(): string | null;
  facts(): RelayFacts;
  stop(): Promise<void>;
}

/** Session advisory lock of the one active relay of a database. */
const LEADER_LOCK = 7_061_002;
const POLL_MS = 1_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;
const MAX_AGE_MS = 30_000;

/**
 * The leader's session. A frozen leader loses it, and the lock with it. Positions need not be on the disk before they are
 * used: one that a crash of PostgreSQL forgets is found again in the stream, by the event's id.
 */
const SESSION = '-c idle_session_timeout=5000 -c statement_timeout=60000 -c synchronous_commit=off -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off';

const BACKLOG = `
  with unpublished as (
    (select occurred_at from outbox where stream_seq is null limit 100000)
    union all (select occurred_at from outbox where stream_seq > (select published from outbox_relay) limit 100000)
  )
  select count(*)::int as unpublished, coalesce(extract(epoch from now() - min(occurred_at)) * 1000, 0)::float as "oldestMs" from unpublished`;

/**
 * Moves a producer's events from its outbox to its stream, in order. Any number of relays may run for a database: the one
 * that holds the lock leads, the others stand by and ask again each second.
 *
 * The outbox decides which event has which position in the stream, and each message is published with the position it
 * expects. So the stream is a copy of the outbox: a relay that only thinks that it leads can't add to it, what the stream
 * lost is published again at the same place, and whether an unanswered publish arrived is seen by looking.
 *
 * Connect → lead → resync: make the stream and the outbox agree → take a batch, publish it, until nothing comes any more → rest
 * until a commit says so, and look now and then … Any error ends the session; the next one resyncs.
 */
export function startRelay(options: RelayOptions): Relay {
  const stopped = new AbortController();
  const state = { leads: false, unpublished: 0, oldestMs: 0, published: 0, resyncs: 0, sampledAt: 0, failure: null as string | null, failingSince: null as number | null };
  let lost = new AbortController();
  const linkChanged = createLatch();
  const link = watchLink(options.nats, stopped.signal, (isUp) => {
    linkChanged.set();
    if (!isUp) lost.abort(new Error('the connection to NATS was lost'));
  });
  const running = (async () => {
    for (let retryMs = RETRY_MIN_MS; !stopped.signal.aborted; retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)) {
      const publishedBefore = state.published;
      lost = new AbortController();
      try {
        await runSession(options, state, { lost, link, linkChanged, over: AbortSignal.any([stopped.signal, lost.signal]) });
      } catch (error) {
        if (state.published > publishedBefore) retryMs = RETRY_MIN_MS;
        state.failingSince ??= Date.now();
        state.failure = `the outbox relay is retrying: ${error instanceof Error ? error.message : String(error)}`;
        options.logger.warn({ err: error, producer: options.producer, retryMs }, 'the outbox relay lost its session and starts again');
        if (link.isUp) await pause(retryMs, stopped.signal);
      }
      state.leads = false;
    }
  })();
  const age = () => (state.unpublished === 0 ? 0 : state.oldestMs + Date.now() - state.sampledAt);
  return {
    check: () => {
      const limitMs = options.maxAgeMs ?? MAX_AGE_MS;
      if (age() <= limitMs) return state.failingSince !== null && Date.now() - state.failingSince > limitMs ? state.failure : null;
      return `${state.unpublished} events wait in the outbox, the oldest for ${Math.round(age() / 1_000)} s (limit ${limitMs / 1_000} s): ${state.failure ?? 'is NATS reachable and not full?'}`;
    },
    facts: () => ({ ...state, oldestMs: age() }),
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

type RelayState = { -readonly [Fact in keyof RelayFacts]: RelayFacts[Fact] } & { sampledAt: number; failure: string | null; failingSince: number | null };

interface Session {
  readonly lost: AbortController;
  readonly link: NatsLink;
  readonly linkChanged: Latch;
  /** When the relay stops, or the session is lost. */
  readonly over: AbortSignal;
}

async function runSession(options: RelayOptions, state: RelayState, { lost, link, linkChanged, over }: Session): Promise<void> {
  const session = new Client({ connectionString: options.databaseUrl, application_name: `${options.producer}-relay`, options: SESSION });
  const commits = createLatch();
  const publishedBefore = state.published;
  session.on('notification', commits.set);
  session.on('error', (error) => lost.abort(error));
  try {
    await session.connect();
    while (!link.isUp || !(await takeLead(session))) {
      await sample(session, state);
      // Standing by works; who leads has its own say.
      if (link.isUp) state.failure = state.failingSince = null;
      await (link.isUp ? pause(POLL_MS, over) : linkChanged.wait(POLL_MS, over));
      if (over.aborted) return;
    }
    state.leads = true;
    await session.query(`listen ${OUTBOX_CHANNEL}`);
    await sample(session, state);
    const events: LeaderEvents = {
      onAgreed: (repaired) => (state.resyncs += Number(repaired)),
      onPublished: (count) => (state.published += count),
      onLook: async () => {
        if (state.published > publishedBefore || state.unpublished === 0) state.failure = state.failingSince = null;
        if (Date.now() - state.sampledAt > POLL_MS) await sample(session, state);
      },
    };
    const leader = await Leader.begin(options, session, events, over);
    await leader.run(commits, over);
    lost.signal.throwIfAborted();
  } finally {
    await session.end().catch(() => {});
  }
}

async function takeLead(session: Client): Promise<boolean> {
  const { rows } = await session.query<{ leads: boolean }>('select pg_try_advisory_lock($1) as leads', [LEADER_LOCK]);
  return rows[0]?.leads === true;
}

async function sample(session: Client, state: RelayState): Promise<void> {
  const { rows } = await session.query<Pick<RelayFacts, 'unpublished' | 'oldestMs'>>({ name: 'backlog', text: BACKLOG });
  Object.assign(state, rows[0], { sampledAt: Date.now() });
}
