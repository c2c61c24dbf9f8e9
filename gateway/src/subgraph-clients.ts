import type { SubgraphEndpoint } from './config.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { createSubgraphClient, type SubgraphClient, type SubgraphClientSettings } from './subgraph-client.ts';

/** The clients of all subgraphs; one is kept over reloads as long as its endpoint stays the same. */
export interface SubgraphClients {
  get(name: string): SubgraphClient | undefined;
  endpoints(): readonly SubgraphEndpoint[];
  /** From now on these are the subgraphs; what is under way at others may finish. */
  use(endpoints: readonly SubgraphEndpoint[]): void;
  inUse(): readonly SubgraphClient[];
  close(): Promise<void>;
}

/** No clients yet. */
export function createSubgraphClients(metrics: GatewayMetrics, settings: SubgraphClientSettings): SubgraphClients {
  const clients = new Map<string, SubgraphClient>();
  let endpoints: readonly SubgraphEndpoint[] = [];
  return {
    get: (name) => clients.get(name),
    endpoints: () => endpoints,
    use: (changed) => {
      endpoints = changed;
      for (const endpoint of changed) {
        const known = clients.get(endpoint.name);
        if (known?.url === endpoint.url) continue;
        clients.set(endpoint.name, createSubgraphClient(endpoint, metrics, settings));
        void known?.close();
      }
    },
    inUse: () => endpoints.flatMap(({ name }) => clients.get(name) ?? []),
    close: async () => {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}
