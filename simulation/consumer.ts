import { createApplier, type Applier, type Message, type Unit } from '@ates/shared-events/event-applier';
import type { Verdict } from '@ates/shared-events/parked-events';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { partitionOf, UNPARTITIONED } from '@ates/shared-events/streams';
import { Actor, type Actors } from './actors.ts';
import type { SimulatedStream } from './bus.ts';
import { applyEvents } from './effects.ts';
import { simulatedInbox, simulatedParking, simulatedVerdicts } from './store-inbox.ts';
import { Transaction, type InboxTables, type Store } from './store.ts';
import type { Tape } from './tape.ts';

/** What every consumer of a run shares. */
export interface Surroundings {
  readonly actors: Actors;
  readonly store: Store;
  readonly faults: Tape;
  readonly poison: Set<string>;
  /** How often each of these events fails before it can be applied. */
  readonly stubborn: Map<string, number>;
  /** How many more transactions fail before the database is there again. */
  readonly outage: { transactions: number };
  /** Is told what happens, for whoever wants to follow a run. */
  readonly tell: (what: string) => void;
}

interface Lane {
  /** Where it reads on. */
  next: number;
  /** What the message at its position has to be called, until that has been seen. */
  expected: { readonly position: number; readonly messageId: string } | null;
}

export const PARTITIONS_USED = [0, 1, UNPARTITIONED] as const;
const SILENT = { info: () => {}, warn: () => {}, error: () => {} };

/** What may become of a transaction: of so many, these two are failures. */
const FATES = 24;
const FATE_ROLLED_BACK = 23;
const FATE_UNTOLD = 22;

/** One replica's consumer of one stream: the real applier, fed as the real consumer feeds it, without a broker's client around it. */
export class SimulatedConsumer {
  readonly actor: Actor;
  readonly applier: Applier;
  /** The partitions that it thinks it owns. */
  owned: ReadonlySet<number>;
  /** Whether it reads; begins anew where its partitions stand when not. */
  isAttached = false;
  readonly #stream: SimulatedStream;
  readonly #around: Surroundings;
  readonly #lanes = new Map<number, Lane>();
  /** Which making of the stream it reads. */
  #created = 0;
  #transaction: Transaction | null = null;

  constructor(name: string, stream: SimulatedStream, owned: ReadonlySet<number>, around: Surroundings) {
    this.#stream = stream;
    this.#around = around;
    this.owned = owned;
    this.actor = new Actor(`${name} of ${stream.history.stream}`, () => !this.isAttached || this.#isMovedElsewhere() || this.#verdicts().length > 0 || this.#readable().length > 0);
    this.applier = createApplier<Transaction>({
      producer: stream.history.producer,
      logger: SILENT,
      transaction: (work) => this.#inTransaction(work),
      react: (events, transaction) => this.#react(events, transaction),
      pause: () => around.actors.turn(this.actor),
    });
  }

  start(): Promise<void> {
    return this.#around.actors.start(this.actor, () => this.#run());
  }

  /** The process ends where it stands; PostgreSQL takes back what was not committed. */
  crash(): void {
    this.#around.actors.kill(this.actor);
    if (this.#transaction !== null) this.#around.store.release(this.#transaction);
  }

  async #run(): Promise<never> {
    for (;;) {
      this.actor.isResting = true;
      await this.#around.actors.turn(this.actor);
      try {
        await this.#step();
      } catch (error) {
        this.#around.tell(`${this.actor.name} begins again: ${String(error)}`);
        this.isAttached = false;
      }
    }
  }

  /** Reads on, mostly; looks after its partitions and after verdicts in between, as the real consumer does twice a second. */
  async #step(): Promise<void> {
    const { faults } = this.#around;
    if (!this.isAttached) return this.#attach();
    if (this.#readable().length > 0 && !faults.isOver && !faults.happens(4)) return this.#applyNext();
    if (this.#isMovedElsewhere()) return this.#attach();
    for (const verdict of this.#verdicts()) {
      this.#around.tell(`${this.actor.name} carries out ${verdict.command} of v${verdict.version} of ${verdict.aggregateId}`);
      await this.applier.settle(verdict);
    }
    await this.#applyNext();
  }

  /** As `standing` of the real consumer, for each partition. */
  async #attach(): Promise<void> {
    this.#lanes.clear();
    this.isAttached = true;
    const { created, last, history } = this.#stream;
    this.#created = created;
    const starts = await this.#inTransaction(async ({ sql }) => {
      const { positions } = await sql.inbox(history.stream);
      return [...this.owned].map((partition) => {
        const known = positions.get(partition) ?? { position: 0, messageId: '', created: null };
        const position = known.created === created ? Math.min(known.position, last) : 0;
        positions.set(partition, { ...known, position, created });
        return { partition, position, messageId: position > 0 && position === known.position ? known.messageId : null };
      });
    });
    for (const { partition, position, messageId } of starts) {
      this.applier.positions.set(partition, position);
      this.#lanes.set(partition, messageId === null ? { next: position + 1, expected: null } : { next: position, expected: { position, messageId } });
    }
    for (const aggregateId of applicable(this.#tables())) if (this.owned.has(partitionOf(aggregateId))) await this.applier.drain(aggregateId);
  }

  async #applyNext(): Promise<void> {
    const { faults } = this.#around;
    const batch: Message[] = [];
    for (let room = faults.isOver ? 100 : 1 + faults.choose(5); room > 0; room--) {
      const readable = this.#readable();
      const partition = readable[faults.choose(readable.length)];
      if (partition === undefined) break;
      const message = await this.#read(partition);
      if (message !== null) batch.push(message);
    }
    if (batch.length === 0) return;
    this.#around.tell(`${this.actor.name} read ${batch.map(({ partition, seq }) => `${seq} of ${partition}`).join()}`);
    await this.applier.apply(batch);
  }

