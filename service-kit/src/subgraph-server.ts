import type { IncomingMessage } from 'node:http';
import { buildSubgraphSchema } from '@apollo/subgraph';
import type { Express } from 'express';
import { GraphQLError, parse, subscribe, type ExecutionArgs, type GraphQLFormattedError } from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { CLIENT_ADDRESS_EXTENSION, CLIENT_AGENT_EXTENSION, clientOrigin, type ClientOrigin } from './client-origin.ts';
import { endableStream } from './endable-stream.ts';
import { secretCheck, STRANGER_REFUSED } from './gateway-secret.ts';
import { listen, type RunningHttpServer } from './http-server.ts';
import type { Logger } from './logger.ts';
import { maskError } from './mask-error.ts';
import { asGraphQLError, createDocumentPreparation } from './operations.ts';
import { createSubgraphEndpoint, refuseStranger, type SubgraphEndpointOptions } from './subgraph-endpoint.ts';
import { runInTrace, traceOf } from './trace-context.ts';
import type { Authenticator, Viewer } from './viewer.ts';

export interface SubgraphServerOptions<Context extends object> {
  /** What is served beside GraphQL: health, metrics, and what the service adds. */
  readonly app: Express;
  readonly host: string;
  readonly port: number;
  /** The schema as SDL: the subgraph's own schema.graphql. */
  readonly typeDefs: string;
  readonly resolvers: Record<string, unknown>;
  readonly gatewaySecret: string;
  readonly authenticator: Authenticator;
  /** What resolvers get as their context; made anew for each operation, of who asks and from where. */
  readonly createContext: (viewer: Viewer | null, client: ClientOrigin) => Context;
  readonly logger: Logger;
}

const GRAPHQL_PATH = '/graphql';
const SOCKET_PAYLOAD_MAX_BYTES = 256 * 1024;
const SOCKET_INIT_TIMEOUT_MS = 3_000;
const NOT_THE_GATEWAY = 'This service answers its gateway only: send the request to the gateway';

/**
 * Serves a subgraph on `/graphql`, over HTTP and graphql-ws, to its gateway only: whoever does not bring the
 * secret is refused before anything is parsed. The user's token is verified here again, for each operation; a
 * subscription ends with UNAUTHENTICATED when its user's token expires or is revoked.
 */
export async function startSubgraphServer<Context extends object>(options: SubgraphServerOptions<Context>): Promise<RunningHttpServer> {
  const { app, host, port, authenticator, createContext, logger } = options;
  const schema = buildSubgraphSchema({ typeDefs: parse(options.typeDefs), resolvers: options.resolvers as never });
  const endpoint = { schema, prepare: createDocumentPreparation(schema), authenticator, createContext, logger };
  const fromGateway = secretCheck(options.gatewaySecret);
  const serveGraphQL = createSubgraphEndpoint(endpoint);
  app.use((_request, response) => void response.status(404).json({ errors: [{ message: 'Nothing is served here; GraphQL is at /graphql' }] }));

  const running = await listen(
    (request, response) => {
      if (request.url !== GRAPHQL_PATH) return app(request, response);
      return fromGateway(request) ? serveGraphQL(request, response) : refuseStranger(response, NOT_THE_GATEWAY, STRANGER_REFUSED);
    },
    host,
    port,
  );
  const sockets = serveSockets(running, endpoint, fromGateway);
  return {
    ...running,
    stop: async () => {
      await sockets.stop();
      await running.stop();
    },
  };
}

function serveSockets(
  running: RunningHttpServer,
  { schema, prepare, createContext, authenticator, logger }: SubgraphEndpointOptions,
  fromGateway: (request: IncomingMessage) => boolean,
): { stop(): Promise<void> } {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: SOCKET_PAYLOAD_MAX_BYTES });
  running.server.on('upgrade', (request, socket, head) => {
    if (request.url !== GRAPHQL_PATH || !fromGateway(request)) {
      socket.end(`HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: text/plain\r\n\r\n${NOT_THE_GATEWAY}\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => void sockets.emit('connection', webSocket, request));
  });
  const viewers = new WeakMap<object, Viewer>();
  const server = useServer(
    {
      connectionInitWaitTimeout: SOCKET_INIT_TIMEOUT_MS,
      // One socket carries the operations of many users: the identity travels with each operation, and a refused one
      // ends alone. (Whatever is thrown here, or by graphql-ws's own parsing, would close the socket for all of them.)
      onSubscribe: async (_socket, _id, payload) => {
        try {
          const viewer = await authenticator.authenticate(extensionOf(payload, 'authorization'));
          const client = clientOrigin(payload.extensions?.[CLIENT_ADDRESS_EXTENSION], payload.extensions?.[CLIENT_AGENT_EXTENSION]);
          const contextValue = createContext(viewer, client);
          const prepared = prepare(payload.query);
          if ('errors' in prepared) return prepared.errors;
          const args = { schema, document: prepared.document, operationName: payload.operationName, variableValues: payload.variables, contextValue };
          if (viewer !== null) viewers.set(args, viewer);
          return args;
        } catch (error) {
          return [asGraphQLError(error)];
        }
      },
      subscribe: (args) => subscribeAs(viewers.get(args), args, authenticator) as never,
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

/** The events of a subscription, for as long as its viewer is let in. */
async function subscribeAs(viewer: Viewer | undefined, args: ExecutionArgs, authenticator: Authenticator): ReturnType<typeof subscribe> {
  const result = await subscribe(args);
  if (viewer === undefined || !(Symbol.asyncIterator in result)) return result;
  return endableStream(result, (end) => authenticator.watch(viewer, end)) as typeof result;
}

function extensionOf(payload: SubscribePayload, name: string): string | undefined {
  const value = payload.extensions?.[name];
  return typeof value === 'string' ? value : undefined;
}

function maskSocketErrors(payload: SubscribePayload, errors: readonly (GraphQLError | GraphQLFormattedError)[], logger: Logger): GraphQLError[] {
  return runInTrace(traceOf(extensionOf(payload, 'traceparent')), () =>
    errors.map((error) => {
      const formatted = maskError(error instanceof GraphQLError ? error.toJSON() : error, error, logger);
      return new GraphQLError(formatted.message, { extensions: formatted.extensions ?? null, path: formatted.path ?? null });
    }),
  );
}
