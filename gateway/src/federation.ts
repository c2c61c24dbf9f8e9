import { ApolloGateway, type GraphQLDataSource } from '@apollo/gateway';
import type { Schema } from '@apollo/federation-internals';
import type { QueryPlanner } from '@apollo/query-planner';
import type { Logger } from '@ates/service-kit/logger';
import type { GraphQLSchema } from 'graphql';
import { subgraphEndpoints, type GatewayConfig, type SubgraphEndpoint } from './config.ts';
import type { SubgraphFetch } from './execution/compiled-operation.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { OperationContext } from './operation-context.ts';
import type { SubgraphClient } from './subgraph-client.ts';
import { createSubgraphClients } from './subgraph-clients.ts';
import { watchFile } from './file-watch.ts';
import { readSupergraphFile } from './supergraph-file.ts';

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
  /** Loads the supergraph and watches its file. @throws Error when it can't be used */
  start(): Promise<void>;
  /** The supergraph in force, undefined before the first one is loaded. */
  current(): LoadedSupergraph | undefined;
  /** Where a subgraph of the supergraph in force is, undefined when it has none of that name. */
  endpoint(subgraph: string): SubgraphEndpoint | undefined;
  subgraphs(): readonly SubgraphClient[];
  /** Sends an operation's fetches in its user's name. */
  fetchFor(context: OperationContext): SubgraphFetch;
  /** Calls `listener` after each load. */
  onLoad(listener: (supergraph: LoadedSupergraph) => void): void;
  /** Stops watching and, once what is under way has ended, closes the connections to the subgraphs. */
  stop(): Promise<void>;
}

export type FederationSettings = Pick<GatewayConfig, 'supergraphFile' | 'subgraphUrls' | 'subgraphSecrets' | 'subgraphTimeoutMs' | 'subgraphConnections'>;

/**
 * A document of a kilobyte can have so many ways through the subgraphs that weighing them would take minutes: then the planner throws. Beyond so many
 * plans it takes the best that it has found.
 */
const PLANNING_BOUNDS = { pathsLimit: 1_000, maxEvaluatedPlans: 1_000 };

interface FederationParts {
  readonly config: FederationSettings;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Nothing is executed by Apollo's gateway. */
const noDataSource: GraphQLDataSource = {
  process: () => Promise.reject(new Error('This gateway executes plans by itself')),
};

/**
 * Loads the supergraph from its file and again whenever the file changes: a bad one is logged and the one in force stays.
 * Apollo's gateway reads and checks it and has the planner; what runs is ours.
 */
export function createFederation(parts: FederationParts): Federation {
  const { config, metrics, logger } = parts;
  // Apollo's gateway otherwise sends figures about itself to its maker.
  process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';

  const clients = createSubgraphClients(metrics, config);
  const listeners: ((supergraph: LoadedSupergraph) => void)[] = [];
  let current: LoadedSupergraph | undefined;
  /** Those of the file that is being loaded; they come into use with it, or not at all. */
  let loading: readonly SubgraphEndpoint[] = [];

  const gateway = new ApolloGateway({
    logger: apolloLogger(logger),
    debug: false,
    __exposeQueryPlanExperimental: false,
    queryPlannerConfig: { debug: PLANNING_BOUNDS },
    validateSupergraph: true,
    buildService: () => noDataSource,
    supergraphSdl: async ({ update }) => {
      const stopWatching = watchFile(config.supergraphFile, () => reload(parts, update, (endpoints) => (loading = endpoints)));
      const supergraphSdl = readSupergraphFile(config.supergraphFile);
      loading = subgraphEndpoints(supergraphSdl, config);
      return { supergraphSdl, cleanup: async () => stopWatching() };
    },
  });

  gateway.onSchemaLoadOrUpdate(({ apiSchema: schema }) => {
    const planner = gateway.__testing().queryPlanner as QueryPlanner;
    const { supergraph } = planner;
    clients.use(loading);
    current = { schema, apiSchema: supergraph.apiSchema(), supergraphSchema: supergraph.schema.toGraphQLJSSchema(), planner };
    for (const listener of listeners) listener(current);
  });

  const fetchFor: Federation['fetchFor'] = (context) => (request) => {
    const client = clients.get(request.subgraph);
    return client === undefined ? Promise.resolve(noSuchSubgraph(request.subgraph)) : client.fetch(request, context);
  };

  return {
    start: async () => {
      await gateway.load();
    },
    current: () => current,
    endpoint: (subgraph) => clients.endpoints().find(({ name }) => name === subgraph),
    subgraphs: () => clients.inUse(),
    fetchFor,
    onLoad: (listener) => void listeners.push(listener),
    stop: async () => {
      await gateway.stop();
      await clients.close();
    },
  };
}

/** Puts the file's supergraph in force, or leaves everything as it was and says why. */
function reload({ config, metrics, logger }: FederationParts, update: (supergraphSdl: string) => void, use: (endpoints: readonly SubgraphEndpoint[]) => void): void {
  try {
    const supergraphSdl = readSupergraphFile(config.supergraphFile);
    const endpoints = subgraphEndpoints(supergraphSdl, config);
    use(endpoints);
    update(supergraphSdl);
    metrics.supergraphReloads.inc({ outcome: 'ok' });
    logger.info({ subgraphs: endpoints.map(({ name }) => name) }, 'the supergraph file changed and was loaded');
  } catch (error) {
    metrics.supergraphReloads.inc({ outcome: 'refused' });
    logger.error({ err: error }, 'the supergraph file changed and cannot be used, the one before stays in force: run `npm run compose`');
  }
}

function noSuchSubgraph(name: string) {
  return { code: 'INTERNAL' as const, reason: `the plan names a subgraph ${name} that has no endpoint` };
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
