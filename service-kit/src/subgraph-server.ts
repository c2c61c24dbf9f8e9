import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ApolloServer } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type Express, type RequestHandler } from 'express';
import { GraphQLError, parse, validate, type GraphQLFormattedError } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { DomainError, HTTP_STATUS, toGraphQLError, type ErrorCode } from './domain-error.ts';
import { listen, type RunningHttpServer } from './http-server.ts';
import type { Logger } from './logger.ts';
import { currentTrace, runInTrace, traceOf } from './trace-context.ts';
import type { Authenticator, Viewer } from './viewer.ts';

/** The header by which the gateway proves itself to a subgraph. */
export const GATEWAY_SECRET_HEADER = 'x-gateway-secret';
/** `extensions.reason` of the answer to whoever lacks the secret: a gateway that gets it is configured wrongly, its user is not to blame. */
export const STRANGER_REFUSED = 'NOT_THE_GATEWAY';

export interface SubgraphServerOptions<Context extends object> {
  readonly app: Express;
  readonly host: string;
  readonly port: number;
  /** The schema as SDL: the subgraph's own schema.graphql. */
  readonly typeDefs: string;
  readonly resolvers: Record<string, unknown>;
  readonly gatewaySecret: string;
  readonly authenticator: Authenticator;
  /** What resolvers get as their context; made anew for each operation. */
  readonly createContext: (viewer: Viewer | null) => Context;
  readonly logger: Logger;
}

const BODY_MAX = '4mb';
const SOCKET_PAYLOAD_MAX_BYTES = 256 * 1024;
const SOCKET_INIT_TIMEOUT_MS = 3_000;
const NOT_THE_GATEWAY = 'This service answers its gateway only: send the request to the gateway';

/**
 * Serves a subgraph on `/graphql`, over HTTP and graphql-ws, to its gateway only: whoever does not bring the
 * secret is refused before anything is parsed. The user's token is verified here again, for each operation.
 */
export async function startSubgraphServer<Context extends object>(options: SubgraphServerOptions<Context>): Promise<RunningHttpServer> {
  const { app, logger, authenticator } = options;
  const schema = buildSubgraphSchema({ typeDefs: parse(options.typeDefs), resolvers: options.resolvers as never });
  const apollo = new ApolloServer<Context>({
    schema,
    csrfPrevention: false,
    introspection: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    formatError: (formatted, error) => maskError(formatted, error, logger),
    logger: { debug: () => {}, info: () => {}, warn: (message) => logger.warn(message), error: (message) => logger.error(message) },
  });
  await apollo.start();

  const fromGateway = secretCheck(options.gatewaySecret);
  app.use(
    '/graphql',
    refuseStrangers(fromGateway),
    inRequestTrace,
    express.json({ limit: BODY_MAX }),
    expressMiddleware(apollo, {
      context: async ({ req }) => {
        try {
          return options.createContext(await authenticator.authenticate(req.headers.authorization));
        } catch (error) {
          throw requestRefusal(error);
        }
      },
    }),
  );
  app.use((_request, response) => void response.status(404).json({ errors: [{ message: 'Nothing is served here; GraphQL is at /graphql' }] }));

  const running = await listen(app, options.host, options.port);
  const sockets = serveSockets(running, options, schema, fromGateway);
  return {
    ...running,
    stop: async () => {
      await sockets.stop();
      await running.stop();
      await apollo.stop();
    },
  };
}

