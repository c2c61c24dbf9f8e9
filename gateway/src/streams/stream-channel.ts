import type { ServerResponse } from 'node:http';
import type { DomainError } from '@ates/service-kit/domain-error';
import type { GraphQLFormattedError } from 'graphql';
import type { OperationAnswer, PreparedOperation } from '../prepared-operation.ts';
import { answerText } from '../answer-text.ts';
import { openStream, writeBounded, type HttpStreamParts, type LongResponse } from './http-stream.ts';
import type { AnswerReader, LiveSubscription } from './live-subscription.ts';
import { leaveOperation } from './operation-start.ts';
import { refusalError } from './stream-errors.ts';
import { channelFormat, eventStream } from './stream-formats.ts';

interface Running {
  readonly prepared: PreparedOperation;
  readonly live: LiveSubscription | undefined;
  readonly stopWatching: () => void;
}

/** How long a reserved stream waits for its connection. */
const RESERVATION_MS = 30_000;

/** One event stream that carries the answers of many operations, each asked for by a request of its own. It may be asked for some before it is connected. */
export class StreamChannel implements AnswerReader, LongResponse {
  /** Whose it is; only they may use it. */
  readonly owner: string;
  readonly #parts: HttpStreamParts;
  readonly #closed: () => void;
  readonly #reservedAt = Date.now();
  readonly #running = new Map<string, Running>();
  #response: ServerResponse | undefined;
  #isClosed = false;
  /** Until it is connected. */
  #held = '';

  /** @param closed called once, when it can be used no more */
  constructor(parts: HttpStreamParts, owner: string, closed: () => void) {
    this.#parts = parts;
    this.owner = owner;
    this.#closed = closed;
  }

  get isConnected(): boolean {
    return this.#response !== undefined;
  }

  /** Its client has gone, or never came. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get size(): number {
    return this.#running.size;
  }

  has(operation: string): boolean {
    return this.#running.has(operation);
  }

  connect(response: ServerResponse): void {
    this.#response = response;
    openStream(response, eventStream);
    if (this.#held !== '') response.write(this.#held);
    this.#held = '';
    response.once('close', () => this.close());
  }

  run(operation: string, prepared: PreparedOperation): void {
    const { operations, subscriptions, authenticator, logger } = this.#parts;
    if (prepared.kind !== 'subscription') {
      const running: Running = { prepared, live: undefined, stopWatching: () => {} };
      this.#running.set(operation, running);
      void operations.execute(prepared).then((answer) => {
        // The client may have ended it, and begun another under the same id.
        if (this.#running.get(operation) !== running) return;
        this.next(operation, answer);
        this.end(operation);
      });
      return;
    }
    const { viewer } = prepared.context;
    const live = subscriptions.start(prepared, { transport: 'sse', operation, reader: this });
    const expired = (refusal: DomainError): void => {
      logger.info({ code: refusal.code, message: refusal.message, userId: viewer?.userId }, 'a stream is ended: its token is good no more');
      live.fail([refusalError(refusal)]);
    };
    this.#running.set(operation, { prepared, live, stopWatching: viewer === null ? () => {} : authenticator.watch(viewer, expired) });
  }

  stop(operation: string): void {
    const running = this.#running.get(operation);
    if (running === undefined) return;
    this.#running.delete(operation);
    running.stopWatching();
    if (running.live === undefined) leaveOperation(running.prepared);
    else running.live.stop();
  }

  next(operation: string, answer: OperationAnswer): void {
    this.#write(channelFormat.next(operation, answerText(answer)));
  }

  fail(operation: string, errors: readonly GraphQLFormattedError[]): void {
    this.#write(channelFormat.next(operation, JSON.stringify({ errors })));
    this.end(operation);
  }

  end(operation: string): void {
    const running = this.#running.get(operation);
    if (running === undefined) return;
    this.#running.delete(operation);
    running.stopWatching();
    this.#write(channelFormat.complete(operation));
  }

  beat(): void {
    if (this.#response !== undefined) this.#write(eventStream.heartbeat);
    else if (Date.now() - this.#reservedAt > RESERVATION_MS) this.close();
  }

  drain(): void {
    this.#response?.end();
    this.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#closed();
    for (const operation of this.#running.keys()) this.stop(operation);
  }

  #write(text: string): void {
    if (this.#response !== undefined) writeBounded(this.#response, text, this.#parts);
    else if (this.#held.length + text.length > this.#parts.settings.maxSocketBufferBytes) this.close();
    else this.#held += text;
  }
}
