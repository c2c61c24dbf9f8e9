import { CLIENT_ADDRESS_EXTENSION, CLIENT_AGENT_EXTENSION } from '@ates/service-kit/client-origin';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import type { GraphQLFormattedError } from 'graphql';
import type { GatewayMetrics } from '../gateway-metrics.ts';
import type { SubgraphAnswer, SubgraphError } from '../operation-context.ts';
import { logFailure } from '../operation-log.ts';
import type { OperationAnswer, Operations, PreparedOperation, Transport } from '../prepared-operation.ts';
import { outcomeOf, presentError } from '../present-error.ts';
import { streamError, unavailable } from './stream-errors.ts';
import type { UpstreamSocket, UpstreamSubscriber } from './upstream-socket.ts';
import type { UpstreamSockets } from './upstream-sockets.ts';

/** Where the answers of operations go; each is named by the id that it was started with. Nothing comes after `fail` or `end`. */
export interface AnswerReader {
  next(operation: string, answer: OperationAnswer): void;
  fail(operation: string, errors: readonly GraphQLFormattedError[]): void;
  end(operation: string): void;
}

/** What a client started. */
export interface SubscriptionStart {
  readonly transport: Transport;
  /** Of the reader's own. */
  readonly operation: string;
  readonly reader: AnswerReader;
}

/** What all live subscriptions share. */
export interface LiveParts {
  readonly operations: Operations;
  readonly upstream: UpstreamSockets;
  readonly metrics: Pick<GatewayMetrics, 'operations' | 'subscriptions' | 'upstreamSockets'>;
  readonly logger: Logger;
  readonly maxWaitingEvents: number;
  /** All that are under way. */
  readonly live: Set<LiveSubscription>;
}

interface Waiting {
  readonly event: SubgraphAnswer;
  answer: OperationAnswer | undefined;
}

/** Events of one subscription whose remaining fields are fetched at the same time. */
const EVENTS_AT_ONCE_MAX = 4;
/** Of every subscription for which nothing waits: nearly all of them, nearly always. */
const NONE: Waiting[] = [];

/**
 * A subscription of a client: events of its subgraph, completed and in their order. A class, as there are tens of thousands
 * of them: its methods are shared, and what it holds is all that it costs.
 */
export class LiveSubscription implements UpstreamSubscriber {
  prepared: PreparedOperation;
  readonly start: SubscriptionStart;
  readonly #parts: LiveParts;
  #socket: UpstreamSocket | undefined;
  #upstreamId = 0;
  /** Not yet delivered, oldest first. */
  #waiting = NONE;
  /** How many of them are being completed or are complete. */
  #begun = 0;
  #running = 0;
  /** What is told when everything is delivered: errors, or null for a good end. */
  #ending: readonly GraphQLFormattedError[] | null | undefined;
  #isOver = false;

  constructor(parts: LiveParts, prepared: PreparedOperation, start: SubscriptionStart) {
    this.#parts = parts;
    this.prepared = prepared;
    this.start = start;
  }

