import { jetstreamManager, type ConsumerMessages, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { createApplier, type AfterCommit, type Applier, type ApplierOptions, type EventLogger, type Message } from './event-applier.ts';
import type { Producer } from './event.ts';
import { inboxIn } from './inbox.ts';
import { applicable, movedElsewhere, standing, startOver, type Standing } from './inbox-positions.ts';
import type { RunSql } from './outbox.ts';
import { countParked, dueVerdicts, parkedIn } from './parked-events.ts';
import { startLease, type Lease } from './partition-lease.ts';
import { watchLink, type NatsLink } from './nats-link.ts';
import { createLatch, pause } from './pause.ts';
import { laneChain } from './lane-chain.ts';
import { readFrom } from './stream-reading.ts';
import { consumerName, partitionOf, readingsOf, streamInfo, streamOf, UNPARTITIONED, type Reading } from './streams.ts';

export type { AfterCommit, EventLogger };

export interface ConsumerOptions extends Pick<ApplierOptions<RunSql>, 'logger' | 'react' | 'traceBatch'> {
  /** Whose events. */
  readonly producer: Producer;
  /** The consuming service: its JetStream consumers have its name. */
  readonly service: string;
  /**
   * Only events of these aggregates, the first word of their types; default all. Never fewer: what is left out of an
   * aggregate would be a gap in its versions. A kind that is added later comes last.
   */
  readonly about?: readonly string[];
  /** The least time between the beginnings of two batches that are not full, in ms; default 4. For readers whom a moment costs nothing. */
  readonly lingerMs?: number;
  /** How many events a transaction holds at most; default 1,500. */
  readonly batchMaxEvents?: number;
  /** Those who share the partitions out among themselves have the same one; default the stream's, which all replicas of a service have. */
  readonly leaseName?: string;
  /** The service's database, for the session that owns partitions. */
  readonly databaseUrl: string;
  readonly nats: NatsConnection;
  /** One database transaction, committed when the work resolves. */
  readonly transaction: <Result>(work: (sql: RunSql) => Promise<Result>) => Promise<Result>;
}

export interface ConsumerFacts {
  /** The partitions that this replica reads. */
  readonly partitions: readonly number[];
  readonly applied: number;
  /** How often events could not be applied for now. */
  readonly retries: number;
}

export interface EventConsumer {
  /** Null while events are being applied, else the reason why they are not. */
  check(): string | null;
  facts(): ConsumerFacts;
  /** Events in the stream that this replica has not applied yet, of its partitions. */
  lag(): Promise<number>;
  /** How many events of this producer are parked. */
  parked(): Promise<number>;
  stop(): Promise<void>;
}

/** A reading that is under way. */
interface Lane {
  readonly reading: Reading;
  readonly messages: ConsumerMessages;
  /** False once it has ended, for whatever reason. */
  open: boolean;
}

interface QueuedMessage extends Message {
  readonly lane: Lane;
}

const BATCH_MAX_EVENTS = 1_500;
/** The next batch comes in while one is applied. */
const QUEUE_MAX_BATCHES = 2;
/** Nearly as soon as at once, at a fraction of the cost. */
const PACE_MS = 4;
const TEND_MS = 500;
const RETRY_MS = 250;
/** A broker that has just come back may let a first request go unanswered: better to ask again soon. */
const LOOK_TIMEOUT_MS = 1_000;
/** Counting what waits for a new consumer takes long in a long stream. */
const ATTACH_TIMEOUT_MS = 20_000;

/**
 * Consumes one producer's stream, in order, in batches: one transaction holds the inbox rows, the effects and the new
 * positions of up to 1,500 events. Where a partition stands is kept in the service's own database and nowhere else, so it can't
 * be ahead of the effects, and no broker can forget it: JetStream's consumers are made at that position whenever a
 * partition is taken over, and acknowledge nothing.
 *
 * Own partitions → attach a lane to each → queue → batch → applier … and twice a second: partitions that came or went, lanes
 * that ended, verdicts about parked events.
 */
export function startConsumer(options: ConsumerOptions): EventConsumer {
  const consumer = new Consumer(options);
  const running = consumer.run();
  return {
    check: () => consumer.failure ?? consumer.applier.facts.failure,
    facts: () => ({ partitions: consumer.openPartitions(), ...consumer.applier.facts }),
    lag: () => consumer.lag(),
    parked: () => consumer.parked(),
    stop: async () => {
      consumer.stopped.abort(new Error('the consumer stops'));
      await running;
    },
  };
}

class Consumer {
  readonly stopped = new AbortController();
  readonly applier: Applier;
  failure: string | null = null;
  readonly #options: ConsumerOptions;
  readonly #source;
  readonly #readings: readonly Reading[];
  #created: string | null = null;
  readonly #lanes = new Map<number, Lane>();
  readonly #batchMaxEvents: number;
  readonly #lease: Lease;
  readonly #link: NatsLink;
  #queue: QueuedMessage[] = [];
  readonly #wake = createLatch();
  #tendAt = 0;
  #appliedAt = 0;
  #room = Promise.withResolvers<void>();

  constructor(options: ConsumerOptions) {
    const { producer, logger, databaseUrl, transaction, react, traceBatch } = options;
    this.#options = options;
    this.#batchMaxEvents = options.batchMaxEvents ?? BATCH_MAX_EVENTS;
    this.#readings = readingsOf(options.about);
    this.#source = { source: `/${producer}`, stream: streamOf(producer) };
    this.applier = createApplier<RunSql>({
      producer,
      logger,
      transaction: (work) => transaction((sql) => work({ sql, inbox: inboxIn(sql, { ...this.#source, created: this.#created }), parked: parkedIn(sql, this.#source) })),
      react,
      traceBatch,
      pause: async (ms) => {
        await pause(ms, this.stopped.signal);
        this.stopped.signal.throwIfAborted();
      },
    });
    this.#link = watchLink(options.nats, this.stopped.signal, () => {
      // What was under way to a connection that broke is lost: every lane begins again where it stands.
      this.#endLanes();
      this.#tendNow();
    });
    this.#lease = startLease({ databaseUrl, name: options.leaseName ?? this.#source.stream, partitions: UNPARTITIONED + 1, logger, onChange: () => this.#tendNow() });
  }

  openPartitions(): number[] {
    return [...new Set(this.#openReadings().map(({ partition }) => partition))];
  }

  #openReadings(): Reading[] {
    return [...this.#lanes.values()].filter(({ open }) => open).map(({ reading }) => reading);
  }

  async lag(): Promise<number> {
    const manager = await jetstreamManager(this.#options.nats, { checkAPI: false });
    const pending = await Promise.all(
      this.#openReadings().map(async (reading) => (await manager.consumers.info(this.#source.stream, consumerName(this.#options.service, reading))).num_pending),
    );
    return pending.reduce((sum, count) => sum + count, this.#queue.length);
  }

  parked(): Promise<number> {
    return this.#options.transaction((sql) => countParked(sql, this.#source));
  }

  async run(): Promise<void> {
    const paceMs = Math.max(PACE_MS, this.#options.lingerMs ?? 0);
    while (!this.stopped.signal.aborted) {
      if (Date.now() >= this.#tendAt) {
        this.#tendAt = Date.now() + TEND_MS;
        await this.#guarded(() => this.#tend());
      } else if (this.#queue.length > 0) {
        if (this.#queue.length < this.#batchMaxEvents) await pause(this.#appliedAt + paceMs - Date.now(), this.stopped.signal);
        await this.#guarded(() => this.#applyNext());
      } else {
        await this.#wake.wait(Math.max(this.#tendAt - Date.now(), 0), this.stopped.signal);
      }
    }
    this.#endLanes();
    await this.#lease.stop();
  }

  #tendNow(): void {
    this.#tendAt = 0;
    this.#wake.set();
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.failure = null;
    } catch (error) {
      // What was queued is read again, from where the partitions stand.
      this.#endLanes();
      if (this.stopped.signal.aborted) return;
      const { stream } = this.#source;
      this.failure = `events of ${stream} are not being read: ${error instanceof Error ? error.message : String(error)}`;
      this.#options.logger.warn({ err: error, stream }, 'the consumer begins again where its partitions stand');
      await pause(RETRY_MS, this.stopped.signal);
    }
  }

  async #applyNext(): Promise<void> {
    this.#appliedAt = Date.now();
    const batch = this.#queue.splice(0, this.#batchMaxEvents);
    this.#room.resolve();
    this.#room = Promise.withResolvers();
    if (batch.length > 0) await this.applier.apply(batch);
  }

  /** Lanes for the partitions that are owned and for no others; operators' verdicts. */
  async #tend(): Promise<void> {
    const { nats, transaction } = this.#options;
    for (const lane of this.#lanes.values()) if (!lane.open || !this.#lease.keep.has(lane.reading.partition)) this.#endLane(lane);
    for (const partition of this.#lease.leave) this.#lease.release(partition);
    const missing = this.#readings.filter(({ number, partition }) => this.#lease.keep.has(partition) && !this.#lanes.has(number));
    if (missing.length > 0 && this.#link.isUp) {
      const info = await streamInfo(await jetstreamManager(nats, { checkAPI: false, timeout: LOOK_TIMEOUT_MS }), this.#options.producer);
      // Its producer has not made it yet.
      if (info === null) return;
      // Lanes of another making, if there are some still, come to nothing: their positions are not moved any more.
      this.#created = info.created;
      const manager = await jetstreamManager(nats, { checkAPI: false, timeout: ATTACH_TIMEOUT_MS });
      // All of them have ended, well or badly, before anything else is done with lanes.
      const attached = await Promise.allSettled(missing.map((reading) => this.#attach(manager, reading, { created: info.created, last: info.state.last_seq })));
      for (const lane of attached) if (lane.status === 'rejected') throw lane.reason;
      for (const aggregateId of await transaction((sql) => applicable(sql, this.#source.source))) {
        if (this.#lease.keep.has(partitionOf(aggregateId))) await this.applier.drain(aggregateId);
      }
    }
    const { moved, verdicts } = await transaction(async (sql) => ({
      moved: await movedElsewhere(sql, this.#source.stream, [...this.#lanes.keys()].map((number) => [number, this.applier.positions.get(number) ?? 0])),
      verdicts: await dueVerdicts(sql, this.#source),
    }));
    // A rebuild has put them back to the beginning.
    for (const lane of this.#lanes.values()) if (moved.includes(lane.reading.number)) this.#endLane(lane);
    if (moved.length > 0) this.#tendNow();
    for (const verdict of verdicts) {
      if (this.#lease.keep.has(verdict.aggregateId === null ? 0 : partitionOf(verdict.aggregateId))) await this.applier.settle(verdict);
    }
  }

  async #attach(manager: JetStreamManager, reading: Reading, stream: { readonly created: string; readonly last: number }): Promise<void> {
    const { producer, service, nats, transaction } = this.#options;
    const start = await transaction((sql) => standing(sql, { stream: this.#source.stream, partition: reading.number }, stream));
    const messages = await readFrom(nats, manager, { producer, service, reading, start });
    const lane: Lane = { reading, messages, open: true };
    this.#lanes.set(reading.number, lane);
    this.applier.positions.set(reading.number, start.position);
    void this.#read(lane, start);
  }

  async #read(lane: Lane, { position, messageId }: Standing): Promise<void> {
    let delivered = 0;
    const { number, partition } = lane.reading;
    const chain = laneChain(this.#options.nats, this.#source.stream, position, this.#options.logger);
    try {
      for await (const message of lane.messages) {
        if (!lane.open) break;
        if (message.info.deliverySequence !== ++delivered) throw new Error('A message was lost on the way');
        const read = { partition: number, seq: message.seq, id: message.headers?.get('Nats-Msg-Id') ?? '', text: message.string(), lane };
        if (delivered === 1 && messageId !== null) {
          if (read.seq === position && read.id === messageId) continue;
          await this.#options.transaction((sql) => startOver(sql, this.#source.stream, number));
          throw new Error(`The stream has another message at ${position} than it had: it is read from its beginning`);
        }
        await chain.add(message);
        this.#queue.push(read);
        this.#wake.set();
        if (this.#queue.length >= this.#batchMaxEvents * QUEUE_MAX_BATCHES) await this.#room.promise;
      }
    } catch (error) {
      if (lane.open) this.#options.logger.warn({ err: error, stream: this.#source.stream, partition }, 'a partition is attached again');
      await pause(RETRY_MS, this.stopped.signal);
    }
    lane.open = false;
    this.#tendNow();
  }

  #endLanes(): void {
    for (const lane of this.#lanes.values()) this.#endLane(lane);
  }

  #endLane(lane: Lane): void {
    lane.open = false;
    lane.messages.stop();
    this.#lanes.delete(lane.reading.number);
    this.#queue = this.#queue.filter((message) => message.lane !== lane);
    this.#room.resolve();
  }
}
