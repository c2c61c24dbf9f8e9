import { ApolloGateway, type GraphQLDataSource, type ServiceEndpointDefinition } from '@apollo/gateway';
import type { Schema } from '@apollo/federation-internals';
import type { QueryPlanner } from '@apollo/query-planner';
import type { ApolloServerOptionsWithGateway } from '@apollo/server';
import type { Logger } from '@ates/service-kit/logger';
import { GraphQLError, type GraphQLSchema } from 'graphql';
import { subgraphEndpoints, type GatewayConfig, type SubgraphEndpoint } from './config.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { OperationContext } from './operation-context.ts';
import type { SubgraphClient } from './subgraph-client.ts';
import { createSubgraphClients, type SubgraphClients } from './subgraph-clients.ts';
import { readSupergraphFile, watchSupergraphFile } from './supergraph-file.ts';

/** One supergraph, ready to plan and execute; a reload makes another. */
export interface LoadedSupergraph {
  /** What clients see: validates operations, answers introspection. */
  readonly schema: GraphQLSchema;
  /** The same for the planner, in its own form. */
  readonly apiSchema: Schema;
  /** With everything that clients don't see. */
  readonly supergraphSchema: GraphQLSchema;
  readonly planner: QueryPlanner;
}

/** The supergraph, its reloads, and the connections to its subgraphs. */
export interface Federation {
  /** For Apollo Server, which starts and stops it. */
  readonly gateway: ApolloServerOptionsWithGateway<OperationContext>['gateway'];
  /** The supergraph in force, undefined before the first one is loaded. */
  current(): LoadedSupergraph | undefined;
  /** Where a subgraph of the supergraph in force is, undefined when it has none of that name. */
  endpoint(subgraph: string): SubgraphEndpoint | undefined;
  /** The data sources of all subgraphs by name. */
  readonly dataSources: Readonly<Record<string, GraphQLDataSource>>;
  subgraphs(): readonly SubgraphClient[];
  /** Calls `listener` after each load. */
  onLoad(listener: (supergraph: LoadedSupergraph) => void): void;
  /** Closes the connections to the subgraphs; call it when Apollo Server has stopped. */
  stop(): Promise<void>;
}

export type ExecutionResult = Awaited<ReturnType<ApolloGateway['executor']>>;

interface FederationParts {
  readonly config: Pick<GatewayConfig, 'supergraphFile' | 'subgraphUrls' | 'subgraphSecrets'>;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * Loads the supergraph from its file and again whenever the file changes: a bad one is logged and the one in force stays.
 * Apollo's gateway plans and executes queries and mutations; subscriptions are planned by the same planner.
 */
export function createFederation(parts: FederationParts): Federation {
  const { config, metrics, logger } = parts;
  // Apollo's gateway otherwise sends figures about itself to its maker.
  process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';

  const clients = createSubgraphClients(metrics);
  const listeners: ((supergraph: LoadedSupergraph) => void)[] = [];
  let current: LoadedSupergraph | undefined;

  const gateway = new ApolloGateway({
    logger: apolloLogger(logger),
    debug: false,
    __exposeQueryPlanExperimental: false,
    validateSupergraph: true,
    buildService: ({ name }: ServiceEndpointDefinition) => clients.open(name),
    supergraphSdl: async ({ update }) => {
      const supergraphSdl = readSupergraphFile(config.supergraphFile);
      clients.use(subgraphEndpoints(supergraphSdl, config));
      const stopWatching = watchSupergraphFile(config.supergraphFile, () => reload(parts, clients, update));
      return { supergraphSdl, cleanup: async () => stopWatching() };
    },
  });

  gateway.onSchemaLoadOrUpdate(({ apiSchema: schema }) => {
    const planner = gateway.__testing().queryPlanner as QueryPlanner;
    const { supergraph } = planner;
    current = { schema, apiSchema: supergraph.apiSchema(), supergraphSchema: supergraph.schema.toGraphQLJSSchema(), planner };
    for (const listener of listeners) listener(current);
  });

  return {
    gateway: {
      load: async (options) => {
        const { executor } = await gateway.load(options);
        return { executor: async (request) => settled(await executor(request)) };
      },
      onSchemaLoadOrUpdate: (callback) => gateway.onSchemaLoadOrUpdate(callback),
      stop: () => gateway.stop(),
    },
    current: () => current,
    endpoint: (subgraph) => clients.endpoints().find(({ name }) => name === subgraph),
    dataSources: clients.dataSources,
    subgraphs: () => clients.inUse(),
    onLoad: (listener) => void listeners.push(listener),
    stop: () => clients.close(),
  };
}

/**
 * The result as the GraphQL specification wants it. Apollo's executor puts what a subgraph's data violated (null for a
 * non-null field) into an extension: here these are errors. What it could not shape at all is thrown, to be masked.
 */
export function settled(result: ExecutionResult): ExecutionResult {
  const { valueCompletion, ...extensions } = (result.extensions ?? {}) as { valueCompletion?: GraphQLError[] };
  if (valueCompletion === undefined) {
    const failure = result.data === undefined ? result.errors?.[0]?.originalError : undefined;
    // Errors about variables have a GraphQLError behind them, and are the client's.
    if (failure !== undefined && failure !== null && !(failure instanceof GraphQLError)) throw failure;
    return result;
  }
  const { extensions: _replaced, ...rest } = result;
  return {
    ...rest,
    errors: [...(result.errors ?? []), ...valueCompletion],
    ...(Object.keys(extensions).length > 0 && { extensions }),
  };
}

/** Puts the file's supergraph in force, or leaves everything as it was and says why. */
function reload({ config, metrics, logger }: FederationParts, clients: SubgraphClients, update: (supergraphSdl: string) => void): void {
  const before = clients.endpoints();
  try {
    const supergraphSdl = readSupergraphFile(config.supergraphFile);
    clients.use(subgraphEndpoints(supergraphSdl, config));
    update(supergraphSdl);
    metrics.supergraphReloads.inc({ outcome: 'ok' });
    logger.info({ subgraphs: clients.endpoints().map(({ name }) => name) }, 'the supergraph file changed and was loaded');
  } catch (error) {
    clients.use(before);
    metrics.supergraphReloads.inc({ outcome: 'refused' });
    logger.error({ err: error }, 'the supergraph file changed and cannot be used, the one before stays in force: run `npm run compose`');
  }
}

/** Apollo's gateway tells at info what this one tells in its own words. */
function apolloLogger(logger: Logger) {
  return {
    debug: (message: unknown) => logger.debug(String(message)),
    info: (message: unknown) => logger.debug(String(message)),
    warn: (message: unknown) => logger.warn(String(message)),
    error: (message: unknown) => logger.error(String(message)),
  };
}
