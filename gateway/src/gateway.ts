import { createHealth } from '@ates/service-kit/health';
import { createHttpApp, listen } from '@ates/service-kit/http-server';
import type { Logger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { connectNats } from '@ates/service-kit/nats';
import { followRevocations, registerRevocations, type RevocationFeed } from '@ates/service-kit/revocations';
import type { Lifecycle } from '@ates/service-kit/run-service';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { createGatewayAuthenticator } from './authenticate.ts';
import { serveClientSockets } from './client-sockets.ts';
import type { GatewayConfig } from './config.ts';
import { serveDocumentProxy } from './document-proxy.ts';
import { createFederation } from './federation.ts';
import { createGatewayMetrics } from './gateway-metrics.ts';
import { createGraphQLServer, type GraphQLServer } from './graphql-server.ts';
import { GRAPHQL_PATH, serveGraphQLOverHttp } from './http-endpoint.ts';
import { createOperationPlans } from './operation-plans.ts';
import { addReadiness } from './readiness.ts';
import { createOutsideTokens } from './outside-tokens.ts';
import { createSocketProtocol } from './socket-protocol.ts';
import { createSubscriptions } from './subscriptions.ts';
import { createUpstreamSockets } from './upstream-sockets.ts';

export interface RunningGateway {
  readonly port: number;
}

/**
 * Starts the gateway: listens first (so that `/healthz` and `/readyz` tell what it is doing), then loads the supergraph.
 * Each step registers how it is undone. @throws Error when the port is taken or the supergraph can't be loaded.
 */
export async function startGateway(config: GatewayConfig, logger: Logger, lifecycle: Lifecycle): Promise<RunningGateway> {
  const health = createHealth();
  const registry = createMetrics('gateway');
  const metrics = createGatewayMetrics(registry);
  const revocations = hearRevocations(config.natsUrl, logger, lifecycle);
  registerRevocations(registry, revocations, health);
  const { jwksUrl, jwksFile, tokenIssuer: issuer, tokenAudience: audience, trustedProxies } = config;
  const federation = createFederation({ config, metrics, logger });
  const outside = config.oidcIssuer === undefined ? undefined : createOutsideTokens({ issuer: config.oidcIssuer, users: () => federation.endpoint('users') });
  const authenticator = createGatewayAuthenticator(createAuthenticator({ jwksUrl, jwksFile, issuer, audience, revocations, logger }), outside);
  addReadiness(health, federation);
  let started: GraphQLServer | undefined;
  const graphQLServer = (): GraphQLServer | undefined => started;

  const app = createHttpApp(health, registry);
  const documents = serveDocumentProxy(app, { endpoint: (subgraph) => federation.endpoint(subgraph), logger });
  lifecycle.onStop('documents', documents.stop);
  serveGraphQLOverHttp(app, { authenticator, trustedProxies, logger, graphQLServer });
  const http = await listen(app, config.host, config.port);
  const stopHttp = once(() => http.stop());
  lifecycle.onStop('http', stopHttp);
  logger.info({ host: config.host, port: http.port }, 'listening');

  const server = createGraphQLServer({ federation, metrics, logger });
  await server.start();
  lifecycle.onStop('subgraph connections', () => federation.stop());
  lifecycle.onStop('graphql', () => server.stop());
  started = server;

  const plans = createOperationPlans(federation);
  const upstream = createUpstreamSockets({ endpoint: (subgraph) => federation.endpoint(subgraph), metrics, logger });
  lifecycle.onStop('upstream sockets', () => upstream.stop());
  const subscriptions = createSubscriptions({ federation, upstream, metrics, logger });
  const protocol = createSocketProtocol({ authenticator, plans, subscriptions, graphQLServer, metrics, logger });
  const sockets = serveClientSockets({ server: http.server, path: GRAPHQL_PATH, protocol, trustedProxies, logger });
  // Before what requests under way still need; the first registration serves a start that fails.
  lifecycle.onStop('http', stopHttp);
  lifecycle.onStop('client sockets', () => sockets.stop());
  lifecycle.onStop('readiness', () => health.drain());
  return { port: http.port };
}

/** The feed of revocations. The gateway starts and serves without NATS too: then nobody's roles are current. */
function hearRevocations(natsUrl: string, logger: Logger, lifecycle: Lifecycle): RevocationFeed {
  const stopping = new AbortController();
  const connecting = connectNats(natsUrl, 'gateway', logger, stopping.signal);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', async () => {
    revocations.stop();
    stopping.abort();
    await connecting.then((nats) => nats.close()).catch(() => {});
  });
  return revocations;
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
