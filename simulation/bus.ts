import type { BusMessage, History } from './history.ts';

/** One stream of the broker. */
export class SimulatedStream {
  readonly history: History;
  /** Which making of the stream this is. */
  created = 1;
  /** How many messages it holds. */
  last = 0;
  #messages: readonly BusMessage[];

  constructor(history: History) {
    this.history = history;
    this.#messages = history.messages;
  }

  get isComplete(): boolean {
    return this.last >= this.#messages.length;
  }

  publish(count: number): void {
    this.last = Math.min(this.last + count, this.#messages.length);
  }

  /** Loses its end; what was there comes again at the same positions. */
  loseEnd(count: number): void {
    this.last = Math.max(this.last - count, 0);
  }

  /** Is deleted, and made anew from the outbox, which holds no copies. */
  makeAnew(): void {
    this.created += 1;
    this.last = 0;
    this.#messages = this.history.outbox;
  }

  /** The first message of a partition at or after a position, if it is there already. */
  next(partition: number, position: number): { readonly seq: number; readonly message: BusMessage } | null {
    for (let seq = Math.max(position, 1); seq <= this.last; seq++) {
      const message = this.#messages[seq - 1] as BusMessage;
      if (message.partition === partition) return { seq, message };
    }
    return null;
  }
}
