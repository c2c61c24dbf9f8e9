import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@ates/service-kit/logger';
import { traceOf } from '@ates/service-kit/trace-context';
import { authenticateRequest, type GatewayAuthenticator, type Identity } from '../authenticate.ts';
import { originOf } from '../client-address.ts';
import type { GatewayConfig } from '../config.ts';
import { cancelOperation, contextInTrace, type OperationContext } from '../operation-context.ts';
import { OperationRefused, type OperationRequest, type Operations, type PreparedOperation } from '../prepared-operation.ts';
import type { HttpStreams } from '../streams/http-streams.ts';
import type { StreamTransport } from '../streams/stream-formats.ts';
import { attempt, refuse, REQUEST_ID_HEADER, send, sendAllowed, type Exchange } from './exchange.ts';
import { checkContentType, couldBeForged, forged, requestInBody, requestInUrl } from './graphql-request.ts';
import { HttpRefusal } from './http-refusal.ts';
import { createNegotiation, type Accepted } from './negotiation.ts';
import { readBody } from './read-body.ts';

export interface GraphQLEndpointParts {
  readonly authenticator: GatewayAuthenticator;
  readonly operations: Operations;
  readonly streams: Pick<HttpStreams, 'serve' | 'refuse' | 'handle'>;
  readonly settings: Pick<GatewayConfig, 'trustedProxies' | 'maxBodyBytes'>;
  readonly logger: Logger;
}

export interface GraphQLEndpoint {
  /** @param search what stands behind the question mark of the URL */
  serve(request: IncomingMessage, response: ServerResponse, search: string): void;
  /** The single connection mode of graphql-sse, at a path of its own. */
  serveStreams(request: IncomingMessage, response: ServerResponse, search: string): void;
}

const ALLOWED = 'GET, HEAD, POST, OPTIONS';

/**
 * GraphQL over HTTP. A request gets its trace, then its token is verified, then its body is read: whoever is refused costs as
 * little as can be. Every refusal is JSON with a code.
 */
export function createGraphQLEndpoint(parts: GraphQLEndpointParts): GraphQLEndpoint {
  const { settings, streams, logger } = parts;
  const negotiate = createNegotiation();

  const begin = (request: IncomingMessage, response: ServerResponse): Exchange => {
    const client = originOf(request, settings.trustedProxies);
    const context = contextInTrace({ authorization: undefined, viewer: null, client }, traceOf(headerOf(request, 'traceparent')));
    return { request, response, accepted: negotiate(request.headers.accept), context };
  };

  return {
    serve: (request, response, search) => {
      const exchange = begin(request, response);
      const { method } = request;
      attempt(exchange, logger, () => {
        if (method === 'OPTIONS') return sendAllowed(exchange, ALLOWED);
        if (method !== 'POST' && method !== 'GET' && method !== 'HEAD') throw notAllowed(method);
        const { answer, eventStream, multipart } = exchange.accepted;
        if (answer === undefined && !eventStream && !multipart) throw notAcceptable();
        return identified(parts, exchange, () => {
          if (method !== 'POST') return operate(parts, exchange, requestInUrl(search));
          checkContentType(request);
          return readBody(request, settings.maxBodyBytes, (outcome) => {
            attempt(exchange, logger, () => operate(parts, exchange, requestIn(outcome)));
          });
        });
      });
    },
    serveStreams: (request, response, search) => {
      const exchange = begin(request, response);
      const read = () => readRequest(request, search, settings.maxBodyBytes);
      attempt(exchange, logger, () =>
        identified(parts, exchange, () => {
          response.setHeader(REQUEST_ID_HEADER, exchange.context.trace.traceId);
          streams.handle({ request, response, context: exchange.context, read }).catch((error: unknown) => refuse(exchange, error, logger));
        }),
      );
    },
  };
}

