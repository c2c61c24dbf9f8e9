import type { Logger } from '@ates/service-kit/logger';
import type { GatewayConfig } from '../config.ts';
import type { Federation } from '../federation.ts';
import type { GatewayMetrics } from '../gateway-metrics.ts';
import type { Operations, PreparedOperation } from '../prepared-operation.ts';
import { LiveSubscription, type LiveParts, type SubscriptionStart } from './live-subscription.ts';
import { createRenewal } from './renewal.ts';
import { createUpstreamSockets } from './upstream-sockets.ts';

/** The subscriptions of all clients, whichever way they came. */
export interface Subscriptions {
  /**
   * Starts a federated subscription: what its plan begins with is subscribed to at its subgraph, and each event is completed by
   * the rest of the plan, with the user's token, as a query would be. The reader hears of answers in the order of events, and at
   * last of errors when the subgraph refuses, is gone for too long, or is faster than the client. Nothing is told before this
   * has returned.
   */
  start(prepared: PreparedOperation, start: SubscriptionStart): LiveSubscription;
  count(): number;
  /** Ends what is under way, and the sockets to the subgraphs. */
  stop(): void;
}

interface SubscriptionsParts {
  readonly federation: Pick<Federation, 'endpoint' | 'onLoad'>;
  readonly operations: Operations;
  readonly settings: Pick<GatewayConfig, 'maxWaitingEvents'>;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** Subscriptions at any subgraph of the supergraph in force; they outlive its reloads as long as their plans hold. */
export function createSubscriptions({ federation, operations, settings, metrics, logger }: SubscriptionsParts): Subscriptions {
  const upstream = createUpstreamSockets({ endpoint: (subgraph) => federation.endpoint(subgraph), metrics, logger });
  const live = new Set<LiveSubscription>();
  const parts: LiveParts = { operations, upstream, metrics, logger, maxWaitingEvents: settings.maxWaitingEvents, live };
  const renewAll = createRenewal({ operations, live, logger });
  federation.onLoad(() => renewAll());
  return {
    start: (prepared, start) => {
      const subscription = new LiveSubscription(parts, prepared, start);
      subscription.open();
      return subscription;
    },
    count: () => live.size,
    stop: () => upstream.stop(),
  };
}
