import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dateIn } from '@ates/service-kit/calendar';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createHealth } from '@ates/service-kit/health';
import { createHttpApp } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { connectNats, type NatsConnection } from '@ates/service-kit/nats';
import { followRevocations, registerRevocations } from '@ates/service-kit/revocations';
import { runService } from '@ates/service-kit/run-service';
import { tokenTrust } from '@ates/service-kit/subgraph-env';
import { startSubgraphServer } from '@ates/service-kit/subgraph-server';
import { startTracing } from '@ates/service-kit/tracing';
import { traceBatch } from '@ates/service-kit/tracing-batches';
import { createAuthenticator } from '@ates/service-kit/viewer';
import type { Producer } from '@ates/shared-events/event';
import { startConsumer } from '@ates/shared-events/event-consumer';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { MIGRATIONS } from '../migrations/all.ts';
import { analyticsContext } from './analytics-context.ts';
import { registerReconciliation, startAnalyticsRobot } from './analytics-robot.ts';
import { serveAuditExports } from './audit-export.ts';
import { readAnalyticsConfig } from './config.ts';
import { readDays, type DayStats } from './day-stats.ts';
import { exportLinkKey } from './export-links.ts';
import { createLiveStats, type LiveStats } from './live-stats.ts';
import { reactToEvents } from './reactions.ts';
import { noteTimeZone } from './rebuild-model.ts';
import { analyticsResolvers } from './resolvers.ts';

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
  lifecycle.onStop('traces', (await startTracing({ service: 'analytics', logger, metrics })).stop);
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [],
    migrations: MIGRATIONS,
    logger,
  });
  lifecycle.onStop('database', database.close);
  await noteTimeZone(database.sql, config.BUSINESS_TIME_ZONE);
  health.add('database', database.check);

  const robot = startAnalyticsRobot({ database, clock, logger });
  lifecycle.onStop('robot', robot.stop);
  registerReconciliation(metrics, robot);
  const currentDay = () => dateIn(database.sql, config.BUSINESS_TIME_ZONE, clock());
  const live = createLiveStats({ currentDay, read: async (day) => (await readDays(database.sql, [day]))[0] as DayStats, logger });
  lifecycle.onStop('live stats', live.stop);
  const linkKey = exportLinkKey(config.GATEWAY_SECRET);
  const app = createHttpApp(health, metrics);
  serveAuditExports(app, { database, gatewaySecret: config.GATEWAY_SECRET, key: linkKey, clock, logger });
  const services = { database, live, currentDay, clock, linkKey };
  health.add('nats', () => 'is not connected yet');
  const connecting = connectNats(config.NATS_URL, 'analytics', logger);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', revocations.stop);
  registerRevocations(metrics, revocations, health);
  const server = await startSubgraphServer({
    app,
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: analyticsResolvers(services),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer) => analyticsContext(services, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));

  live.connect(nats);
  const consume = (producer: Producer) => consumerOf(producer, { database, live, nats });
  const consumers = { users: consume('users'), tasks: consume('tasks'), accounting: consume('accounting') };
  registerPipe(metrics, { consumers });
  for (const [name, consumer] of Object.entries(consumers)) {
    lifecycle.onStop(`consumer of ${name}`, consumer.stop);
    health.add(`consumer of ${name}`, consumer.check);
  }
  setPriority(PRIORITY);
});

/** What the service does with a producer's events. */
function consumerOf(producer: Producer, { database, live, nats }: { readonly database: Database; readonly live: LiveStats; readonly nats: NatsConnection }) {
  return startConsumer({
    producer,
    service: 'analytics',
    databaseUrl: config.DATABASE_URL,
    lingerMs: GATHER_MS,
    nats,
    logger,
    transaction: database.sqlTransaction,
    traceBatch,
    react: async (events, sql) => {
      const { days } = await reactToEvents(sql, config.BUSINESS_TIME_ZONE, events);
      return () => live.announce(days);
    },
  });
}
