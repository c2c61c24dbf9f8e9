import { Actors } from './actors.ts';
import { SimulatedStream } from './bus.ts';
import { checkLiveness, placeOf, SafetyChecks, Violation } from './checks.ts';
import { PARTITIONS_USED, SimulatedConsumer, type Surroundings } from './consumer.ts';
import { noEffects } from './effects.ts';
import { makeWorld } from './history.ts';
import { changeLetter, isUnread } from './store-inbox.ts';
import { Store, type InboxTables, type Letter, type Mutation } from './store.ts';
import { Tape } from './tape.ts';

/** Everything that a run depends on. */
export interface Decisions {
  /** What happens in the system, and what becomes of it on its way. */
  readonly world: ArrayLike<number>;
  /** Who goes on next, and what goes wrong when. When it is read to its end, nothing goes wrong any more. */
  readonly faults: ArrayLike<number>;
}

export interface SimulationOptions {
  /** A guard that the database is without. */
  readonly mutation?: Mutation | null;
  /** Is told what happens. */
  readonly tell?: (what: string) => void;
}

/** A system that has nothing to do comes to rest long before. */
const STEPS_MAX = 20_000;
const REPLICAS = ['one', 'two'] as const;

/**
 * Runs the real applier over a simulated broker and a simulated database until everything has come to rest.
 * @throws Violation when something is not as it must be
 */
export async function simulate(decisions: Decisions, options: SimulationOptions = {}): Promise<void> {
  await new Simulation(decisions, options).run();
}

class Simulation {
  readonly #world;
  readonly #streams: readonly SimulatedStream[];
  readonly #faults: Tape;
  readonly #around: Surroundings;
  readonly #store: Store;
  readonly #actors = new Actors();
  readonly #discarded = new Set<string>();
  readonly #safety = new SafetyChecks(this.#discarded);
  #consumers: SimulatedConsumer[] = [];
  #violation: Error | null = null;
  #next = 0;

  constructor({ world, faults }: Decisions, { mutation = null, tell = () => {} }: SimulationOptions) {
    this.#world = makeWorld(new Tape(world));
    this.#streams = this.#world.histories.map((history) => new SimulatedStream(history));
    this.#faults = new Tape(faults);
    this.#store = new Store(this.#world.histories.map(({ stream }) => stream), mutation, (store) => this.#onCommit(store));
    this.#around = { actors: this.#actors, store: this.#store, faults: this.#faults, poison: new Set(this.#world.poison), stubborn: new Map(this.#world.stubborn), outage: { transactions: 0 }, tell };
  }

