import type { Health } from '@ates/service-kit/health';
import type { Logger } from '@ates/service-kit/logger';
import type { Registry } from '@ates/service-kit/metrics';
import { connectNats } from '@ates/service-kit/nats';
import { followRevocations, registerRevocations, type RevocationFeed } from '@ates/service-kit/revocations';
import type { Lifecycle } from '@ates/service-kit/run-service';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { createGatewayAuthenticator, trustingAuthenticator, type GatewayAuthenticator } from './authenticate.ts';
import type { GatewayConfig, SubgraphEndpoint } from './config.ts';
import { createTokenExchange } from './token-exchange.ts';

interface IdentityParts {
  readonly config: GatewayConfig;
  /** Where a subgraph is; undefined until the supergraph is loaded. */
  readonly endpoint: (subgraph: string) => SubgraphEndpoint | undefined;
  readonly registry: Registry;
  readonly health: Health;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
}

/** How this gateway knows who asks: by the tokens of its issuer, with what is heard of revocations; or not at all, with auth off. */
export function startIdentity({ config, endpoint, registry, health, logger, lifecycle }: IdentityParts): GatewayAuthenticator {
  if (config.auth === 'off') {
    logger.warn('no token is verified (AUTH=off): the Authorization header is passed on as it is');
    return trustingAuthenticator;
  }
  const revocations = config.natsUrl === undefined ? heardFromNobody(logger) : hearRevocations(config.natsUrl, logger, lifecycle);
  registerRevocations(registry, revocations, health);
  const { jwksUrl, jwksFile, tokenIssuer: issuer, tokenAudience: audience, tokenExchange } = config;
  const exchange = tokenExchange && createTokenExchange({ issuer: tokenExchange.issuer, endpoint: () => endpoint(tokenExchange.subgraph) });
  return createGatewayAuthenticator(createAuthenticator({ jwksUrl, jwksFile, issuer, audience, revocations, logger }), exchange);
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

/** Where there is nobody to hear of: tokens are good until they expire, and no role in them is certain. */
function heardFromNobody(logger: Logger): RevocationFeed {
  logger.warn('revocations are not heard (no NATS_URL): tokens are good until they expire');
  return {
    isRevoked: () => false,
    isCurrent: () => false,
    onRevoked: () => () => {},
    ageMs: () => Number.POSITIVE_INFINITY,
    refusals: () => ({ user: 0, session: 0, key: 0 }),
    stop: () => {},
  };
}
