import { createHash } from 'node:crypto';
import { readEvent, type PublishedAtesEvent } from './catalog.ts';
import { EventContractError, type Producer } from './event.ts';
import { PositionLostError, type Inbox, type Move } from './inbox.ts';
import { isDiscarded, type ParkedEvents, type ParkedLetter, type Verdict } from './parked-events.ts';
import { streamOf } from './streams.ts';

/** What the event pipe logs to: pino's shape. */
export interface EventLogger {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** Runs after the commit of the batch, for what is only a hint; errors in it are logged, never retried. */
export type AfterCommit = () => void | Promise<void>;

/**
 * Watches a batch of a stream being applied, for whoever traces events: runs `work` once, which tells what of the batch it applied, and
 * gives or throws what it does.
 */
export type TraceBatch = <Result extends { readonly applied: readonly PublishedAtesEvent[] }>(stream: string, batch: readonly PublishedAtesEvent[], work: () => Promise<Result>) => Promise<Result>;

/** A message as the stream has it. */
export interface Message {
  /** The number of the reading that it came by: the partition's, where a consumer reads everything. */
  readonly partition: number;
  /** Its position in the stream. */
  readonly seq: number;
  readonly id: string;
  readonly text: string;
}

/** What one transaction gives its work. */
export interface Unit<Sql> {
  readonly sql: Sql;
  readonly inbox: Inbox;
  readonly parked: ParkedEvents;
}

export interface ApplierOptions<Sql> {
  readonly producer: Producer;
  readonly logger: EventLogger;
  /** One transaction, committed when the work resolves. */
  readonly transaction: <Result>(work: (unit: Unit<Sql>) => Promise<Result>) => Promise<Result>;
  /** Applies events in their order, inside the transaction; must write through it only. */
  readonly react: (events: readonly PublishedAtesEvent[], sql: Sql) => Promise<AfterCommit | void>;
  /** Put around each batch by whoever traces events. */
  readonly traceBatch?: TraceBatch | undefined;
  /** Waits between tries. @throws when the consumer is to stop */
  readonly pause: (ms: number) => Promise<void>;
}

export interface Applier {
  /** Where each partition stands, as committed. */
  readonly positions: Map<number, number>;
  readonly facts: { applied: number; retries: number; failure: string | null };
  /** Applies messages in their order. Returns when all are settled: applied, known before, waiting, or parked. @throws PositionLostError */
  apply(batch: readonly Message[]): Promise<void>;
  /** Applies what waits for nothing of one aggregate any more. */
  drain(aggregateId: string): Promise<void>;
  /** Carries out what an operator decided about a parked event. */
  settle(verdict: Verdict): Promise<void>;
}

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** How often an event is tried that fails for a reason of its own. */
const ATTEMPTS_MAX = 3;

/**
 * Applies messages to a service's state. A batch is one transaction: inbox, effects, positions. A transient failure is
 * tried again in place, so nothing is overtaken. Any other one makes the batch be applied event by event: what can't be applied
 * even alone is parked, the later events of its aggregate wait for it in the inbox, and everything else goes on.
 */
export function createApplier<Sql>(options: ApplierOptions<Sql>): Applier {
  return new BatchApplier(options);
}

class BatchApplier<Sql> implements Applier {
  readonly positions = new Map<number, number>();
  readonly facts: Applier['facts'] = { applied: 0, retries: 0, failure: null };
  readonly #options: ApplierOptions<Sql>;
  readonly #stream: string;
  readonly #traceBatch: TraceBatch;

  constructor(options: ApplierOptions<Sql>) {
    this.#options = options;
    this.#traceBatch = options.traceBatch ?? ((_stream, _batch, work) => work());
    this.#stream = streamOf(options.producer);
  }

  async apply(batch: readonly Message[]): Promise<void> {
    try {
      await this.#inPlace(() => this.#applyTogether(batch));
    } catch (error) {
      if (error instanceof PositionLostError) throw error;
      this.#options.logger.warn({ err: error, stream: this.#stream, events: batch.length }, 'a batch holds an event that can not be applied: its events are applied one by one');
      for (const message of batch) await this.#applyAlone(message);
    }
  }

  async drain(aggregateId: string): Promise<void> {
    const { logger, pause, transaction } = this.#options;
    for (let attempt = 1; ; ) {
      const tried: { event?: PublishedAtesEvent | undefined } = {};
      try {
        await this.#inPlace(() => this.#applyNext(aggregateId, tried));
        if (tried.event === undefined) return;
        attempt = 1;
      } catch (error) {
        const { event } = tried;
        if (event === undefined) throw error;
        const isLast = attempt++ === ATTEMPTS_MAX;
        const facts = { err: error, stream: this.#stream, event: event.id, aggregate: aggregateId };
        logger.error(facts, isLast ? 'an event can not be applied and is parked; later ones of its aggregate wait' : 'an event can not be applied');
        if (isLast) return this.#inPlace(() => transaction(({ parked }) => parked.park([letterOf(event, reasonOf(error))])));
        await pause(RETRY_MIN_MS);
      }
    }
  }

  async settle(verdict: Verdict): Promise<void> {
    const { logger, transaction } = this.#options;
    const aggregateId = await this.#inPlace(() => transaction(({ parked }) => parked.putBack(verdict)));
    if (aggregateId !== null) await this.drain(aggregateId);
    // It can't be read still, and says so; a verdict that was given meanwhile is another one.
    else if (verdict.command === 'REPLAY') return;
    await this.#inPlace(() => transaction(({ parked }) => parked.settled(verdict)));
    logger.info({ stream: this.#stream, parked: verdict.id, command: verdict.command }, 'what was decided about a parked event was carried out');
  }

  async #applyTogether(batch: readonly Message[]): Promise<void> {
    const { producer, logger, transaction, react } = this.#options;
    const { events, unreadable } = readAll(producer, batch);
    const moves = this.#movesOf(batch);
    const { applied, afterCommit } = await this.#traceBatch(this.#stream, events, () =>
      transaction(async ({ sql, inbox, parked }) => {
        await parked.park(unreadable);
        const admitted = (await inbox.admit(events, moves)).filter((event) => !isDiscarded(event));
        return { applied: admitted, afterCommit: admitted.length === 0 ? undefined : await react(admitted, sql) };
      }),
    );
    this.#moved(moves);
    for (const { messageKey, reason } of unreadable) logger.error({ stream: this.#stream, messageKey, reason }, 'an event could not be read and was parked');
    await this.#finish(applied.length, afterCommit);
  }

  async #applyAlone(message: Message): Promise<void> {
    const { events, unreadable } = readAll(this.#options.producer, [message]);
    const moves = this.#movesOf([message]);
    await this.#inPlace(() =>
      this.#options.transaction(async ({ inbox, parked }) => {
        await parked.park(unreadable);
        await inbox.hold(events, moves);
      }),
    );
    this.#moved(moves);
    for (const { subject } of events) await this.drain(subject);
  }

