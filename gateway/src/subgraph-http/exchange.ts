import type { Limited } from '../fetch-deadlines.ts';
import type { HttpOutcome, HttpPost } from '../http-post.ts';

export type Done = (outcome: HttpOutcome) => void;

/** What has an exchange in its hands: the queue, then a connection. */
export interface Carrier {
  /** It is over before an answer came. */
  abandon(exchange: Exchange): void;
}

const NOBODY_WAITS = 'nobody waits for the answer any more';

/** One request under way and its answer. A class, since several parts call it: as closures they would be made for each request. */
export class Exchange implements Limited {
  deadline = 0;
  carrier: Carrier | undefined = undefined;
  /** Its neighbours in the queue. */
  previous: Exchange | undefined = undefined;
  next: Exchange | undefined = undefined;
  /** How many connections were lost before they were open while it was the first to wait for one. */
  failedConnections = 0;
  mayBeRepeated: boolean;
  /** The whole request: characters of one byte each, or bytes. */
  readonly bytes: string | Buffer;
  private isOver = false;
  private readonly deadlines: HttpPost['deadlines'];
  private readonly cancellation: HttpPost['cancellation'];
  private readonly done: Done;

  constructor(bytes: string | Buffer, { deadlines, cancellation, retryOnce }: HttpPost, done: Done) {
    this.bytes = bytes;
    this.deadlines = deadlines;
    this.cancellation = cancellation;
    this.mayBeRepeated = retryOnce;
    this.done = done;
  }

  /** @returns false when nobody waits for it already */
  begin(): boolean {
    if (this.cancellation.isCancelled) {
      this.isOver = true;
      this.done({ problem: NOBODY_WAITS });
      return false;
    }
    this.deadlines.watch(this);
    this.cancellation.running.add(this);
    return true;
  }

  /** The deadline has passed. */
  expire(): void {
    this.giveUp('no answer within the deadline');
  }

  /** Nobody waits any more. */
  abort(): void {
    this.giveUp(NOBODY_WAITS);
  }

  succeed(status: number, body: string): void {
    if (this.isOver) return;
    this.end();
    this.done({ status, body });
  }

  fail(problem: string): void {
    if (this.isOver) return;
    this.end();
    this.done({ problem });
  }

  private giveUp(problem: string): void {
    if (this.isOver) return;
    const { carrier } = this;
    this.end();
    carrier?.abandon(this);
    this.done({ problem });
  }

  private end(): void {
    this.isOver = true;
    this.carrier = undefined;
    this.deadlines.release(this);
    this.cancellation.running.delete(this);
  }
}
