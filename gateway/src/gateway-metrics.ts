import { Counter, Gauge, Histogram, type Registry } from '@ates/service-kit/metrics';
import { createCounts, createSums, createTimings, type Count, type Timing } from './quick-metrics.ts';

/** What the gateway counts and times, besides what every process does. */
export interface GatewayMetrics {
  readonly operations: { inc(labels: { readonly kind: string; readonly outcome: string }): void };
  /** Children of `operations`, and of the durations; what runs often keeps them. */
  readonly operationCount: (kind: string, outcome: string) => Count;
  readonly operationSeconds: (kind: string) => Timing;
  readonly namedSeconds: (operation: string) => Timing;
  readonly namedFailures: (operation: string, outcome: string) => Count;
  /** Of one subgraph: the child for an outcome. */
  readonly fetchSeconds: (subgraph: string) => (outcome: string) => Timing;
  readonly cacheLookups: (result: 'hit' | 'miss' | 'refused') => Count;
  readonly compileSeconds: Timing;
  readonly sockets: Gauge;
  readonly subscriptions: Gauge;
  readonly events: Counter<'outcome'>;
  readonly eventSeconds: Histogram;
  readonly upstreamSockets: Gauge<'subgraph'>;
  readonly supergraphReloads: Counter<'outcome'>;
}

/** Requests whose operation is not in the safelist, in `log` and `enforce`. */
export function registerUnlisted(registry: Registry, safelist: { unlisted(): number }): void {
  const gauge: Gauge = new Gauge({ name: 'gateway_unlisted_operations', help: 'Requests so far whose operation is not in the safelist', registers: [registry], collect: () => gauge.set(safelist.unlisted()) });
}

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/**
 * Registers the gateway's metrics. `kind` is query, mutation, subscription, or unknown when it could not be told;
 * `outcome` is ok, or the code of the first error; `operation` the client's name for it (of at most 500, then `other`).
 */
export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  const buckets = LATENCY_BUCKETS_SECONDS;
  const operationCount = createCounts(registry, { name: 'gateway_operations_total', help: 'Operations by kind and outcome', labels: ['kind', 'outcome'] });
  const fetches = createTimings(registry, { name: 'gateway_subgraph_fetch_seconds', help: 'Duration of fetches', labels: ['subgraph', 'outcome'] }, buckets);
  return {
    operations: { inc: ({ kind, outcome }) => operationCount(kind, outcome).inc() },
    operationCount,
    operationSeconds: createTimings(registry, { name: 'gateway_operation_seconds', help: 'Duration of queries and mutations', labels: ['kind'] }, buckets),
    namedSeconds: createSums(registry, { name: 'gateway_named_operation_seconds', help: 'Duration of queries and mutations by their names', labels: ['operation'] }),
    namedFailures: createCounts(registry, { name: 'gateway_named_operation_failures_total', help: 'Operations with errors by their names', labels: ['operation', 'outcome'] }),
    fetchSeconds: (subgraph) => {
      const known = new Map<string, Timing>();
      return (outcome) => {
        const timing = known.get(outcome) ?? fetches(subgraph, outcome);
        known.set(outcome, timing);
        return timing;
      };
    },
    cacheLookups: createCounts(registry, { name: 'gateway_operation_cache_lookups_total', help: 'Operations looked up among those compiled', labels: ['result'] }),
    compileSeconds: createTimings(registry, { name: 'gateway_operation_compile_seconds', help: 'Planning and compiling an operation', labels: [] }, buckets)(),
    sockets: new Gauge({ name: 'gateway_sockets', help: 'Open sockets of clients', registers }),
    subscriptions: new Gauge({ name: 'gateway_subscriptions', help: 'Subscriptions under way', registers }),
    events: new Counter({ name: 'gateway_subscription_events_total', help: 'Events delivered, by outcome', labelNames: ['outcome'], registers }),
    eventSeconds: new Histogram({ name: 'gateway_subscription_event_seconds', help: 'From the arrival of an event to its completed result', buckets, registers }),
    upstreamSockets: new Gauge({ name: 'gateway_upstream_sockets', help: 'Open sockets to a subgraph', labelNames: ['subgraph'], registers }),
    supergraphReloads: new Counter({ name: 'gateway_supergraph_reloads_total', help: 'Changes of the supergraph file, by outcome', labelNames: ['outcome'], registers }),
  };
}
