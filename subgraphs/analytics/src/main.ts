import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dateIn } from '@ates/service-kit/calendar';
import { openDatabase } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { connectNats } from '@ates/service-kit/nats';
import { followRevocations, registerRevocations } from '@ates/service-kit/revocations';
import { runService } from '@ates/service-kit/run-service';
import { tokenTrust } from '@ates/service-kit/subgraph-env';
import { startSubgraphServer } from '@ates/service-kit/subgraph-server';
import { createAuthenticator } from '@ates/service-kit/viewer';
import type { Producer } from '@ates/shared-events/event';
import { startConsumer } from '@ates/shared-events/event-consumer';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { Migration20261120Analytics } from '../migrations/2026-11-20-analytics.ts';
import { Migration20261121Pipe } from '../migrations/2026-11-21-pipe.ts';
import { Migration20261121Rebuild } from '../migrations/2026-11-21-rebuild.ts';
import { readAnalyticsConfig } from './config.ts';
import { reactToEvents } from './reactions.ts';
import { analyticsContext, analyticsResolvers } from './resolvers.ts';

const config = readAnalyticsConfig();
const logger = createLogger('analytics', config.LOG_LEVEL);
const clock = () => new Date();
/** Dashboards are in no hurry: larger batches, and the cores are free for the live path meanwhile. */
const GATHER_MS = 50;
/** As `nice` counts: on cores that it shares with Tasks and Accounting, those who give and take money come first. */
const PRIORITY = 5;

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('analytics');
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [],
    migrations: [Migration20261120Analytics, Migration20261121Pipe, Migration20261121Rebuild],
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  const currentDay = () => dateIn(database.sql, config.BUSINESS_TIME_ZONE, clock());
  health.add('nats', () => 'is not connected yet');
  const connecting = connectNats(config.NATS_URL, 'analytics', logger);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', revocations.stop);
  registerRevocations(metrics, revocations, health);
  const server = await startSubgraphServer({
    app: createHttpApp(health, metrics),
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: analyticsResolvers(database.sql, currentDay),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer) => analyticsContext(database.sql, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));

  const consume = (producer: Producer) =>
    startConsumer({
      producer,
      service: 'analytics',
      databaseUrl: config.DATABASE_URL,
      lingerMs: GATHER_MS,
      nats,
      logger,
      transaction: database.sqlTransaction,
      react: (events, sql) => reactToEvents(sql, config.BUSINESS_TIME_ZONE, events),
    });
  const consumers = { users: consume('users'), tasks: consume('tasks'), accounting: consume('accounting') };
  registerPipe(metrics, { consumers });
  for (const [name, consumer] of Object.entries(consumers)) {
    lifecycle.onStop(`consumer of ${name}`, consumer.stop);
    health.add(`consumer of ${name}`, consumer.check);
  }
  setPriority(PRIORITY);
});
