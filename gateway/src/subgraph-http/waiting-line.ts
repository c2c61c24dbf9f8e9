import type { Carrier, Exchange } from './exchange.ts';

/** Exchanges that wait for a connection, first come, first served. They are linked to each other: one that is given up leaves in one step, from anywhere. */
export class WaitingLine implements Carrier {
  count = 0;
  first: Exchange | undefined = undefined;
  private last: Exchange | undefined = undefined;

  add(exchange: Exchange): void {
    exchange.carrier = this;
    exchange.previous = this.last;
    exchange.next = undefined;
    if (this.last === undefined) this.first = exchange;
    else this.last.next = exchange;
    this.last = exchange;
    this.count += 1;
  }

  /** Of one that has waited before. */
  addFirst(exchange: Exchange): void {
    exchange.carrier = this;
    exchange.previous = undefined;
    exchange.next = this.first;
    if (this.first === undefined) this.last = exchange;
    else this.first.previous = exchange;
    this.first = exchange;
    this.count += 1;
  }

  /** The first, which leaves. */
  take(): Exchange | undefined {
    const { first } = this;
    if (first !== undefined) this.abandon(first);
    return first;
  }

  abandon(exchange: Exchange): void {
    const { previous, next } = exchange;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    exchange.previous = exchange.next = exchange.carrier = undefined;
    this.count -= 1;
  }
}