/** Goes on when it is known who asks: at once where the token was verified before. */
function identified({ authenticator, logger }: GraphQLEndpointParts, exchange: Exchange, work: () => void): void {
  const identity = authenticateRequest(authenticator, exchange.request.headers.authorization);
  if (identity instanceof Promise) {
    identity.then(
      (known) => {
        // Its client has gone in the meantime: nobody would notice the end of a stream.
        if (exchange.response.destroyed) return;
        exchange.context = contextFor(exchange, known);
        attempt(exchange, logger, work);
      },
      (error: unknown) => refuse(exchange, error, logger),
    );
  } else {
    exchange.context = contextFor(exchange, identity);
    work();
  }
}

function contextFor({ request, context }: Exchange, { authorization, viewer }: Identity): OperationContext {
  if (request.headers['apollo-query-plan-experimental'] !== undefined) return { ...context, authorization, viewer, wantsQueryPlan: true };
  return { ...context, authorization, viewer };
}

function operate(parts: GraphQLEndpointParts, exchange: Exchange, read: OperationRequest): void {
  const { operations, streams, logger } = parts;
  const { request, response, accepted, context } = exchange;
  const transport = transportFor(accepted);
  const prepared = prepareFor(parts, exchange, read);
  if (prepared === undefined) return undefined;
  if (request.method !== 'POST') {
    // An answer to HEAD has no body: a stream of it would only last.
    const isStream = transport !== 'http' && request.method === 'GET';
    if (prepared.kind === 'mutation' || (prepared.kind === 'subscription' && !isStream)) throw onlyQueries(prepared.kind);
    // What the gateway answers by itself does nothing and tells nothing that a foreign page could use.
    if (!prepared.asksGatewayAlone && couldBeForged(request)) throw forged();
  }
  if (transport !== 'http' && (prepared.kind === 'subscription' || accepted.answer === undefined)) {
    response.setHeader(REQUEST_ID_HEADER, context.trace.traceId);
    return streams.serve(response, prepared, transport);
  }
  // A change that has begun is brought to its end.
  if (prepared.kind === 'query') response.once('close', () => response.writableFinished || cancelOperation(context));
  operations.execute(prepared).then(
    (answer) => send(exchange, 200, answer),
    (error: unknown) => refuse(exchange, error, logger),
  );
  return undefined;
}

/** @returns undefined when the refusal went into a stream, to a client that accepts nothing else */
function prepareFor({ operations, streams }: GraphQLEndpointParts, { response, accepted, context }: Exchange, read: OperationRequest): PreparedOperation | undefined {
  const transport = transportFor(accepted);
  try {
    return operations.prepare(read, context, transport);
  } catch (error) {
    if (!(error instanceof OperationRefused) || transport !== 'sse' || accepted.answer !== undefined) throw error;
    response.setHeader(REQUEST_ID_HEADER, context.trace.traceId);
    streams.refuse(response, error.errors, transport);
    return undefined;
  }
}

function transportFor({ eventStream, multipart }: Accepted): 'http' | StreamTransport {
  // Apollo Client accepts multipart/mixed, and JSON besides, with each subscription.
  if (multipart) return 'multipart';
  return eventStream ? 'sse' : 'http';
}

async function readRequest(request: IncomingMessage, search: string, maxBodyBytes: number): Promise<OperationRequest> {
  if (request.method !== 'POST') return requestInUrl(search);
  checkContentType(request);
  return requestIn(await new Promise<string | HttpRefusal>((resolve) => readBody(request, maxBodyBytes, resolve)));
}

function requestIn(body: string | HttpRefusal): OperationRequest {
  if (typeof body !== 'string') throw body;
  return requestInBody(body);
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function notAllowed(method = ''): HttpRefusal {
  return new HttpRefusal(405, `${method} is not served here: POST a GraphQL request, or GET a query`, { reason: 'METHOD_NOT_ALLOWED', headers: { allow: ALLOWED } });
}

function onlyQueries(kind: string): HttpRefusal {
  return new HttpRefusal(405, `A ${kind} may not come by GET: send it by POST`, { reason: 'METHOD_NOT_ALLOWED', headers: { allow: 'POST' } });
}

function notAcceptable(): HttpRefusal {
  return new HttpRefusal(406, 'None of the types that you accept is given here: accept application/graphql-response+json or application/json', { reason: 'NOT_ACCEPTABLE' });
}
