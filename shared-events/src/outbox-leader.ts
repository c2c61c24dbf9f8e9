import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Client } from 'pg';
import type { RelayOptions } from './outbox-relay.ts';
import { pause, unless, type Latch } from './pause.ts';
import { createPublisher, type StreamMessage, type StreamPublisher } from './stream-publisher.ts';
import { assertUnchanged, resync, type Agreement } from './stream-resync.ts';
import { laneOf, PARTITIONS, streamInfo, streamOf } from './streams.ts';

const BATCH_MAX_EVENTS = 500;
const PUBLISH_TIMEOUT_MS = 2_000;
/** A broker that has just come back may let a first request go unanswered: better to ask again soon. */
const LOOK_TIMEOUT_MS = 1_000;
/** A batch that was not full is followed by the next one after this time, by then of several events: nearly as soon, at a fraction of the cost. */
const PACE_MS = 4;
/** For so long after its last event the relay looks again at its pace. Only then does it rest, and is woken by commits. */
const QUIET_MS = 25;
/** While it rests it looks all the same, soon once and then at this pace: a transaction under way when it began to rest does not wake it. */
const POLL_MS = 250;
/** What a message takes in the stream besides its text: subject, headers, record. */
const OVERHEAD_MAX_BYTES = 400;
const KEEP_DAYS = 90;
const KEEP_EVERY_MS = 3_600_000;

const SUBJECT = `'ates.' || $1 || '.' || dataschema || '.' || ('x' || right(aggregate_id::text, 2))::bit(8)::int % ${PARTITIONS}`;

/** The envelope is put together from the row's columns, so that the row's text is written once. */
const ROW = `id::text, ${SUBJECT} as subject,
  json_build_object(
    'specversion', '1.0', 'id', id, 'source', '/' || $1, 'type', type, 'dataschema', dataschema,
    'subject', aggregate_id, 'time', to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'datacontenttype', 'application/json', 'traceparent', traceparent, 'sequence', seq::text, 'data', data
  )::text as text`;

/** Gives the oldest events without a position the ones after $3, and remembers that the stream has everything up to $2, and whether the relay rests. */
const TAKE = { name: 'take', text: `
  with next as (
    select id, row_number() over (order by seq) as nth
    from (select id, seq from outbox where stream_seq is null order by seq limit ${BATCH_MAX_EVENTS}) as oldest
  ), taken as (
    update outbox set stream_seq = $3::bigint + next.nth from next where outbox.id = next.id returning outbox.*
  ), acknowledged as (
    update outbox_relay set published = $2::bigint, rests = $4 where (published, rests) is distinct from ($2::bigint, $4)
  )
  select ${ROW} from taken order by stream_seq` };

/** The events that have a position after $3 already: published once, but the stream lost them. They close up if earlier ones are no longer retained. */
const TAKE_AGAIN = { name: 'take_again', text: `
  with next as (
    select id, row_number() over (order by stream_seq) as nth
    from (select id, stream_seq from outbox where stream_seq > $3::bigint order by stream_seq limit ${BATCH_MAX_EVENTS}) as lost
  ), moved as (
    update outbox set stream_seq = $3::bigint + next.nth from next where outbox.id = next.id and stream_seq <> $3::bigint + next.nth
  ), acknowledged as (
    update outbox_relay set published = $2::bigint, rests = $4 where (published, rests) is distinct from ($2::bigint, $4)
  )
  select ${ROW} from next join outbox using (id) order by nth` };

/** The last position of each lane, up to $2, among the last events: of a lane that is not among them nothing is said. */
const LAST_OF_LANES = { name: 'last_of_lanes', text: `
  select subject, max(stream_seq)::text as position from (
    select ${SUBJECT} as subject, stream_seq from outbox where stream_seq <= $2::bigint order by stream_seq desc limit 5000
  ) as latest group by subject` };

/** What others want to know of a leader. */
export interface LeaderEvents {
  readonly onAgreed: (repaired: boolean) => void;
  readonly onPublished: (count: number) => void;
  /** After each look at the outbox; awaited. */
  readonly onLook: () => Promise<void>;
}

/** The active relay of a database, for one session: see `startRelay`. */
export class Leader {
  readonly #options: RelayOptions;
  readonly #session: Client;
  readonly #manager: JetStreamManager;
  readonly #events: LeaderEvents;
  readonly #agreed: Agreement;
  readonly #stream: StreamPublisher;
  readonly #paceMs: number;
  /** The stream holds everything up to this position. */
  #published: number;
  /** Where each lane ends. */
  readonly #lastOf: Map<string, number>;
  #room = 0;
  #keptAt = 0;

  private constructor(options: RelayOptions, session: Client, events: LeaderEvents, found: { readonly manager: JetStreamManager; readonly agreed: Agreement; readonly lastOf: Map<string, number> }) {
    this.#options = options;
    this.#session = session;
    this.#events = events;
    this.#manager = found.manager;
    this.#agreed = found.agreed;
    this.#lastOf = found.lastOf;
    this.#published = found.agreed.position;
    this.#stream = createPublisher(options.nats, streamOf(options.producer), PUBLISH_TIMEOUT_MS);
    this.#paceMs = Math.max(PACE_MS, options.lingerMs ?? 0);
  }

