import type { GraphQLDataSource } from '@apollo/gateway';
import type { SubgraphEndpoint } from './config.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { createSubgraphClient, type SubgraphClient } from './subgraph-client.ts';

/** The clients of all subgraphs; one is kept over reloads as long as its endpoint stays the same. */
export interface SubgraphClients {
  /** Clients by subgraph, for the executor. */
  readonly dataSources: Record<string, GraphQLDataSource>;
  endpoints(): readonly SubgraphEndpoint[];
  /** From now on these are the subgraphs; opens nothing yet. */
  use(endpoints: readonly SubgraphEndpoint[]): void;
  inUse(): readonly SubgraphClient[];
  /** @throws Error when no endpoint of that name is in use. */
  open(name: string): GraphQLDataSource;
  close(): Promise<void>;
}

/** No clients yet. */
export function createSubgraphClients(metrics: GatewayMetrics): SubgraphClients {
  const clients = new Map<string, SubgraphClient>();
  const dataSources: Record<string, GraphQLDataSource> = Object.create(null) as Record<string, GraphQLDataSource>;
  let endpoints: readonly SubgraphEndpoint[] = [];
  return {
    dataSources,
    endpoints: () => endpoints,
    use: (changed: readonly SubgraphEndpoint[]) => {
      endpoints = changed;
    },
    inUse: () => endpoints.flatMap(({ name }) => clients.get(name) ?? []),
    open: (name: string): GraphQLDataSource => {
      const endpoint = endpoints.find((candidate) => candidate.name === name);
      if (endpoint === undefined) throw new Error(`The supergraph names a subgraph ${name} that has no endpoint`);
      const known = clients.get(name);
      if (known?.url === endpoint.url) return known;
      const client = createSubgraphClient(endpoint, metrics);
      clients.set(name, client);
      dataSources[name] = client;
      void known?.close();
      return client;
    },
    close: async () => {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}
