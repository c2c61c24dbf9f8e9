import { DomainError, type ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import { GraphQLError, type ExecutionArgs, type GraphQLFormattedError } from 'graphql';
import { CloseCode, makeServer, type Context, type Server, type SubscribePayload } from 'graphql-ws';
import { authenticateSocket, type GatewayAuthenticator, type Identity } from './authenticate.ts';
import type { ClientSocket } from './client-sockets.ts';
import { StreamFailure } from './event-stream.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { GraphQLServer } from './graphql-server.ts';
import { SOCKET_INIT_TIMEOUT_MS, SOCKET_OPERATIONS_MAX } from './limits.ts';
import { createOperationContext } from './operation-context.ts';
import { logFailure } from './operation-log.ts';
import { variableErrors, type OperationPlans } from './operation-plans.ts';
import { outcomeOf, presentErrors } from './present-error.ts';
import type { Subscription, Subscriptions } from './subscriptions.ts';

interface SocketProtocolParts {
  readonly authenticator: GatewayAuthenticator;
  readonly plans: OperationPlans;
  readonly subscriptions: Subscriptions;
  readonly graphQLServer: () => GraphQLServer | undefined;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

interface Session {
  readonly identity: Identity;
  readonly stopWatching: () => void;
}

type SocketContext = Context<Record<string, unknown>, ClientSocket>;

/**
 * The graphql-transport-ws protocol as this gateway speaks it. A socket proves who its user is when it opens and is closed
 * with 4403 when the token expires or is revoked (4401 would make clients give up). Queries and mutations take the way of HTTP.
 */
export function createSocketProtocol(parts: SocketProtocolParts): Server<ClientSocket> {
  const { authenticator, metrics, subscriptions, graphQLServer, logger } = parts;
  const sessions = new WeakMap<SocketContext, Session>();

  return makeServer<Record<string, unknown>, ClientSocket>({
    connectionInitWaitTimeout: SOCKET_INIT_TIMEOUT_MS,
    onConnect: async (socket) => {
      const identity = await authenticateSocket(authenticator, socket.connectionParams);
      // A client that went while its token was verified has been cleaned up after already.
      if (!socket.extra.isOpen()) return false;
      const stopWatching = authenticator.watch(identity.viewer, ({ code, message }) => {
        logger.info({ code, message, userId: identity.viewer.userId }, 'a socket is closed: its token is good no more');
        socket.extra.close(CloseCode.Forbidden, `${code}: ${message}`);
      });
      sessions.set(socket, { identity, stopWatching });
      metrics.sockets.inc();
      return true;
    },
    onClose: (socket) => {
      const session = sessions.get(socket);
      if (session === undefined) return;
      session.stopWatching();
      metrics.sockets.dec();
    },
    onSubscribe: (socket, _id, payload) => prepareOperation(parts, socket, (sessions.get(socket) as Session).identity, payload),
    // Both get what `prepareOperation` made.
    execute: (args) => executeOnServer(graphQLServer(), args) as never,
    subscribe: (args) => {
      const subscription = args.contextValue as Subscription;
      const plan = subscription.prepared.subscription;
      if (plan === null) throw new Error('A query came where subscriptions are executed');
      return subscriptions.start(subscription, plan) as never;
    },
    // Errors are formatted already, where they arose.
    onNext: (...[, , , , result]) => result,
    onError: (_socket, _id, _payload, errors) => formattedErrors(errors, logger),
  });
}

async function prepareOperation(
  { plans, metrics, logger }: SocketProtocolParts,
  socket: SocketContext,
  identity: Identity,
  payload: SubscribePayload,
): Promise<ExecutionArgs | GraphQLError[]> {
  const traceparent = payload.extensions?.['traceparent'];
  const context = createOperationContext({ ...identity, client: socket.extra.client }, typeof traceparent === 'string' ? traceparent : undefined);
  const refuse = (errors: readonly GraphQLError[], kind: string): GraphQLError[] => {
    const formatted = runInTrace(context.trace, () => presentErrors(errors, logger));
    const outcome = outcomeOf(formatted);
    metrics.operations.inc({ kind, outcome });
    runInTrace(context.trace, () => logFailure(logger, { kind, operationName: payload.operationName, outcome, errors: formatted, context }));
    return [carrying(formatted)];
  };

  if (Object.keys(socket.subscriptions).length > SOCKET_OPERATIONS_MAX) {
    const code: ErrorCode = 'RATE_LIMITED';
    const message = `This socket has ${SOCKET_OPERATIONS_MAX} operations under way, the most it may: complete one first`;
    return refuse([new GraphQLError(message, { extensions: { code } })], 'unknown');
  }
  let prepared: ReturnType<OperationPlans['prepare']>;
  try {
    prepared = plans.prepare(payload.query, payload.operationName);
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    return refuse([new GraphQLError('The operation could not be planned', { originalError: failure })], 'unknown');
  }
  if (!('document' in prepared)) return refuse(prepared, 'unknown');
  const { supergraph, document, operation } = prepared;
  const variables = payload.variables ?? {};
  const problems = variableErrors(supergraph.schema, operation, variables);
  if (problems !== null) return refuse(problems, operation.operation);
  const contextValue: Subscription = { prepared, variables, context };
  return { schema: supergraph.schema, document, operationName: payload.operationName ?? null, variableValues: variables, contextValue, rootValue: null };
}

/** A query or mutation of a socket, through the same execution as one over HTTP. */
async function executeOnServer(server: GraphQLServer | undefined, args: ExecutionArgs): Promise<{ data?: unknown; errors?: readonly GraphQLFormattedError[] }> {
  if (server === undefined) throw new DomainError('SERVICE_UNAVAILABLE', 'The gateway is starting: connect again in a second');
  const { prepared, variables, context } = args.contextValue as Subscription;
  const request = { query: prepared.document.loc?.source.body ?? '', variables: { ...variables }, operationName: args.operationName ?? undefined };
  const { body } = await runInTrace(context.trace, () => server.executeOperation(request, { contextValue: context }));
  if (body.kind !== 'single') throw new Error('Apollo Server answered with several parts, which nothing here asks for');
  return body.singleResult;
}

/** graphql-ws wants GraphQLErrors from its hooks; this one takes formatted errors past it, to `formattedErrors`. */
function carrying(errors: readonly GraphQLFormattedError[]): GraphQLError {
  return new GraphQLError('The operation was refused', { originalError: new StreamFailure(errors) });
}

function formattedErrors(errors: readonly (GraphQLError | GraphQLFormattedError)[], logger: Logger): readonly GraphQLFormattedError[] {
  return errors.flatMap((error) => {
    const cause = error instanceof GraphQLError ? error.originalError : undefined;
    if (cause instanceof StreamFailure) return cause.failure as readonly GraphQLFormattedError[];
    return error instanceof GraphQLError ? presentErrors([error], logger) : [error];
  });
}
