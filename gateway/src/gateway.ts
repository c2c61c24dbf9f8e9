import { createHealth } from '@ates/service-kit/health';
import type { Logger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import type { Lifecycle } from '@ates/service-kit/run-service';
import { startTracing } from '@ates/service-kit/tracing';
import type { GatewayAuthenticator } from './authenticate.ts';
import { originOf } from './client-address.ts';
import type { GatewayConfig } from './config.ts';
import { createDoors } from './doors.ts';
import { createFederation, type Federation } from './federation.ts';
import { createGatewayMetrics, registerUnlisted, type GatewayMetrics } from './gateway-metrics.ts';
import { createGraphQLEndpoint, type GraphQLEndpoint } from './http/graphql-endpoint.ts';
import { GRAPHQL_PATH, startHttpServer, type RunningHttpServer } from './http/http-server.ts';
import { startIdentity } from './identity.ts';
import { createLandingPages } from './landing/landing-pages.ts';
import { createRateLimits } from './limits/rate-limits.ts';
import { createSafelist } from './limits/safelist.ts';
import { createOperations } from './operations.ts';
import type { Operations } from './prepared-operation.ts';
import { addReadiness } from './readiness.ts';
import { createHttpStreams } from './streams/http-streams.ts';
import { serveSockets } from './streams/socket-server.ts';
import { createSubscriptions } from './streams/subscriptions.ts';

export interface RunningGateway {
  readonly port: number;
}

interface Parts {
  readonly config: GatewayConfig;
  readonly federation: Federation;
  readonly operations: Operations;
  readonly authenticator: GatewayAuthenticator;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/**
 * Starts the gateway: listens first (so that `/healthz` and `/readyz` tell what it is doing), then loads the supergraph.
 * Each step registers how it is undone. @throws Error when the port is taken or the supergraph can't be loaded.
 */
export async function startGateway(config: GatewayConfig, logger: Logger, lifecycle: Lifecycle): Promise<RunningGateway> {
  const health = createHealth();
  const registry = createMetrics('gateway');
  lifecycle.onStop('traces', (await startTracing({ service: 'gateway', logger, metrics: registry })).stop);
  const metrics = createGatewayMetrics(registry);
  const federation = createFederation({ config, metrics, logger });
  const endpoint = (subgraph: string) => federation.endpoint(subgraph);
  const authenticator = startIdentity({ config, endpoint, registry, health, logger, lifecycle });
  const safelist = createSafelist(config, logger);
  lifecycle.onStop('safelist', () => safelist.stop());
  registerUnlisted(registry, safelist);
  const operations = createOperations({ federation, settings: config, rateLimits: createRateLimits(config), safelist, metrics, logger });
  addReadiness(health, federation);

  const doors = createDoors({ doors: config.doors, endpoint, logger, deadlines: { answerMs: config.subgraphTimeoutMs } });
  lifecycle.onStop('doors', () => doors.stop());
  let graphql: GraphQLEndpoint | undefined;
  const http = await startHttpServer({ health, metrics: registry, graphql: () => graphql, landingPage: createLandingPages(config), doors: [doors.handle], logger }, config.host, config.port);
  const stopHttp = once(() => http.stop());
  lifecycle.onStop('http', stopHttp);
  logger.info({ host: config.host, port: http.port }, 'listening');

  lifecycle.onStop('subgraphs', () => federation.stop());
  await federation.start();
  graphql = serveOperations({ config, federation, operations, authenticator, metrics, logger }, { http, stopHttp, lifecycle });
  lifecycle.onStop('readiness', () => health.drain());
  return { port: http.port };
}

/** Every way that operations come. What is registered last is stopped first: streams are told to go, then requests under way may finish. */
function serveOperations(
  parts: Parts,
  { http, stopHttp, lifecycle }: { readonly http: RunningHttpServer; readonly stopHttp: () => Promise<void>; readonly lifecycle: Lifecycle },
): GraphQLEndpoint {
  const { config: settings } = parts;
  const subscriptions = createSubscriptions({ ...parts, settings });
  lifecycle.onStop('subscriptions', () => subscriptions.stop());
  const streams = createHttpStreams({ ...parts, subscriptions, settings });
  const sockets = serveSockets({ ...parts, server: http.server, path: GRAPHQL_PATH, subscriptions, settings, originOf: (request) => originOf(request, settings.trustedProxies) });
  // Before what requests under way still need; the first registration serves a start that fails.
  lifecycle.onStop('http', stopHttp);
  lifecycle.onStop('sockets', () => sockets.stop());
  lifecycle.onStop('streams', () => streams.stop());
  return createGraphQLEndpoint({ ...parts, streams, settings });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
