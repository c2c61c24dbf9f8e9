import { performance } from 'node:perf_hooks';
import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { GraphQLError } from 'graphql';
import type { Federation } from './federation.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { parseLimits } from './limits.ts';
import type { OperationContext } from './operation-context.ts';
import { logFailure } from './operation-log.ts';
import { outcomeOf, presentError } from './present-error.ts';
import { gatewayRules } from './validation-rules.ts';

export type GraphQLServer = ApolloServer<OperationContext>;

interface GraphQLServerParts {
  readonly federation: Federation;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * Apollo Server over the federation, with the limits of this gateway: executes queries and mutations, whichever way they
 * came. Start it before use; stopping it stops the federation's gateway too.
 */
export function createGraphQLServer({ federation, metrics, logger }: GraphQLServerParts): GraphQLServer {
  return new ApolloServer<OperationContext>({
    gateway: federation.gateway,
    introspection: true,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    parseOptions: parseLimits,
    validationRules: [...gatewayRules],
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    formatError: (formatted, error) => presentError(formatted, error, logger),
    logger: {
      debug: () => {},
      info: () => {},
      warn: (message) => logger.warn(message),
      error: (message) => logger.error(message),
    },
    plugins: [
      // The middleware in front answers for caching: nothing here is public.
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginLandingPageLocalDefault({ embed: true, includeCookies: false }),
      refusals,
      operationRecords(metrics, logger),
    ],
  });
}

/** What Apollo Server would hand on to a gateway and answer with a 500. */
const refusals: ApolloServerPlugin<OperationContext> = {
  // A validation rule that throws instead of reporting; what this hook throws is the answer, where Apollo's is "Internal server error".
  unexpectedErrorProcessingRequest: async ({ error }) => {
    if (error instanceof GraphQLError) throw badRequest(error.message, 'GRAPHQL_VALIDATION_FAILED', error);
  },
  requestDidStart: async () => ({
    didResolveOperation: async ({ operation, request }) => {
      if (operation === undefined) {
        const named = request.operationName === undefined ? 'name one of them in operationName' : `there is none named "${request.operationName}"`;
        throw badRequest(`The document does not tell which operation to run: ${named}`, 'OPERATION_RESOLUTION_FAILURE');
      }
      if (operation.operation === 'subscription') {
        throw badRequest('Subscriptions need the WebSocket: connect to this URL with the protocol graphql-transport-ws', 'SUBSCRIPTION_OVER_HTTP');
      }
    },
  }),
};

function badRequest(message: string, reason: string, where?: GraphQLError): GraphQLError {
  const extensions = { code: 'BAD_USER_INPUT' satisfies ErrorCode, reason, http: { status: 400 } };
  return new GraphQLError(message, { nodes: where?.nodes, source: where?.source, positions: where?.positions, extensions });
}

/** Counts and times operations, and writes one line for each that failed. */
function operationRecords(metrics: GatewayMetrics, logger: Logger): ApolloServerPlugin<OperationContext> {
  return {
    requestDidStart: async () => {
      const startedAt = performance.now();
      return {
        willSendResponse: async ({ operation, operationName, response, contextValue }) => {
          const kind = operation?.operation ?? 'unknown';
          const errors = response.body.kind === 'single' ? response.body.singleResult.errors : undefined;
          const outcome = outcomeOf(errors);
          const durationMs = performance.now() - startedAt;
          metrics.operations.inc({ kind, outcome });
          metrics.operationSeconds.observe({ kind }, durationMs / 1_000);
          if (errors === undefined || errors.length === 0) return;
          logFailure(logger, { kind, operationName, outcome, errors, durationMs, context: contextValue });
        },
      };
    },
  };
}
