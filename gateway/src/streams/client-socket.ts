import type { Duplex } from 'node:stream';
import { DomainError } from '@ates/service-kit/domain-error';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import type { Logger } from '@ates/service-kit/logger';
import type { GraphQLFormattedError } from 'graphql';
import { WebSocket } from 'ws';
import { authenticateSocket, type GatewayAuthenticator, type Identity } from '../authenticate.ts';
import type { GatewayConfig } from '../config.ts';
import type { GatewayMetrics } from '../gateway-metrics.ts';
import { createOperationContext } from '../operation-context.ts';
import { OperationRefused, type OperationAnswer, type OperationRequest, type Operations, type PreparedOperation } from '../prepared-operation.ts';
import { answerText } from '../answer-text.ts';
import { readClientMessage } from './client-messages.ts';
import { LiveSubscription, type AnswerReader } from './live-subscription.ts';
import { leaveOperation, prepareOrRefuse, traceparentIn } from './operation-start.ts';
import { closeReason, streamError } from './stream-errors.ts';
import type { Subscriptions } from './subscriptions.ts';
import { textFrame } from './text-frame.ts';

/** What all sockets of clients share. */
export interface ClientSocketParts {
  readonly operations: Operations;
  readonly subscriptions: Subscriptions;
  readonly authenticator: GatewayAuthenticator;
  readonly settings: Pick<GatewayConfig, 'maxSubscriptionsPerSocket' | 'maxSocketBufferBytes'>;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Codes of the protocol document, and of RFC 6455 (1xxx). */
export const CloseCode = {
  goingAway: 1001,
  tryAgainLater: 1013,
  badRequest: 4400,
  unauthorized: 4401,
  forbidden: 4403,
  subprotocolNotAcceptable: 4406,
  initTimeout: 4408,
  subscriberExists: 4409,
  tooManyInits: 4429,
  internalError: 4500,
} as const;

type Running = LiveSubscription | PreparedOperation;

/** Of every socket on which nothing is under way; nothing is put in. */
const NOTHING = new Map<string, Running>();

/**
 * A client that speaks graphql-transport-ws. It proves who its user is when it connects, and is closed with 4403 when the token expires or is revoked
 * (4401 would make clients give up). A class, as there are tens of thousands of them: its methods are shared, and what it holds is all that it costs.
 */
export class ClientSocket implements AnswerReader {
  /** Whether anything came since the last ping. */
  isHeard = true;
  readonly openedAt = Date.now();
  readonly #parts: ClientSocketParts;
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #origin: ClientOrigin;
  #stage: 'new' | 'authenticating' | 'ready' | 'closed' = 'new';
  #identity: Identity | undefined;
  #stopWatching: (() => void) | undefined;
  /** Subscriptions, and queries and mutations, under way. */
  #running = NOTHING;

  /** @param socket what the WebSocket is carried over */
  constructor(parts: ClientSocketParts, { webSocket, socket, origin }: { readonly webSocket: WebSocket; readonly socket: Duplex; readonly origin: ClientOrigin }) {
    this.#parts = parts;
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#origin = origin;
  }

  get isNew(): boolean {
    return this.#stage === 'new';
  }