  /** Makes stream and outbox agree. */
  static async begin(options: RelayOptions, session: Client, events: LeaderEvents, over: AbortSignal): Promise<Leader> {
    const { producer, nats, logger } = options;
    const manager = await jetstreamManager(nats, { checkAPI: false, timeout: LOOK_TIMEOUT_MS });
    const agreed = await resync({ producer, session, manager, logger, over });
    events.onAgreed(agreed.repaired);
    logger.info({ producer, position: agreed.position }, 'the outbox relay leads');
    const lastOf = new Map<string, number>();
    const { rows } = await session.query<{ subject: string; position: string }>({ ...LAST_OF_LANES, values: [producer, agreed.position] });
    for (const { subject, position } of rows) {
      const lane = String(laneOf(subject));
      lastOf.set(lane, Math.max(lastOf.get(lane) ?? 0, Number(position)));
    }
    return new Leader(options, session, events, { manager, agreed, lastOf });
  }

  /**
   * Publishes until `over`. `commits` is set by commits with events while the relay rests.
   * @throws when it can't go on without looking what became of the stream
   */
  async run(commits: Latch, over: AbortSignal): Promise<void> {
    over.addEventListener('abort', this.#stream.close, { once: true });
    while (!over.aborted && (await this.#publish(await this.#take(TAKE_AGAIN), TAKE_AGAIN, over)));
    let quietAt = 0;
    while (!over.aborted) {
      const rests = Date.now() > quietAt;
      const lookedAt = Date.now();
      if (await this.#publish(await this.#take(TAKE, this.#published, rests), TAKE, over)) quietAt = Date.now() + QUIET_MS;
      else if (rests) {
        const isSettled = Date.now() - quietAt > QUIET_MS;
        if (await commits.wait(isSettled ? POLL_MS : 2 * this.#paceMs, over)) {
          quietAt = Date.now() + QUIET_MS;
          await pause(this.#options.lingerMs ?? 0, over);
        } else if (isSettled && !over.aborted) await this.#tend();
      }
      if (!rests) await pause(lookedAt + this.#paceMs - Date.now(), over);
    }
  }

  async #take(step: typeof TAKE | typeof TAKE_AGAIN, after = this.#published, rests = false): Promise<StreamMessage[]> {
    await this.#events.onLook();
    return (await this.#session.query<StreamMessage>({ ...step, values: [this.#options.producer, this.#published, after, rests] })).rows;
  }

  /** Publishes a batch and, for as long as they are full, the ones after it, each of which is taken while the one before is under way. */
  async #publish(first: StreamMessage[], step: typeof TAKE | typeof TAKE_AGAIN, over: AbortSignal): Promise<boolean> {
    for (let batch = first; batch.length > 0 && !over.aborted; ) {
      const last = this.#published + batch.length;
      await this.#makeSureOfRoom(batch);
      const isFull = batch.length === BATCH_MAX_EVENTS;
      const [, next] = await Promise.all([unless(over, this.#stream.publish(this.#chained(batch), this.#published)), isFull ? this.#take(step, last) : []]);
      this.#events.onPublished(batch.length);
      this.#published = last;
      batch = next;
    }
    return first.length > 0;
  }

  /** The messages, each with the position of the one before it in its lane. */
  #chained(batch: readonly StreamMessage[]): (StreamMessage & { readonly previous: number | undefined })[] {
    return batch.map((message, place) => {
      const lane = String(laneOf(message.subject));
      const previous = this.#lastOf.get(lane);
      this.#lastOf.set(lane, this.#published + place + 1);
      return { ...message, previous };
    });
  }

  /**
   * Asks for room before the stream is full: nats-server 2.9 lets in a message that fits without its record's overhead, and drops
   * the oldest one for it, in spite of `discard: new`.
   */
  async #makeSureOfRoom(batch: readonly StreamMessage[]): Promise<void> {
    const size = batch.reduce((bytes, { text }) => bytes + Buffer.byteLength(text) + OVERHEAD_MAX_BYTES, 0);
    if (size > this.#room) {
      const info = await streamInfo(this.#manager, this.#options.producer);
      if (info === null) throw new Error('The stream is gone');
      this.#room = info.config.max_bytes > 0 ? info.config.max_bytes - info.state.bytes : Number.POSITIVE_INFINITY;
    }
    if (size > this.#room) throw new Error(`The stream ${streamOf(this.#options.producer)} is full: raise its max_bytes, or its disk`);
    this.#room -= size;
  }

  async #tend(): Promise<void> {
    const { producer, logger, keepDays = KEEP_DAYS } = this.#options;
    await assertUnchanged({ producer, manager: this.#manager, position: this.#published, created: this.#agreed.created });
    if (Date.now() - this.#keptAt < KEEP_EVERY_MS) return;
    this.#keptAt = Date.now();
    await this.#session.query('select keep_outbox($1)', [keepDays]).catch((error: unknown) => logger.warn({ err: error, producer }, 'the partitions of the outbox could not be kept'));
  }
}
