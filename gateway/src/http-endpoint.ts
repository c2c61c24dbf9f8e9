import { DomainError, HTTP_STATUS, type ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express';
import { authenticateRequest, type GatewayAuthenticator } from './authenticate.ts';
import { originOf } from './client-address.ts';
import type { GraphQLServer } from './graphql-server.ts';
import { BODY_MAX_BYTES } from './limits.ts';
import { createOperationContext, type OperationContext } from './operation-context.ts';

/** Where GraphQL is served, over HTTP and WebSocket. */
export const GRAPHQL_PATH = '/graphql';
/** The answer's header with the id that logs and traces have. */
export const REQUEST_ID_HEADER = 'x-request-id';

interface HttpEndpointParts {
  readonly authenticator: GatewayAuthenticator;
  /** How many proxies of ours every request passes. */
  readonly trustedProxies: number;
  readonly logger: Logger;
  /** The server once it is started, until then undefined: requests are told to come again. */
  readonly graphQLServer: () => GraphQLServer | undefined;
}

interface Locals {
  operation: OperationContext;
}

/**
 * Adds GraphQL over HTTP to an application. A request gets its trace, then its token is verified, then its body is read:
 * whoever is refused costs as little as can be. Every refusal is JSON with a code.
 */
export function serveGraphQLOverHttp(app: Express, { authenticator, trustedProxies, logger, graphQLServer }: HttpEndpointParts): void {
  app.all(
    GRAPHQL_PATH,
    inOperation(authenticator, trustedProxies),
    express.json({ limit: BODY_MAX_BYTES }),
    // Apollo's middleware wants a body to be set; express leaves it undefined on GET and on other content types.
    (request, _response, next) => {
      request.body ??= {};
      next();
    },
    whenStarted(graphQLServer),
  );
  app.use((_request, response) => refuse(response, 404, { code: 'NOT_FOUND', message: `Nothing is served here: GraphQL is at ${GRAPHQL_PATH}` }));
  app.use(refuseFailedRequests(logger));
}

function inOperation(authenticator: GatewayAuthenticator, trustedProxies: number): RequestHandler {
  return async (request, response, next) => {
    const traceparent = request.header('traceparent');
    const anonymous = createOperationContext({ authorization: undefined, viewer: null, client: originOf(request, trustedProxies) }, traceparent);
    response.setHeader(REQUEST_ID_HEADER, anonymous.trace.traceId);
    response.setHeader('cache-control', 'no-store');
    await runInTrace(anonymous.trace, async () => {
      const identity = await authenticateRequest(authenticator, request.headers.authorization);
      (response.locals as Locals).operation = { ...anonymous, ...identity };
      next();
    });
  };
}

function whenStarted(graphQLServer: () => GraphQLServer | undefined): RequestHandler {
  let known: { readonly server: GraphQLServer; readonly handle: RequestHandler } | undefined;
  return (request, response, next) => {
    const server = graphQLServer();
    if (server === undefined) throw new DomainError('SERVICE_UNAVAILABLE', 'The gateway is starting: try again in a second');
    if (known?.server !== server) {
      const context = async ({ res }: { res: Response }): Promise<OperationContext> => (res.locals as Locals).operation;
      known = { server, handle: expressMiddleware(server, { context }) };
    }
    return known.handle(request, response, next);
  };
}

interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

function refuse(response: Response, status: number, { code, message, details }: Refusal): void {
  response.status(status).json({ errors: [{ message, extensions: { ...details, code } }] });
}

/** What express and its body parser throw (each with a status and a type), and whatever else went wrong. */
function refuseFailedRequests(logger: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    if (error instanceof DomainError) {
      logger.info({ code: error.code, message: error.message }, 'a request was refused');
      return refuse(response, HTTP_STATUS[error.code], error);
    }
    const { status, type } = error as { status?: unknown; type?: unknown };
    if (typeof status === 'number' && status >= 400 && status < 500) {
      logger.info({ status, reason: type }, 'a request was refused');
      return refuse(response, status, { code: 'BAD_USER_INPUT', message: messageFor(status, type), details: { reason: type ?? 'BAD_REQUEST' } });
    }
    const requestId = response.getHeader(REQUEST_ID_HEADER);
    logger.error({ err: error }, 'a request failed for a reason that its sender is not told');
    const message = `Something went wrong on our side; try again, and if it stays, report request ${String(requestId)}`;
    return refuse(response, 500, { code: 'INTERNAL', message, details: { requestId } });
  };
}

function messageFor(status: number, type: unknown): string {
  if (status === 413) return `The body is larger than ${BODY_MAX_BYTES / 1024} KiB: send less at once`;
  if (status === 415) return 'The body is encoded in a way that is not known here: send JSON in UTF-8';
  if (type === 'entity.parse.failed') return 'The body is not a JSON object: send {"query": "…", "variables": {…}} as application/json';
  return 'The request cannot be read: send a GraphQL request as application/json';
}
