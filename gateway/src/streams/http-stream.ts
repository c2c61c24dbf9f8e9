import type { ServerResponse } from 'node:http';
import type { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import type { GraphQLFormattedError } from 'graphql';
import type { GatewayAuthenticator } from '../authenticate.ts';
import type { GatewayConfig } from '../config.ts';
import type { GatewayMetrics } from '../gateway-metrics.ts';
import type { OperationAnswer, Operations, PreparedOperation } from '../prepared-operation.ts';
import type { AnswerReader, LiveSubscription } from './live-subscription.ts';
import { leaveOperation } from './operation-start.ts';
import { eventStream, multipart, type StreamFormat, type StreamTransport } from './stream-formats.ts';
import { refusalError, streamError } from './stream-errors.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Sweep } from './sweep.ts';

/** What all streams over HTTP share. */
export interface HttpStreamParts {
  readonly operations: Operations;
  readonly subscriptions: Subscriptions;
  readonly authenticator: Pick<GatewayAuthenticator, 'watch'>;
  readonly settings: Pick<GatewayConfig, 'maxSubscriptionsPerSocket' | 'maxSocketBufferBytes'>;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Something that is written to for long: it wants heartbeats, and an end when the gateway stops. */
export interface LongResponse {
  beat(): void;
  /** The gateway stops. */
  drain(): void;
}

const HEADERS = { 'cache-control': 'no-store', 'x-accel-buffering': 'no', 'x-content-type-options': 'nosniff' };

export const FORMATS: Record<StreamTransport, StreamFormat> = { sse: eventStream, multipart };

/** Begins a response whose body is written piece by piece. */
export function openStream(response: ServerResponse, { contentType, opening }: Pick<StreamFormat, 'contentType' | 'opening'>): void {
  response.writeHead(200, { ...HEADERS, 'content-type': contentType });
  response.write(opening);
}

/** Writes, unless more waits to be read than may: then the connection is cut. */
export function writeBounded(response: ServerResponse, text: string, { settings, logger }: Pick<HttpStreamParts, 'settings' | 'logger'>): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.writableLength > settings.maxSocketBufferBytes) {
    logger.info({ waitingBytes: response.writableLength }, 'a stream is cut: its client reads too slowly');
    response.destroy();
  } else response.write(text);
}

/** Writes the last of a stream, if there is still somebody to read it. */
function endStream(response: ServerResponse, text: string): void {
  if (!response.destroyed && !response.writableEnded) response.end(text);
}

/** One operation whose answers are the body of one response. */
export class HttpStream implements AnswerReader, LongResponse {
  readonly #parts: HttpStreamParts;
  readonly #response: ServerResponse;
  readonly #format: StreamFormat;
  #prepared: PreparedOperation | undefined;
  #live: LiveSubscription | undefined;
  #stopWatching: (() => void) | undefined;

  constructor(parts: HttpStreamParts, response: ServerResponse, transport: StreamTransport) {
    this.#parts = parts;
    this.#response = response;
    this.#format = FORMATS[transport];
  }

  /** Answers `prepared`; `all` holds the stream until its client is gone or has everything. */
  serve(prepared: PreparedOperation, transport: StreamTransport, all: Sweep<LongResponse>): void {
    const { authenticator, operations, subscriptions, logger } = this.#parts;
    const { viewer } = prepared.context;
    all.add(this);
    this.#prepared = prepared;
    this.#response.once('close', () => {
      all.remove(this);
      this.#leave();
    });
    openStream(this.#response, this.#format);
    if (prepared.kind !== 'subscription') {
      void operations.execute(prepared).then((answer) => {
        this.next('', answer);
        this.end();
      });
      return;
    }
    this.#live = subscriptions.start(prepared, { transport, operation: '', reader: this });
    if (viewer === null) return;
    this.#stopWatching = authenticator.watch(viewer, (refusal: DomainError) => {
      logger.info({ code: refusal.code, message: refusal.message, userId: viewer.userId }, 'a stream is ended: its token is good no more');
      this.#live?.fail([refusalError(refusal)]);
    });
  }

  next(_operation: string, answer: OperationAnswer): void {
    writeBounded(this.#response, this.#format.next(answer), this.#parts);
  }

  fail(_operation: string, errors: readonly GraphQLFormattedError[]): void {
    endStream(this.#response, this.#format.fail(errors));
  }

  end(): void {
    endStream(this.#response, this.#format.end);
  }

  beat(): void {
    writeBounded(this.#response, this.#format.heartbeat, this.#parts);
  }

  drain(): void {
    // Without an end of its own an event stream is opened again by its client; a multipart one has to be told.
    endStream(this.#response, this.#format === multipart ? multipart.fail([streamError('SERVICE_UNAVAILABLE', 'The gateway stops: subscribe again')]) : '');
    this.#leave();
  }

  #leave(): void {
    this.#stopWatching?.();
    this.#live?.stop();
    if (this.#live === undefined && this.#prepared !== undefined && !this.#response.writableEnded) leaveOperation(this.#prepared);
  }
}
