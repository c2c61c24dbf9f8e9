import { Counter, Gauge, Histogram, type Registry } from '@ates/service-kit/metrics';

/** What the gateway counts and times, besides what every process does. */
export interface GatewayMetrics {
  readonly operations: Counter<'kind' | 'outcome'>;
  readonly operationSeconds: Histogram<'kind'>;
  readonly fetchSeconds: Histogram<'subgraph' | 'outcome'>;
  readonly sockets: Gauge;
  readonly subscriptions: Gauge;
  readonly events: Counter<'outcome'>;
  readonly eventSeconds: Histogram;
  readonly upstreamSockets: Gauge<'subgraph'>;
  readonly supergraphReloads: Counter<'outcome'>;
}

const LATENCY_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

/**
 * Registers the gateway's metrics. `kind` is query, mutation, subscription, or unknown when it could not be told;
 * `outcome` is ok, or the code of the first error.
 */
export function createGatewayMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry];
  const buckets = LATENCY_BUCKETS_SECONDS;
  return {
    operations: new Counter({ name: 'gateway_operations_total', help: 'Operations by kind and outcome', labelNames: ['kind', 'outcome'], registers }),
    operationSeconds: new Histogram({ name: 'gateway_operation_seconds', help: 'Duration of queries and mutations', labelNames: ['kind'], buckets, registers }),
    fetchSeconds: new Histogram({ name: 'gateway_subgraph_fetch_seconds', help: 'Duration of fetches', labelNames: ['subgraph', 'outcome'], buckets, registers }),
    sockets: new Gauge({ name: 'gateway_sockets', help: 'Open sockets of clients', registers }),
    subscriptions: new Gauge({ name: 'gateway_subscriptions', help: 'Subscriptions under way', registers }),
    events: new Counter({ name: 'gateway_subscription_events_total', help: 'Events delivered, by outcome', labelNames: ['outcome'], registers }),
    eventSeconds: new Histogram({ name: 'gateway_subscription_event_seconds', help: 'From the arrival of an event to its completed result', buckets, registers }),
    upstreamSockets: new Gauge({ name: 'gateway_upstream_sockets', help: 'Open sockets to a subgraph', labelNames: ['subgraph'], registers }),
    supergraphReloads: new Counter({ name: 'gateway_supergraph_reloads_total', help: 'Changes of the supergraph file, by outcome', labelNames: ['outcome'], registers }),
  };
}
