import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { readEvent, type PublishedAtesEvent } from './catalog.ts';
import { parkMessages, type DeadLetter } from './dead-letters.ts';
import type { Producer } from './event.ts';
import { admitEvents } from './inbox.ts';
import type { RunSql } from './outbox.ts';
import { pause } from './pause.ts';
import { streamOf } from './streams.ts';

/** What the event pipe logs to: pino's shape. */
export interface EventLogger {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Runs after the commit of the batch, for what is only a hint; errors in it are logged, never retried. */
export type AfterCommit = () => void | Promise<void>;

export interface ConsumerOptions {
  /** Whose events. */
  readonly producer: Producer;
  /** The consuming service: its durable position in the stream has this name. */
  readonly durable: string;
  /**
   * Which of its events, as a NATS subject pattern; default all. A pattern takes all events of an aggregate or none,
   * else the versions it lets through have gaps.
   */
  readonly subjects?: string;
  /** How long to gather events before a batch is applied, in ms; default 0. For readers whom a moment costs nothing. */
  readonly lingerMs?: number;
  readonly nats: NatsConnection;
  readonly logger: EventLogger;
  /** One database transaction, committed when the work resolves. */
  readonly transaction: <Result>(work: (sql: RunSql) => Promise<Result>) => Promise<Result>;
  /** Applies events in their order, inside the transaction; must write through it only. */
  readonly react: (events: readonly PublishedAtesEvent[], sql: RunSql) => Promise<AfterCommit | void>;
}

export interface EventConsumer {
  /** Null while events are being applied, else the reason why they are not. */
  check(): string | null;
  stop(): Promise<void>;
}

const BATCH_MAX_EVENTS = 500;
const ACK_PENDING_MAX = 1_000;
const ACK_WAIT_MS = 30_000;
const STREAM_POLL_MS = 250;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

/**
 * Consumes one producer's stream, in order, in batches: one transaction holds the inbox rows and the effects of up to
 * 500 events, and the messages are acknowledged after its commit. A failed batch is retried in place with growing
 * pauses, so nothing is overtaken; a message that can't be read is parked and the rest goes on.
 */
export function startConsumer(options: ConsumerOptions): EventConsumer {
  const stopped = new AbortController();
  const state = { failure: null as string | null };
  const running = (async () => {
    while (!stopped.signal.aborted) {
      try {
        const messages = await attach(options, stopped.signal);
        if (messages !== null) await consume(options, messages, stopped.signal, state);
      } catch (error) {
        state.failure = describe(options, error);
        options.logger.warn({ err: error, producer: options.producer }, 'the consumer lost its stream and attaches again');
        await pause(STREAM_POLL_MS, stopped.signal);
      }
    }
  })();
  return {
    check: () => state.failure,
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

/** Opens the durable consumer; waits for a stream that its producer has not made yet. */
async function attach({ producer, durable, nats, subjects }: ConsumerOptions, stopped: AbortSignal): Promise<ConsumerMessages | null> {
  const manager = await jetstreamManager(nats);
  const stream = streamOf(producer);
  while (!(await exists(() => manager.streams.info(stream)))) {
    if (stopped.aborted) return null;
    await pause(STREAM_POLL_MS, stopped);
  }
  await manager.consumers.add(stream, {
    durable_name: durable,
    ...(subjects !== undefined && { filter_subject: subjects }),
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
    deliver_policy: DeliverPolicy.All,
    max_ack_pending: ACK_PENDING_MAX,
  });
  const consumer = await jetstream(nats).consumers.get(stream, durable);
  return consumer.consume({ max_messages: BATCH_MAX_EVENTS, abort_on_missing_resource: true });
}

async function consume(
  options: ConsumerOptions,
  messages: ConsumerMessages,
  stopped: AbortSignal,
  state: { failure: string | null },
): Promise<void> {
  const queue: JsMsg[] = [];
  let wake = Promise.withResolvers<void>();
  let ended = false;
  const onStop = () => messages.stop();
  stopped.addEventListener('abort', onStop, { once: true });
  const reading = (async () => {
    try {
      for await (const message of messages) {
        queue.push(message);
        wake.resolve();
      }
    } finally {
      ended = true;
      wake.resolve();
    }
  })();
  // Awaited below; until then its failure must not count as one that nobody handles.
  reading.catch(() => {});
  try {
    while (!stopped.aborted && !(ended && queue.length === 0)) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
      if (options.lingerMs !== undefined && queue.length < BATCH_MAX_EVENTS) await pause(options.lingerMs, stopped);
      while (queue.length > 0 && !stopped.aborted) {
        await applyInPlace(options, queue.splice(0, BATCH_MAX_EVENTS), stopped, state);
      }
    }
    await reading;
  } finally {
    stopped.removeEventListener('abort', onStop);
  }
}

/** Applies a batch, again and again until it is done or the consumer stops; what was not acknowledged then comes again. */
async function applyInPlace(
  options: ConsumerOptions,
  batch: readonly JsMsg[],
  stopped: AbortSignal,
  state: { failure: string | null },
): Promise<void> {
  for (let retryMs = RETRY_MIN_MS; !stopped.aborted; retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)) {
    try {
      await applyBatch(options, batch);
      state.failure = null;
      return;
    } catch (error) {
      state.failure = describe(options, error);
      options.logger.error({ err: error, producer: options.producer, events: batch.length, retryMs }, 'a batch of events failed and is retried');
      for (const message of batch) message.working();
      await pause(retryMs, stopped);
    }
  }
}

async function applyBatch(options: ConsumerOptions, batch: readonly JsMsg[]): Promise<void> {
  const { producer, transaction, react, logger } = options;
  const { events, unreadable } = readBatch(streamOf(producer), batch);
  const afterCommit = await transaction(async (sql) => {
    await parkMessages(sql, unreadable);
    const admitted = events.length === 0 ? [] : await admitEvents(sql, `/${producer}`, events);
    return admitted.length === 0 ? undefined : react(admitted, sql);
  });
  try {
    await afterCommit?.();
  } catch (error) {
    logger.warn({ err: error, producer }, 'what follows a commit failed; the effects themselves are committed');
  }
  for (const message of batch) message.ack();
  for (const { streamSeq, reason } of unreadable) logger.error({ producer, streamSeq, reason }, 'an event could not be read and was parked');
}

function readBatch(stream: string, batch: readonly JsMsg[]): { events: PublishedAtesEvent[]; unreadable: DeadLetter[] } {
  const events: PublishedAtesEvent[] = [];
  const unreadable: DeadLetter[] = [];
  for (const message of batch) {
    const text = message.string();
    try {
      events.push(readEvent(text));
    } catch (error) {
      unreadable.push({ stream, streamSeq: message.seq, reason: error instanceof Error ? error.message : String(error), message: text });
    }
  }
  return { events, unreadable };
}

function describe({ producer }: ConsumerOptions, error: unknown): string {
  return `events of ${producer} are not being applied: ${error instanceof Error ? error.message : String(error)}`;
}

async function exists(lookUp: () => Promise<unknown>): Promise<boolean> {
  try {
    await lookUp();
    return true;
  } catch (error) {
    if (error instanceof Error && /stream not found/i.test(error.message)) return false;
    throw error;
  }
}
