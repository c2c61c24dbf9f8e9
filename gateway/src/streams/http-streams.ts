import type { ServerResponse } from 'node:http';
import type { GraphQLFormattedError } from 'graphql';
import { couldBeForged, forged } from '../http/graphql-request.ts';
import { OperationRefused, type PreparedOperation } from '../prepared-operation.ts';
import { FORMATS, HttpStream, openStream, type HttpStreamParts, type LongResponse } from './http-stream.ts';
import { prepareOrRefuse } from './operation-start.ts';
import { createStreamBounds, streamOwner } from './stream-bounds.ts';
import { streamError } from './stream-errors.ts';
import type { StreamTransport } from './stream-formats.ts';
import { createStreamRequests, type StreamRequest } from './stream-requests.ts';
import { createSweep } from './sweep.ts';

/** Answers that are streamed over HTTP. */
export interface HttpStreams {
  /** Answers a prepared operation, a subscription or any other, in the body of this response until its client leaves. */
  serve(response: ServerResponse, prepared: PreparedOperation, transport: StreamTransport): void;
  /**
   * Answers an operation that was refused, to a client that wants a stream: the protocol has the errors come in one, with 200.
   * Refusals of multipart subscriptions are better answered as those of queries, with a status.
   */
  refuse(response: ServerResponse, errors: readonly GraphQLFormattedError[], transport: StreamTransport): void;
  /** A request to the path of the single connection mode. Rejects with what `read` rejects with. */
  handle(asked: StreamRequest): Promise<void>;
  count(): number;
  /** Ends every stream such that its client opens another, elsewhere or later. */
  stop(): Promise<void>;
}

const HEARTBEAT_MS = 12_000;

/** Server-Sent Events by the graphql-sse protocol, in both of its modes, and multipart subscriptions. */
export function createHttpStreams(parts: HttpStreamParts): HttpStreams {
  const all = createSweep<LongResponse>(HEARTBEAT_MS, (stream) => stream.beat());
  const bounds = createStreamBounds(parts.settings.maxSubscriptionsPerSocket);
  const refuse: HttpStreams['refuse'] = (response, errors, transport) => {
    openStream(response, FORMATS[transport]);
    response.end(FORMATS[transport].fail(errors));
  };
  const serve: HttpStreams['serve'] = (response, prepared, transport) => {
    const owner = streamOwner(prepared.context);
    if (!bounds.enter(owner)) return refuse(response, [streamError('RATE_LIMITED', 'You have as many streams as you may: close one first')], transport);
    response.once('close', () => bounds.leave(owner));
    return new HttpStream(parts, response, transport).serve(prepared, transport, all);
  };
  const serveAlone = async ({ request, response, context, read }: StreamRequest): Promise<void> => {
    const prepared = prepareOrRefuse(parts, { request: await read(), context, transport: 'sse' });
    if (prepared instanceof OperationRefused) refuse(response, prepared.errors, 'sse');
    // A token of the single connection mode is a secret; what comes without one could come from a foreign page.
    else if (request.method === 'GET' && !prepared.asksGatewayAlone && couldBeForged(request)) throw forged();
    else if (request.method === 'GET' && prepared.kind === 'mutation') refuse(response, [onlyByPost()], 'sse');
    else serve(response, prepared, 'sse');
  };
  return {
    serve,
    refuse,
    handle: createStreamRequests({ streams: parts, bounds, all, serveAlone }),
    count: () => all.size,
    stop: async () => {
      for (const stream of all) stream.drain();
      all.stop();
    },
  };
}

function onlyByPost(): GraphQLFormattedError {
  return streamError('BAD_USER_INPUT', 'A mutation cannot be asked for by GET: send it by POST');
}
