import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { Client } from 'pg';
import { ensureStream, streamOf } from './streams.ts';
import type { Producer } from './event.ts';
import { OUTBOX_CHANNEL } from './outbox.ts';
import type { EventLogger } from './event-consumer.ts';
import { pause } from './pause.ts';

export interface RelayOptions {
  readonly producer: Producer;
  /** The relay's own session: it holds the leader's lock and listens for commits. */
  readonly databaseUrl: string;
  readonly nats: NatsConnection;
  readonly logger: EventLogger;
  /** How long to gather commits before a batch is published, in ms; default 0. For events that nobody waits for. */
  readonly lingerMs?: number;
}

export interface Relay {
  /** Null while the outbox is being emptied by somebody and not stuck here, else the reason. */
  check(): string | null;
  stop(): Promise<void>;
}

/** Session advisory lock of the one active relay of a database. */
const LEADER_LOCK = 7_061_002;
const BATCH_MAX_EVENTS = 500;
const PUBLISH_TIMEOUT_MS = 2_000;
const POLL_MS = 1_000;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

interface OutboxRow {
  readonly seq: string;
  readonly id: string;
  readonly nats_subject: string;
  readonly envelope: string;
}

/** The envelope is put together from the row's columns, so that the row is written once and never rewritten. */
const UNPUBLISHED = `
  select seq::text, id::text, 'ates.' || $1 || '.' || dataschema as nats_subject,
    json_build_object(
      'specversion', '1.0', 'id', id, 'source', '/' || $1, 'type', type, 'dataschema', dataschema,
      'subject', aggregate_id, 'time', to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
      'datacontenttype', 'application/json', 'traceparent', traceparent, 'sequence', seq::text, 'data', data
    )::text as envelope
  from outbox where published_at is null order by seq limit $2`;

const MARK_PUBLISHED = `
  update outbox set published_at = now(), stream_seq = ack.stream_seq
  from unnest($1::bigint[], $2::bigint[]) as ack (seq, stream_seq) where outbox.seq = ack.seq`;

/**
 * Moves a producer's events from its outbox to its stream, in order. Any number of relays may run for a database;
 * the one that holds the lock works, the others stand by and ask again each second.
 *
 * Connect → become leader → (publish a batch, mark it, until nothing is left → wait for a commit or 1 s) … Any error
 * ends the session, and with it the lock; the next session starts from what the rows say. A publish that timed
 * out is unknown, not failed: it is sent again under the same message id.
 */
export function startRelay(options: RelayOptions): Relay {
  const stopped = new AbortController();
  let failure: string | null = null;
  const running = (async () => {
    let retryMs = RETRY_MIN_MS;
    const progress = (): void => {
      failure = null;
      retryMs = RETRY_MIN_MS;
    };
    while (!stopped.signal.aborted) {
      try {
        await runSession(options, stopped.signal, progress);
      } catch (error) {
        failure = `the outbox relay is retrying: ${error instanceof Error ? error.message : String(error)}`;
        options.logger.warn({ err: error, producer: options.producer, retryMs }, 'the outbox relay lost its session and starts again');
        await pause(retryMs, stopped.signal);
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      }
    }
  })();
  return {
    check: () => failure,
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

async function runSession({ producer, databaseUrl, nats, logger, lingerMs = 0 }: RelayOptions, stopped: AbortSignal, onProgress: () => void): Promise<void> {
  const session = new Client({ connectionString: databaseUrl, application_name: `${producer}-relay` });
  const lost = new AbortController();
  let wake = Promise.withResolvers<void>();
  session.on('notification', () => wake.resolve());
  session.on('error', (error) => {
    lost.abort(error);
    wake.resolve();
  });
  stopped.addEventListener('abort', () => wake.resolve(), { once: true });
  try {
    await session.connect();
    if (!(await becomeLeader(session, stopped))) return;
    await ensureStream(nats, producer);
    await session.query(`listen ${OUTBOX_CHANNEL}`);
    logger.info({ producer }, 'the outbox relay leads');
    const stream = jetstream(nats, { timeout: PUBLISH_TIMEOUT_MS });
    while (!stopped.aborted) {
      wake = Promise.withResolvers<void>();
      while ((await publishBatch(session, stream, producer)) === BATCH_MAX_EVENTS && !stopped.aborted);
      onProgress();
      const poll = setTimeout(wake.resolve, POLL_MS);
      await wake.promise;
      clearTimeout(poll);
      if (lingerMs > 0) await pause(lingerMs, stopped);
      lost.signal.throwIfAborted();
    }
  } finally {
    await session.end().catch(() => {});
  }
}

async function becomeLeader(session: Client, stopped: AbortSignal): Promise<boolean> {
  while (!stopped.aborted) {
    const { rows } = await session.query<{ leads: boolean }>('select pg_try_advisory_lock($1) as leads', [LEADER_LOCK]);
    if (rows[0]?.leads === true) return true;
    await pause(POLL_MS, stopped);
  }
  return false;
}

/** Publishes the oldest unpublished events, all under way at once, and marks those acknowledged up to the first that was not. */
async function publishBatch(session: Client, stream: JetStreamClient, producer: Producer): Promise<number> {
  const { rows } = await session.query<OutboxRow>({ name: 'unpublished', text: UNPUBLISHED, values: [producer, BATCH_MAX_EVENTS] });
  if (rows.length === 0) return 0;
  const acks = await Promise.allSettled(
    rows.map((row) => stream.publish(row.nats_subject, row.envelope, { msgID: row.id, expect: { streamName: streamOf(producer) } })),
  );
  const firstFailed = acks.findIndex(({ status }) => status === 'rejected');
  const published = firstFailed === -1 ? rows : rows.slice(0, firstFailed);
  const streamSeqs = acks.slice(0, published.length).map((ack) => (ack.status === 'fulfilled' ? ack.value.seq : null));
  await session.query({ name: 'mark_published', text: MARK_PUBLISHED, values: [published.map(({ seq }) => seq), streamSeqs] });
  const failed = acks[firstFailed];
  if (failed?.status === 'rejected') throw failed.reason;
  return rows.length;
}
