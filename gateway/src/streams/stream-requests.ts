import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HTTP_STATUS, type ErrorCode } from '@ates/service-kit/domain-error';
import type { OperationContext } from '../operation-context.ts';
import { OperationRefused, type OperationRequest } from '../prepared-operation.ts';
import type { HttpStreamParts, LongResponse } from './http-stream.ts';
import { prepareOrRefuse } from './operation-start.ts';
import { streamOwner, type StreamBounds } from './stream-bounds.ts';
import { StreamChannel } from './stream-channel.ts';
import { streamError } from './stream-errors.ts';
import type { Sweep } from './sweep.ts';

/** A request of the single connection mode, by whom, and how its body is read. */
export interface StreamRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly context: OperationContext;
  /** Reads the GraphQL request of a POST; what it rejects with is told by whoever handed it in. */
  readonly read: () => Promise<OperationRequest>;
}

interface StreamRequestsParts {
  readonly streams: HttpStreamParts;
  readonly bounds: StreamBounds;
  readonly all: Sweep<LongResponse>;
  /** Serves a request without a token: in a stream of its own. */
  readonly serveAlone: (asked: StreamRequest) => Promise<void>;
}

const TOKEN_HEADER = 'x-graphql-event-stream-token';
const TOKEN_PARAMETER = 'token';
const TOKEN_BYTES = 24;
const METHODS = 'GET, POST, PUT, DELETE';
const RESERVE_FIRST = 'reserve a stream with PUT, and send its token as x-graphql-event-stream-token';

/**
 * The single connection mode of the graphql-sse protocol: PUT reserves a stream and answers its token, GET opens it, POST runs an
 * operation whose answers come there, DELETE ends one. A token belongs to whom it was given to; GET may come with it alone, as browsers'
 * EventSource can send no header.
 */
export function createStreamRequests({ streams, bounds, all, serveAlone }: StreamRequestsParts): (asked: StreamRequest) => Promise<void> {
  const channels = new Map<string, StreamChannel>();
  const reserve = ({ response, context }: StreamRequest): void => {
    const owner = streamOwner(context);
    if (!bounds.enter(owner)) return refuse(response, 'RATE_LIMITED', 'You have as many streams as you may: close one first');
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const channel = new StreamChannel(streams, owner, () => {
      if (!channels.delete(token)) return;
      all.remove(channel);
      bounds.leave(owner);
    });
    channels.set(token, channel);
    all.add(channel);
    response.writeHead(201, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' }).end(token);
    return undefined;
  };

  return async (asked) => {
    const { request, response, context } = asked;
    const { token, operationId } = parametersOf(request);
    const { method } = request;
    if (method === 'PUT') return reserve(asked);
    if (token === undefined && (method === 'GET' || method === 'POST')) return serveAlone(asked);
    if (method !== 'GET' && method !== 'POST' && method !== 'DELETE') {
      response.setHeader('allow', METHODS);
      return refuse(response, 'BAD_USER_INPUT', `This takes ${METHODS}`, 405);
    }
    const channel = token === undefined ? undefined : channels.get(token);
    const isTheirs = channel !== undefined && (channel.owner === streamOwner(context) || (method === 'GET' && context.viewer === null));
    if (!isTheirs) return refuse(response, 'NOT_FOUND', `There is no such stream: ${RESERVE_FIRST}`);
    if (method === 'GET') return channel.isConnected ? refuse(response, 'CONFLICT', 'This stream is open already: reserve another with PUT') : channel.connect(response);
    if (method === 'POST') return run(asked, channel, streams);
    if (operationId === null) return refuse(response, 'BAD_USER_INPUT', 'Name the operation to end: ?operationId=…');
    channel.stop(operationId);
    response.writeHead(200).end();
    return undefined;
  };
}

async function run({ response, context, read }: StreamRequest, channel: StreamChannel, streams: HttpStreamParts): Promise<void> {
  const request = await read();
  // It takes a while until a body is there.
  if (channel.isClosed) return refuse(response, 'NOT_FOUND', `This stream is closed: ${RESERVE_FIRST}`);
  const id = (request.extensions as { readonly operationId?: unknown } | null | undefined)?.operationId;
  if (typeof id !== 'string' || id === '') return refuse(response, 'BAD_USER_INPUT', 'Name the operation in extensions.operationId');
  if (channel.has(id)) return refuse(response, 'CONFLICT', `There is an operation ${id} already: take another id`);
  const { maxSubscriptionsPerSocket } = streams.settings;
  if (channel.size >= maxSubscriptionsPerSocket) {
    return refuse(response, 'RATE_LIMITED', `This stream has ${maxSubscriptionsPerSocket} operations under way, the most it may: end one first`);
  }
  const prepared = prepareOrRefuse(streams, { request, context, transport: 'sse' });
  if (prepared instanceof OperationRefused) return answer(response, prepared.status, prepared);
  channel.run(id, prepared);
  response.writeHead(202).end();
  return undefined;
}

function parametersOf(request: IncomingMessage): { readonly token: string | undefined; readonly operationId: string | null } {
  const header = request.headers[TOKEN_HEADER];
  const [, query = ''] = (request.url ?? '').split('?', 2);
  const parameters = new URLSearchParams(query);
  return { token: (typeof header === 'string' ? header : parameters.get(TOKEN_PARAMETER)) ?? undefined, operationId: parameters.get('operationId') };
}

function refuse(response: ServerResponse, code: ErrorCode, message: string, status: number = HTTP_STATUS[code]): void {
  answer(response, status, { errors: [streamError(code, message)], headers: {} });
}

function answer(response: ServerResponse, status: number, { errors, headers }: Pick<OperationRefused, 'errors' | 'headers'>): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }).end(JSON.stringify({ errors }));
}