  async #read(partition: number): Promise<Message | null> {
    const lane = this.#lanes.get(partition) as Lane;
    const found = this.#stream.next(partition, lane.next);
    if (found === null) return null;
    const { seq, message } = found;
    const { expected } = lane;
    lane.next = seq + 1;
    lane.expected = null;
    if (expected === null) return { partition, seq, id: message.id, text: message.text };
    if (expected.position === seq && expected.messageId === message.id) return null;
    await this.#inTransaction(async ({ sql }) => {
      const { positions } = await sql.inbox(this.#stream.history.stream);
      positions.set(partition, { position: 0, messageId: '', created: positions.get(partition)?.created ?? null });
    });
    throw new Error('The stream has another message there than it had');
  }

  /** One transaction, with everything that may become of one. */
  async #inTransaction<Result>(work: (unit: Unit<Transaction>) => Promise<Result>): Promise<Result> {
    const { actors, store, faults, outage } = this.#around;
    await actors.turn(this.actor);
    const transaction = new Transaction(store, this.actor, actors, this.#created);
    this.#transaction = transaction;
    try {
      const { stream } = this.#stream.history;
      const result = await work({ sql: transaction, inbox: simulatedInbox(transaction, stream), parked: simulatedParking(transaction, stream) });
      await actors.turn(this.actor);
      const isOut = outage.transactions > 0;
      if (isOut) outage.transactions -= 1;
      const fate = faults.choose(FATES);
      if (isOut || fate === FATE_ROLLED_BACK) throw this.#failure('deadlock detected', '40P01');
      transaction.commit();
      this.#around.tell(`${this.actor.name} committed; now at ${JSON.stringify([...this.#tables().positions].map(([partition, { position }]) => [partition, position]))}`);
      // What was committed stays so, though nobody was told.
      if (fate === FATE_UNTOLD) throw this.#failure('the server closed the session', '08006');
      return result;
    } finally {
      store.release(transaction);
      this.#transaction = null;
    }
  }

  async #react(events: readonly PublishedAtesEvent[], transaction: Transaction): Promise<void> {
    const { faults, poison, stubborn } = this.#around;
    const effects = await transaction.effects();
    const late = events.find(({ id }) => (stubborn.get(id) ?? 0) > 0);
    if (late !== undefined) stubborn.set(late.id, (stubborn.get(late.id) ?? 0) - 1);
    if (late !== undefined || faults.happens(FATES)) throw this.#failure('could not serialize access', '40001');
    if (events.some(({ id }) => poison.has(id))) throw Object.assign(new Error('a popug without a beak'), { code: '23514' });
    applyEvents(effects, events);
  }

  #failure(message: string, code: string): Error {
    return Object.assign(new Error(message), this.#around.store.isWithout('every failure is taken for the event’s own') ? {} : { code });
  }

  #tables(): InboxTables {
    return this.#around.store.inbox(this.#stream.history.stream);
  }

  /** As `movedElsewhere` of the real consumer: whether somebody else has moved a partition that it reads, as a rebuild does. */
  #isMovedElsewhere(): boolean {
    const { positions } = this.#tables();
    return [...this.#lanes.keys()].some((partition) => positions.get(partition)?.position !== this.applier.positions.get(partition));
  }

  #readable(): number[] {
    return [...this.#lanes].filter(([partition, { next }]) => this.#stream.next(partition, next) !== null).map(([partition]) => partition);
  }

  #verdicts(): Verdict[] {
    return simulatedVerdicts(this.#tables()).filter(({ aggregateId }) => this.owned.has(aggregateId === null ? 0 : partitionOf(aggregateId)));
  }
}

/** As `applicable` of the real consumer. */
function applicable({ waiting, versions }: InboxTables): string[] {
  return [...waiting].filter(([aggregateId, events]) => events.has((versions.get(aggregateId) ?? 0) + 1)).map(([aggregateId]) => aggregateId);
}
