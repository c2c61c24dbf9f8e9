import { readFileSync } from 'node:fs';
import { openDatabase } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { Counter, createMetrics, type Registry } from '@ates/service-kit/metrics';
import { connectNats } from '@ates/service-kit/nats';
import { announceRevocations, followRevocations, registerRevocations } from '@ates/service-kit/revocations';
import { runService } from '@ates/service-kit/run-service';
import { tokenTrust } from '@ates/service-kit/subgraph-env';
import { startSubgraphServer } from '@ates/service-kit/subgraph-server';
import { startTracing } from '@ates/service-kit/tracing';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { MIGRATIONS } from '../migrations/all.ts';
import { identityProviderOf, readUsersConfig } from './config.ts';
import { startHousekeeping } from './housekeeping.ts';
import { openSigningKeys } from './keys.ts';
import { serveOutsideTokens } from './outside-tokens.ts';
import { createOutsideUsers } from './outside-users.ts';
import { usersContext, usersResolvers } from './resolvers.ts';
import { readRevocations } from './revocations.ts';
import { createSessions } from './sessions.ts';
import { createSignIn } from './sign-in.ts';
import { createSignInLimits } from './sign-in-limits.ts';
import { createUserCommands } from './user-commands.ts';
import { UserEntity } from './user.entity.ts';

const config = readUsersConfig();
const logger = createLogger('users', config.LOG_LEVEL);
const clock = () => new Date();
/** Others hear of a revocation within this time, and of a new key. */
const REVOCATIONS_EVERY_MS = 250;

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('users');
  lifecycle.onStop('traces', (await startTracing({ service: 'users', logger, metrics })).stop);
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [UserEntity],
    migrations: MIGRATIONS,
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  const keys = await openSigningKeys(database);
  const passwordMinLength = config.PASSWORD_MIN_LENGTH;
  const commands = createUserCommands({ database, passwordMinLength, clock });
  if (config.ADMIN_EMAIL !== undefined && config.ADMIN_PASSWORD !== undefined) {
    await commands.createFirstAdmin(config.ADMIN_EMAIL, config.ADMIN_PASSWORD);
  }
  const sessions = createSessions({ database, keys, issuer: config.TOKEN_ISSUER, audience: config.TOKEN_AUDIENCE, clock });
  const limits = createSignInLimits(database.sql, { perAccount: config.SIGN_IN_FAILURES_PER_ACCOUNT, perAddress: config.SIGN_IN_FAILURES_PER_ADDRESS });
  const onAttempt = countAttempts(metrics);
  const signIn = createSignIn({ database, sessions, limits, passwordMinLength, clock, logger, onAttempt });
  const housekeeping = startHousekeeping({ database, keys, keyRotationDays: config.KEY_ROTATION_DAYS, clock, logger });
  lifecycle.onStop('housekeeping', housekeeping.stop);

  health.add('nats', () => 'is not connected yet');
  const connecting = connectNats(config.NATS_URL, 'users', logger);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', revocations.stop);
  registerRevocations(metrics, revocations, health);
  const app = createHttpApp(health, metrics);
  app.get('/.well-known/jwks.json', (_request, response) => void response.json(keys.jwks()));
  const provider = identityProviderOf(config);
  const outsideUsers = provider && createOutsideUsers({ provider, database, commands, sessions, logger });
  serveOutsideTokens(app, { outsideUsers, gatewaySecret: config.GATEWAY_SECRET, logger });
  const server = await startSubgraphServer({
    app,
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: usersResolvers({ database, commands, sessions, signIn, clock, outsideIssuer: provider?.issuer }),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer, client) => usersContext(database, viewer, client),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));
  const announcer = announceRevocations({ nats, logger, intervalMs: REVOCATIONS_EVERY_MS, read: async (after) => ({ ...(await readRevocations(database.sql, after)), keys: keys.ids() }) });
  lifecycle.onStop('revocation announcer', announcer.stop);
  const relay = startRelay({ producer: 'users', databaseUrl: config.DATABASE_URL, nats, logger, maxAgeMs: config.OUTBOX_MAX_AGE_MS, keepDays: config.OUTBOX_KEEP_DAYS });
  lifecycle.onStop('outbox relay', relay.stop);
  health.add('outbox relay', relay.check);
  registerPipe(metrics, { relay });
});

function countAttempts(metrics: Registry): (method: string, outcome: string) => void {
  const attempts = new Counter({ name: 'ates_sign_ins_total', help: 'Attempts to sign in, by method and how they ended', labelNames: ['method', 'outcome'], registers: [metrics] });
  return (method, outcome) => attempts.inc({ method, outcome });
}
