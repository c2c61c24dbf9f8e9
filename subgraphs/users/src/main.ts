import { readFileSync } from 'node:fs';
import { openDatabase } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { connectNats } from '@ates/service-kit/nats';
import { runService } from '@ates/service-kit/run-service';
import { startSubgraphServer } from '@ates/service-kit/subgraph-server';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { Migration20261120Users } from '../migrations/2026-11-20-users.ts';
import { Migration20261121Pipe } from '../migrations/2026-11-21-pipe.ts';
import { readUsersConfig } from './config.ts';
import { loadSigningKeys } from './keys.ts';
import { usersContext, usersResolvers } from './resolvers.ts';
import { createSessions } from './sessions.ts';
import { createUserCommands } from './user-commands.ts';
import { UserEntity } from './user.entity.ts';

const config = readUsersConfig();
const logger = createLogger('users', config.LOG_LEVEL);
const clock = () => new Date();

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('users');
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [UserEntity],
    migrations: [Migration20261120Users, Migration20261121Pipe],
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  const keys = await loadSigningKeys(database);
  const commands = createUserCommands({ database, passwordMinLength: config.PASSWORD_MIN_LENGTH, clock });
  if (config.ADMIN_EMAIL !== undefined && config.ADMIN_PASSWORD !== undefined) {
    await commands.createFirstAdmin(config.ADMIN_EMAIL, config.ADMIN_PASSWORD);
  }
  const sessions = createSessions({ database, keys, issuer: config.TOKEN_ISSUER, audience: config.TOKEN_AUDIENCE, clock });

  health.add('nats', () => 'is not connected yet');
  const app = createHttpApp(health, metrics);
  app.get('/.well-known/jwks.json', (_request, response) => void response.json(keys.jwks));
  const server = await startSubgraphServer({
    app,
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: usersResolvers({ database, commands, sessions }),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ jwksUrl: config.JWKS_URL, issuer: config.TOKEN_ISSUER, audience: config.TOKEN_AUDIENCE }),
    createContext: (viewer) => usersContext(database, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connectNats(config.NATS_URL, 'users', logger);
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));
  const limits = { maxAgeMs: config.OUTBOX_MAX_AGE_MS, keepDays: config.OUTBOX_KEEP_DAYS };
  const relay = startRelay({ producer: 'users', databaseUrl: config.DATABASE_URL, nats, logger, ...limits });
  lifecycle.onStop('outbox relay', relay.stop);
  health.add('outbox relay', relay.check);
  registerPipe(metrics, { relay });
});