  /** A message that came. */
  receive(text: string): void {
    if (this.#stage === 'closed') return undefined;
    const message = readClientMessage(text);
    if (typeof message === 'string') return this.close(CloseCode.badRequest, message);
    switch (message.type) {
      case 'connection_init':
        return this.#connect(message.payload);
      case 'ping':
        return this.#pong(message.payload);
      case 'pong':
        return undefined;
      case 'subscribe':
        return this.#subscribe(message.id, message.payload);
      case 'complete':
        return this.#complete(message.id);
      default:
        return message satisfies never;
    }
  }

  next(operation: string, answer: OperationAnswer): void {
    this.#send(`{"id":${JSON.stringify(operation)},"type":"next","payload":${answerText(answer)}}`);
  }

  fail(operation: string, errors: readonly GraphQLFormattedError[]): void {
    if (this.#running.delete(operation)) this.#refuse(operation, errors);
  }

  end(operation: string): void {
    if (this.#running.delete(operation)) this.#send(`{"id":${JSON.stringify(operation)},"type":"complete"}`);
  }

  /** Ends everything that is under way, and says why in as much of `reason` as a close frame holds. */
  close(code: number, reason: string): void {
    this.closed();
    this.#webSocket.close(code, closeReason(reason));
  }

  /** What came made something go wrong on our side, which costs this socket and no other. */
  failed(error: unknown): void {
    this.#parts.logger.error({ err: error }, 'a socket failed for a reason that its client is not told');
    this.close(CloseCode.internalError, 'INTERNAL: something went wrong on our side: connect again');
  }

  /** The client sent what is too large or no WebSocket frame: ws closes with the code for that. */
  broken(error: Error): void {
    this.#parts.logger.info({ reason: (error as { code?: string }).code ?? error.message }, 'a socket broke the protocol');
  }

  /** The socket is gone or going: nothing is told any more. */
  closed(): void {
    if (this.#stage === 'ready') this.#parts.metrics.sockets.dec();
    this.#stage = 'closed';
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    const running = this.#running;
    this.#running = NOTHING;
    for (const operation of running.values()) stop(operation);
  }

  #send(text: string): void {
    // Without compression ws writes at once too, so its pings and closings come in between, never inside.
    if (this.#webSocket.readyState !== WebSocket.OPEN) return;
    // Whatever a client asks for without reading it waits here.
    if (this.#webSocket.bufferedAmount > this.#parts.settings.maxSocketBufferBytes) this.#closeSlow();
    else this.#socket.write(textFrame(text));
  }

  #closeSlow(): void {
    const { settings, logger } = this.#parts;
    logger.info({ userId: this.#identity?.viewer?.userId, waitingBytes: this.#webSocket.bufferedAmount }, 'a socket is closed: its client reads too slowly');
    this.close(CloseCode.tryAgainLater, `RATE_LIMITED: more than ${settings.maxSocketBufferBytes} bytes wait to be read: read faster or select less, and connect again`);
  }

  #pong(payload: Readonly<Record<string, unknown>> | undefined): void {
    if (payload === undefined) return this.#send('{"type":"pong"}');
    let text: string;
    try {
      text = JSON.stringify({ type: 'pong', payload });
    } catch {
      // JSON is read to any depth, and written to as much as the stack holds.
      return this.close(CloseCode.badRequest, 'The payload of ping is nested too deeply');
    }
    return this.#send(text);
  }

  #connect(payload: Readonly<Record<string, unknown>> | undefined): void {
    if (this.#stage !== 'new') return this.close(CloseCode.tooManyInits, 'Too many initialisation requests');
    this.#stage = 'authenticating';
    authenticateSocket(this.#parts.authenticator, payload).then(
      (identity) => this.#connected(identity),
      (error: unknown) => this.#failed(error),
    );
    return undefined;
  }

  #connected(identity: Identity): void {
    // A client may have gone while its token was verified.
    if (this.#stage !== 'authenticating') return;
    const { authenticator, metrics, logger } = this.#parts;
    this.#stage = 'ready';
    this.#identity = identity;
    metrics.sockets.inc();
    if (identity.viewer !== null) {
      this.#stopWatching = authenticator.watch(identity.viewer, ({ code, message }) => {
        logger.info({ code, message, userId: this.#identity?.viewer?.userId }, 'a socket is closed: its token is good no more');
        this.close(CloseCode.forbidden, `${code}: ${message}`);
      });
    }
    this.#send('{"type":"connection_ack"}');
  }

  #failed(error: unknown): void {
    if (this.#stage === 'closed') return undefined;
    const { logger } = this.#parts;
    if (error instanceof DomainError) {
      logger.info({ code: error.code, message: error.message }, 'a socket was refused');
      return this.close(error.code === 'SERVICE_UNAVAILABLE' ? CloseCode.tryAgainLater : CloseCode.forbidden, `${error.code}: ${error.message}`);
    }
    return this.failed(error);
  }

  #subscribe(id: string, request: OperationRequest): void {
    if (this.#identity === undefined) return this.close(CloseCode.unauthorized, 'Unauthorized');
    if (this.#running.has(id)) return this.close(CloseCode.subscriberExists, `Subscriber for ${id} already exists`);
    const { settings, subscriptions } = this.#parts;
    if (this.#running.size >= settings.maxSubscriptionsPerSocket) {
      const message = `This socket has ${settings.maxSubscriptionsPerSocket} operations under way, the most it may: complete one first`;
      return this.#refuse(id, [streamError('RATE_LIMITED', message)]);
    }
    const { authorization, viewer } = this.#identity;
    const context = createOperationContext({ authorization, viewer, client: this.#origin }, traceparentIn(request));
    const prepared = prepareOrRefuse(this.#parts, { request, context, transport: 'websocket' });
    if (prepared instanceof OperationRefused) return this.#refuse(id, prepared.errors);
    if (this.#running === NOTHING) this.#running = new Map();
    if (prepared.kind === 'subscription') this.#running.set(id, subscriptions.start(prepared, { transport: 'websocket', operation: id, reader: this }));
    else {
      this.#running.set(id, prepared);
      void this.#execute(id, prepared);
    }
    return undefined;
  }

  async #execute(id: string, prepared: PreparedOperation): Promise<void> {
    const answer = await this.#parts.operations.execute(prepared);
    // The client may have completed it, and begun another under the same id.
    if (this.#running.get(id) !== prepared) return;
    this.next(id, answer);
    this.end(id);
  }

  #refuse(id: string, errors: readonly GraphQLFormattedError[]): void {
    this.#send(JSON.stringify({ id, type: 'error', payload: errors }));
  }

  #complete(id: string): void {
    const operation = this.#running.get(id);
    if (operation === undefined) return;
    this.#running.delete(id);
    stop(operation);
  }
}

function stop(operation: Running): void {
  if (operation instanceof LiveSubscription) operation.stop();
  else leaveOperation(operation);
}