  /** Subscribes at the subgraph. Nothing is told before this has returned. */
  open(): void {
    const { live, metrics, upstream } = this.#parts;
    const { primary } = this.prepared.compiled;
    if (primary === undefined) throw new Error('A subscription was compiled to nothing that could be subscribed to');
    live.add(this);
    metrics.subscriptions.inc();
    this.#socket = upstream.socketFor(primary.subgraph);
    if (this.#socket === undefined) queueMicrotask(() => this.refused([unavailable()]));
    else this.#upstreamId = this.#socket.subscribe(this);
  }

  request(): unknown {
    const { compiled, variables, context } = this.prepared;
    const { document, operationName, variableNames } = compiled.primary ?? { document: '', operationName: undefined, variableNames: [] };
    const sent: Record<string, unknown> = {};
    for (const name of variableNames) if (variables[name] !== undefined) sent[name] = variables[name];
    const extensions = {
      authorization: context.authorization,
      traceparent: context.trace.traceparent,
      [CLIENT_ADDRESS_EXTENSION]: context.client.clientAddress,
      [CLIENT_AGENT_EXTENSION]: context.client.clientAgent,
    };
    return { query: document, operationName, variables: sent, extensions };
  }

  event(answer: SubgraphAnswer): void {
    if (this.#ending !== undefined || this.#isOver) return;
    // A subgraph that refuses may do so by one answer that has errors and no data.
    if (answer.data === undefined && answer.errors !== undefined && answer.errors.length > 0) return this.refused(answer.errors);
    const { maxWaitingEvents } = this.#parts;
    if (this.#waiting.length >= maxWaitingEvents) {
      const message = `More than ${maxWaitingEvents} events wait to be delivered: read faster or select less, and subscribe again`;
      return this.#end([streamError('RATE_LIMITED', message)]);
    }
    if (this.#waiting === NONE) this.#waiting = [];
    this.#waiting.push({ event: answer, answer: undefined });
    return this.#completeWaiting();
  }

  refused(errors: readonly SubgraphError[]): void {
    const { logger } = this.#parts;
    this.#end(runInTrace(this.prepared.context.trace, () => errors.map((error) => presentSubgraphError(error, logger))));
  }

  ended(): void {
    this.#end(null);
  }

  /** Whether the operation, prepared anew, is served by what is subscribed to already. */
  holdsFor(prepared: PreparedOperation): boolean {
    const [now, then] = [this.prepared.compiled.primary, prepared.compiled.primary];
    const isSame = now?.document === then?.document && now?.subgraph === then?.subgraph && now?.operationName === then?.operationName;
    return isSame && this.#socket !== undefined && this.#parts.upstream.isCurrent(this.#socket);
  }

  /** Ends the stream at once, with these errors as the last that its client hears. */
  fail(errors: readonly GraphQLFormattedError[]): void {
    if (this.#isOver || this.#ending !== undefined) return;
    this.#forgetWaiting();
    this.#end(errors);
  }

  /** The client has left: nothing more is told. */
  stop(): void {
    this.#isOver = true;
    this.#forgetWaiting();
    this.#leave();
  }

  #forgetWaiting(): void {
    this.#waiting = NONE;
    this.#begun = 0;
  }

  #completeWaiting(): void {
    while (this.#running < EVENTS_AT_ONCE_MAX) {
      const waiting = this.#waiting[this.#begun];
      if (waiting === undefined) return;
      this.#begun += 1;
      this.#running += 1;
      void this.#parts.operations.completeEvent(this.prepared, waiting.event).then((answer) => this.#completed(waiting, answer));
    }
  }

  #completed(waiting: Waiting, answer: OperationAnswer): void {
    waiting.answer = answer;
    this.#running -= 1;
    if (this.#isOver) return;
    this.#deliver();
    this.#completeWaiting();
  }

  #deliver(): void {
    const { reader, operation } = this.start;
    for (let oldest = this.#waiting[0]; oldest?.answer !== undefined; oldest = this.#waiting[0]) {
      this.#waiting.shift();
      this.#begun -= 1;
      reader.next(operation, oldest.answer);
      // What is told may make the reader stop.
      if (this.#isOver) return;
    }
    if (this.#waiting.length > 0) return;
    this.#waiting = NONE;
    if (this.#ending === undefined) return;
    this.#isOver = true;
    if (this.#ending === null) reader.end(operation);
    else reader.fail(operation, this.#ending);
  }

  #end(ending: readonly GraphQLFormattedError[] | null): void {
    if (this.#isOver || this.#ending !== undefined) return;
    this.#ending = ending;
    this.#leave();
    const { metrics, logger } = this.#parts;
    const { context, operationName } = this.prepared;
    const outcome = outcomeOf(ending ?? undefined);
    metrics.operations.inc({ kind: 'subscription', outcome });
    if (ending !== null) runInTrace(context.trace, () => logFailure(logger, { kind: 'subscription', operationName, outcome, errors: ending, context }));
    this.#deliver();
  }

  #leave(): void {
    const { live, metrics } = this.#parts;
    if (!live.delete(this)) return;
    metrics.subscriptions.dec();
    this.#socket?.unsubscribe(this.#upstreamId);
  }
}

function presentSubgraphError(error: SubgraphError, logger: Logger): GraphQLFormattedError {
  const { message, path } = error;
  return presentError({ message, ...(path !== undefined && { path }), extensions: { ...error.extensions, serviceName: '' } }, error, logger);
}
