import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import type { ParkedLetter, Verdict } from '@ates/shared-events/parked-events';
import type { Actor, Actors } from './actors.ts';
import { copyEffects, noEffects, type Effects } from './effects.ts';

/** Guards that the store can be without, to see that the simulation notices. */
export type Mutation =
  | 'ids are not checked'
  | 'versions are not checked'
  | 'positions are saved before the effects'
  | 'positions are moved from anywhere'
  | 'transactions do not wait for each other'
  | 'nothing is parked'
  | 'what is parked counts as applied'
  | 'what comes too early is forgotten'
  | 'every failure is taken for the event’s own'
  | 'a verdict counts as carried out, whichever was'
  | 'unread messages are told apart by their positions only'
  | 'known ids count as new versions'
  | 'positions are moved in whichever stream';

export interface Position {
  readonly position: number;
  readonly messageId: string;
  readonly created: number | null;
}

export interface Letter extends ParkedLetter {
  readonly id: number;
  readonly command: Verdict['command'] | null;
  readonly outcome: 'REPLAYED' | 'DISCARDED' | null;
  /** How often somebody has decided. */
  readonly decision: number;
}

/** The inbox's tables, of one stream. */
export interface InboxTables {
  readonly positions: Map<number, Position>;
  readonly ids: Set<string>;
  readonly versions: Map<string, number>;
  readonly waiting: Map<string, ReadonlyMap<number, PublishedAtesEvent>>;
  readonly parked: Map<string, Letter>;
}

export function noInbox(): InboxTables {
  return { positions: new Map(), ids: new Set(), versions: new Map(), waiting: new Map(), parked: new Map() };
}

function copyInbox({ positions, ids, versions, waiting, parked }: InboxTables): InboxTables {
  return { positions: new Map(positions), ids: new Set(ids), versions: new Map(versions), waiting: new Map(waiting), parked: new Map(parked) };
}

const EFFECTS = 'effects';

/** A service's database: tables that only a commit changes, and locks from the first touch of them to the end of the transaction. */
export class Store {
  readonly inboxes = new Map<string, InboxTables>();
  readonly mutation: Mutation | null;
  effects = noEffects();
  letters = 0;
  readonly onCommit: (store: Store) => void;
  readonly holders = new Map<string, Transaction>();

  constructor(streams: readonly string[], mutation: Mutation | null, onCommit: (store: Store) => void) {
    for (const stream of streams) this.inboxes.set(stream, noInbox());
    this.mutation = mutation;
    this.onCommit = onCommit;
  }

  isWithout(mutation: Mutation): boolean {
    return this.mutation === mutation;
  }

  inbox(stream: string): InboxTables {
    return this.inboxes.get(stream) as InboxTables;
  }

  /** Whether nobody is in the middle of anything. */
  get isQuiet(): boolean {
    return this.holders.size === 0;
  }

  release(transaction: Transaction): void {
    for (const [name, holder] of this.holders) if (holder === transaction) this.holders.delete(name);
  }
}

/** Works on copies, which become the store's at its commit. */
export class Transaction {
  readonly store: Store;
  readonly actor: Actor;
  /** Which making of the stream its messages are from. */
  readonly created: number;
  readonly #actors: Actors;
  readonly #inboxes = new Map<string, InboxTables>();
  #effects: Effects | null = null;

  constructor(store: Store, actor: Actor, actors: Actors, created: number) {
    this.store = store;
    this.actor = actor;
    this.created = created;
    this.#actors = actors;
  }

  async inbox(stream: string): Promise<InboxTables> {
    await this.#lock(stream);
    const own = this.#inboxes.get(stream) ?? copyInbox(this.store.inbox(stream));
    this.#inboxes.set(stream, own);
    return own;
  }

  async effects(): Promise<Effects> {
    await this.#lock(EFFECTS);
    this.#effects ??= copyEffects(this.store.effects);
    return this.#effects;
  }

  commit(): void {
    for (const [stream, tables] of this.#inboxes) this.store.inboxes.set(stream, tables);
    this.store.effects = this.#effects ?? this.store.effects;
    this.store.release(this);
    this.store.onCommit(this.store);
  }

  async #lock(name: string): Promise<void> {
    const { holders } = this.store;
    if (this.store.isWithout('transactions do not wait for each other')) return;
    while ((holders.get(name) ?? this) !== this) await this.#actors.turn(this.actor, () => !holders.has(name));
    holders.set(name, this);
  }
}