  /** Applies the next event of an aggregate that waits, if there is one; `tried` tells which, also when it fails. */
  async #applyNext(aggregateId: string, tried: { event?: PublishedAtesEvent | undefined }): Promise<void> {
    const { applied, afterCommit } = await this.#traceBatch(this.#stream, [], () =>
      this.#options.transaction(async ({ sql, inbox }) => {
        const event = await inbox.takeNext(aggregateId);
        tried.event = event;
        return event === undefined || isDiscarded(event) ? { applied: [], afterCommit: undefined } : { applied: [event], afterCommit: await this.#options.react([event], sql) };
      }),
    );
    await this.#finish(applied.length, afterCommit);
  }

  /** Tries again for as long as it fails for a reason that may pass. */
  async #inPlace<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let retryMs = RETRY_MIN_MS; ; retryMs = Math.min(retryMs * 2, RETRY_MAX_MS)) {
      try {
        const result = await work();
        this.facts.failure = null;
        return result;
      } catch (error) {
        if (error instanceof PositionLostError || !isTransient(error)) throw error;
        this.facts.retries += 1;
        this.facts.failure = `events of ${this.#stream} are not being applied: ${reasonOf(error)}`;
        this.#options.logger.error({ err: error, stream: this.#stream, retryMs }, 'events could not be applied for now and are tried again');
        await this.#options.pause(retryMs);
      }
    }
  }

  async #finish(applied: number, afterCommit: AfterCommit | void): Promise<void> {
    this.facts.applied += applied;
    try {
      await afterCommit?.();
    } catch (error) {
      this.#options.logger.warn({ err: error, stream: this.#stream }, 'what follows a commit failed; the effects themselves are committed');
    }
  }

  #movesOf(batch: readonly Message[]): Move[] {
    const last = new Map(batch.map((message) => [message.partition, message]));
    return [...last.values()].map(({ partition, seq, id }) => ({ partition, from: this.positions.get(partition) ?? 0, to: seq, messageId: id }));
  }

  #moved(moves: readonly Move[]): void {
    for (const { partition, to } of moves) this.positions.set(partition, to);
  }
}

function readAll(producer: Producer, batch: readonly Message[]): { events: PublishedAtesEvent[]; unreadable: ParkedLetter[] } {
  const events: PublishedAtesEvent[] = [];
  const unreadable: ParkedLetter[] = [];
  for (const { seq, text } of batch) {
    try {
      const event = readEvent(text);
      // Who may publish where is NATS' business; whose event it is must not depend on that alone.
      if (event.source !== `/${producer}`) throw new EventContractError(`An event of ${event.source} is in the stream of /${producer}`);
      events.push(event);
    } catch (error) {
      const known = { aggregateId: null, version: null, dataschema: null, ...placeIn(text) };
      unreadable.push({ messageKey: `${streamOf(producer)}:${seq}:${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, ...known, reason: reasonOf(error), message: text });
    }
  }
  return { events, unreadable };
}

function letterOf(event: PublishedAtesEvent, reason: string): ParkedLetter {
  return { messageKey: event.id, aggregateId: event.subject, version: event.data.version, dataschema: event.dataschema, reason, message: JSON.stringify(event) };
}

/** What can be told of a message that does not fit its contract: enough to know which events wait for it. */
function placeIn(text: string): Partial<ParkedLetter> {
  try {
    const { subject, dataschema, data } = JSON.parse(text) as { subject?: unknown; dataschema?: unknown; data?: { version?: unknown } };
    const isPlaced = typeof subject === 'string' && /^[0-9a-f-]{36}$/.test(subject) && Number.isInteger(data?.version);
    return { dataschema: typeof dataschema === 'string' ? dataschema : null, ...(isPlaced && { aggregateId: subject, version: data?.version as number }) };
  } catch {
    return {};
  }
}

const SQLSTATE = /^[0-9A-Z]{5}$/;
const ERRNO = /^E[A-Z]+$/;
/** SQLSTATE classes that say something of the values that were written, not of the database: data, integrity, raised by a function. */
const CLASSES_OF_THE_EVENT = ['22', '23', 'P0'];

/** Whether the same may work later, as it is: a lost connection, a deadlock, a full disk, a missing table. */
export function isTransient(error: unknown): boolean {
  const { code, message = '' } = error as { code?: unknown; message?: string };
  if (typeof code !== 'string') return /connection|terminat|timeout/i.test(message);
  return SQLSTATE.test(code) ? !CLASSES_OF_THE_EVENT.includes(code.slice(0, 2)) : ERRNO.test(code);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