function serveSockets<Context extends object>(
  running: RunningHttpServer,
  { createContext, authenticator, logger }: SubgraphServerOptions<Context>,
  schema: ReturnType<typeof buildSubgraphSchema>,
  fromGateway: (request: IncomingMessage) => boolean,
): { stop(): Promise<void> } {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: SOCKET_PAYLOAD_MAX_BYTES });
  running.server.on('upgrade', (request, socket, head) => {
    if (request.url !== '/graphql' || !fromGateway(request)) {
      socket.end(`HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${NOT_THE_GATEWAY}\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => void sockets.emit('connection', webSocket, request));
  });
  const server = useServer(
    {
      connectionInitWaitTimeout: SOCKET_INIT_TIMEOUT_MS,
      // One socket carries the operations of many users: the identity travels with each operation, and a refused one
      // ends alone. (Whatever is thrown here, or by graphql-ws's own parsing, would close the socket for all of them.)
      onSubscribe: async (_socket, _id, payload) => {
        try {
          const contextValue = createContext(await authenticator.authenticate(extensionOf(payload, 'authorization')));
          const document = parse(payload.query);
          const problems = validate(schema, document);
          if (problems.length > 0) return problems;
          return { schema, document, operationName: payload.operationName, variableValues: payload.variables, contextValue };
        } catch (error) {
          return [asGraphQLError(error)];
        }
      },
      onError: (_socket, _id, payload, errors) => maskSocketErrors(payload, errors, logger),
      onNext: (...[, , payload, , result]) =>
        result.errors === undefined ? undefined : { ...result, errors: maskSocketErrors(payload, result.errors, logger) },
    },
    sockets,
  );
  return {
    stop: async () => {
      await server.dispose();
    },
  };
}

function secretCheck(secret: string): (request: IncomingMessage) => boolean {
  const expected = createHash('sha256').update(secret).digest();
  return (request) => {
    const given = request.headers[GATEWAY_SECRET_HEADER];
    return typeof given === 'string' && timingSafeEqual(createHash('sha256').update(given).digest(), expected);
  };
}

function refuseStrangers(fromGateway: (request: IncomingMessage) => boolean): RequestHandler {
  return (request, response, next) => {
    if (fromGateway(request)) return next();
    const extensions = { code: 'FORBIDDEN' satisfies ErrorCode, reason: STRANGER_REFUSED };
    response.status(403).json({ errors: [{ message: NOT_THE_GATEWAY, extensions }] });
  };
}

const inRequestTrace: RequestHandler = (request, _response, next) => {
  runInTrace(traceOf(request.header('traceparent')), next);
};

function requestRefusal(error: unknown): unknown {
  if (!(error instanceof DomainError)) return error;
  const refusal = toGraphQLError(error);
  return new GraphQLError(refusal.message, { extensions: { ...refusal.extensions, http: { status: HTTP_STATUS[error.code] } } });
}

function extensionOf(payload: SubscribePayload, name: string): string | undefined {
  const value = payload.extensions?.[name];
  return typeof value === 'string' ? value : undefined;
}

function asGraphQLError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  if (error instanceof DomainError) return toGraphQLError(error);
  return new GraphQLError('The operation could not be started', { originalError: error instanceof Error ? error : new Error(String(error)) });
}

function maskSocketErrors(payload: SubscribePayload, errors: readonly (GraphQLError | GraphQLFormattedError)[], logger: Logger): GraphQLError[] {
  return runInTrace(traceOf(extensionOf(payload, 'traceparent')), () =>
    errors.map((error) => {
      const formatted = maskError(error instanceof GraphQLError ? error.toJSON() : error, error, logger);
      return new GraphQLError(formatted.message, { extensions: formatted.extensions ?? null, path: formatted.path ?? null });
    }),
  );
}

/**
 * The one place where an error becomes what a caller sees: refusals keep their message and code, a request that
 * GraphQL itself refuses is BAD_USER_INPUT, everything else is logged whole and masked behind a request id.
 */
export function maskError(formatted: GraphQLFormattedError, error: unknown, logger: Logger): GraphQLFormattedError {
  const cause = unwrapResolverError(error);
  const where = { ...(formatted.locations && { locations: formatted.locations }), ...(formatted.path && { path: formatted.path }) };
  if (cause instanceof DomainError) {
    return { message: cause.message, ...where, extensions: { ...cause.details, code: cause.code } };
  }
  // Apollo Server wraps what parsing, validation and coercion of variables find in errors of its own.
  if (cause instanceof GraphQLError && (cause.originalError === undefined || cause.originalError instanceof GraphQLError)) {
    const known = cause.extensions['code'];
    if (known === undefined || known === 'INTERNAL_SERVER_ERROR') {
      if (formatted.path === undefined) return { message: cause.message, ...where, extensions: { code: 'BAD_USER_INPUT' } };
    } else {
      // `http` tells Apollo Server which status to answer with; it is no part of the answer.
      const { http: _status, ...extensions } = cause.extensions;
      return { message: cause.message, ...where, extensions: { ...extensions, ...requestErrorCode(known) } };
    }
  }
  const requestId = currentTrace()?.traceId;
  logger.error({ err: cause, path: formatted.path }, 'an operation failed for a reason that its caller is not told');
  return {
    message: `Something went wrong on our side; try again, and if it stays, report request ${requestId ?? 'without id'}`,
    ...where,
    extensions: { code: 'INTERNAL' satisfies ErrorCode, ...(requestId !== undefined && { requestId }) },
  };
}

/** Apollo's codes for requests that GraphQL refuses are one code here; the finer one stays readable as `reason`. */
function requestErrorCode(code: unknown): Record<string, unknown> {
  const refusedByGraphQL = ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'OPERATION_RESOLUTION_FAILURE', 'BAD_REQUEST'];
  return refusedByGraphQL.includes(String(code)) ? { code: 'BAD_USER_INPUT' satisfies ErrorCode, reason: code } : { code };
}