  async run(): Promise<void> {
    await this.#startReplica('one', new Set(PARTITIONS_USED));
    while (!this.#faults.isOver) {
      await this.#disturb();
      await this.#step();
    }
    // From here on one replica owns everything, and nothing goes wrong.
    this.#around.outage.transactions = 0;
    for (const consumer of this.#consumers.splice(0)) consumer.crash();
    for (const stream of this.#streams) stream.publish(Number.POSITIVE_INFINITY);
    await this.#startReplica('last', new Set(PARTITIONS_USED));
    await this.#comeToRest();
    checkLiveness(this.#store, this.#world, this.#discarded);
    await this.#settleEverything();
    checkLiveness(this.#store, this.#world, this.#discarded);
  }

  /** Commits are in the middle of the applier's work, which takes errors for its own: a violation is kept until it has yielded. */
  #onCommit(store: Store): void {
    try {
      this.#safety.check(store);
    } catch (error) {
      this.#violation ??= error as Error;
    }
  }

  async #step(): Promise<boolean> {
    const runnable = this.#actors.runnable();
    const chosen = runnable[this.#faults.isOver ? this.#next++ % runnable.length : this.#faults.choose(runnable.length)];
    if (chosen !== undefined) await this.#actors.run(chosen);
    const isMoving = chosen !== undefined || (await this.#actors.breakDeadlock());
    if (this.#violation !== null) throw this.#violation;
    return isMoving;
  }

  async #comeToRest(): Promise<void> {
    for (let step = 0; await this.#step(); step++) if (step > STEPS_MAX) throw new Violation('It does not come to rest');
  }

  async #startReplica(name: string, owned: ReadonlySet<number>): Promise<void> {
    for (const stream of this.#streams) {
      const consumer = new SimulatedConsumer(name, stream, owned, this.#around);
      this.#consumers.push(consumer);
      await consumer.start();
    }
  }

  /** What happens between two steps; mostly nothing but that more is published. */
  async #disturb(): Promise<void> {
    const kind = this.#faults.choose(128);
    if (kind >= 50) return;
    const stream = this.#streams[this.#faults.choose(this.#streams.length)] as SimulatedStream;
    if (kind < 24) stream.publish(1 + (kind % 4));
    else if (kind < 38) this.#decide(stream);
    else if (kind < 40) await this.#restart();
    else if (kind < 43) await this.#shareOut();
    else if (kind < 44) this.#breakConnections(() => stream.loseEnd(1 + this.#faults.choose(4)));
    else if (kind < 46) this.#breakConnections(() => stream.makeAnew());
    else if (kind < 47) this.#breakConnections(() => this.#forgetMessageId(stream));
    else if (kind < 48) this.#rebuild();
    else this.#around.outage.transactions = 1 + this.#faults.choose(12);
  }

  #breakConnections(change: () => void): void {
    change();
    this.#around.tell(`all connections break; the streams are ${this.#streams.map(({ history, created, last }) => `${history.stream} (made ${created} times, ends at ${last})`).join()}`);
    for (const consumer of this.#consumers) consumer.isAttached = false;
  }

  /** As if there were another message at the position than there was. */
  #forgetMessageId(stream: SimulatedStream): void {
    if (!this.#store.isQuiet) return;
    const { positions } = this.#store.inbox(stream.history.stream);
    for (const [partition, position] of positions) positions.set(partition, { ...position, messageId: 'another' });
  }

  /** A process crashes, in the middle of whatever it does, and comes again. */
  async #restart(): Promise<void> {
    const place = this.#faults.choose(this.#consumers.length);
    const before = this.#consumers[place] as SimulatedConsumer;
    before.crash();
    this.#around.tell(`${before.actor.name} crashes`);
    const stream = this.#streams.find(({ history }) => before.actor.name.endsWith(` ${history.stream}`)) as SimulatedStream;
    const after = new SimulatedConsumer(REPLICAS[place % 2] as string, stream, before.owned, this.#around);
    this.#consumers[place] = after;
    await after.start();
  }

  /** Partitions change hands: some are nobody's for a while, some are two replicas' who both think that they own them. */
  async #shareOut(): Promise<void> {
    if (this.#consumers.length === this.#streams.length) await this.#startReplica('two', new Set(PARTITIONS_USED));
    for (const consumer of this.#consumers) {
      const shares = this.#faults.choose(8);
      consumer.owned = new Set(PARTITIONS_USED.filter((_partition, nth) => shares === 0 || (shares >> nth) % 2 === 1));
      consumer.isAttached = false;
      this.#around.tell(`${consumer.actor.name} thinks that it owns ${[...consumer.owned].join()}`);
    }
  }

  /** Empties everything, to be read again; what is parked stays. */
  #rebuild(): void {
    if (!this.#store.isQuiet) return;
    this.#around.tell('everything is rebuilt');
    this.#store.effects = noEffects();
    this.#safety.forget();
    for (const { ids, versions, waiting, positions } of this.#store.inboxes.values()) {
      for (const table of [ids, versions, waiting]) table.clear();
      for (const [partition, { created }] of positions) positions.set(partition, { position: 0, messageId: '', created });
    }
  }

  /** An operator decides about an event that is parked, after mending what it failed for, or not. */
  #decide(stream: SimulatedStream): void {
    const { stream: name } = stream.history;
    const open = openLetters(this.#store.inbox(name));
    const letter = open[this.#faults.choose(open.length)];
    if (letter === undefined || this.#store.holders.has(name)) return;
    const isDiscarded = this.#faults.happens(2);
    if (this.#faults.happens(2)) this.#around.poison.delete(letter.messageKey);
    this.#giveVerdict(stream, letter, isDiscarded ? 'DISCARD' : 'REPLAY');
  }

  #giveVerdict({ history }: SimulatedStream, { id, aggregateId, version, decision }: Letter, command: 'DISCARD' | 'REPLAY'): void {
    this.#around.tell(`an operator decides to ${command} v${version} of ${aggregateId}`);
    changeLetter(this.#store.inbox(history.stream), id, { command, decision: decision + 1 });
    if (command === 'DISCARD' && aggregateId !== null && version !== null) this.#discarded.add(placeOf({ source: `/${history.producer}`, subject: aggregateId, version }));
  }

  /** In the end everything is mended that can be, and the rest is done without, until nothing is parked. */
  async #settleEverything(): Promise<void> {
    this.#around.poison.clear();
    for (let round = 0; round < 50; round++) {
      const open = this.#streams.flatMap((stream) => openLetters(this.#store.inbox(stream.history.stream)).map((letter) => ({ stream, letter })));
      if (open.length === 0) return;
      for (const { stream, letter } of open) this.#giveVerdict(stream, letter, isUnread(letter) ? 'DISCARD' : 'REPLAY');
      await this.#comeToRest();
    }
    throw new Violation('What was decided about parked events is never carried out');
  }
}

function openLetters({ parked }: InboxTables): Letter[] {
  return [...parked.values()].filter(({ outcome }) => outcome === null);
}
