import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
import { startConsumer } from '@ates/shared-events/event-consumer';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { MIGRATIONS } from '../migrations/all.ts';
import { readAccountingConfig } from './config.ts';
import { createLiveBalances, type LiveBalances } from './live-balance.ts';
import { reactToTasks, reactToUsers } from './reactions.ts';
import { accountingContext } from './accounting-context.ts';
import { accountingResolvers } from './resolvers.ts';
import { serveStatements } from './statement-door.ts';
import { statementLinkKey } from './statement-links.ts';
import { startRobots, type Robots } from './robots.ts';

const config = readAccountingConfig();
const logger = createLogger('accounting', config.LOG_LEVEL);
const clock = () => new Date();
const timeZone = config.BUSINESS_TIME_ZONE;
/** Who watches a balance hears of it at once; its events have no one waiting and leave the cores to that for a moment. */
const GATHER_MS = 10;

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('accounting');
  lifecycle.onStop('traces', (await startTracing({ service: 'accounting', logger, metrics })).stop);
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [],
    migrations: MIGRATIONS,
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  const live = createLiveBalances(logger);
  const robots = startRobots({ database, live, config, clock, metrics, logger }, lifecycle);
  const linkKey = statementLinkKey(config.GATEWAY_SECRET);
  const app = createHttpApp(health, metrics);
  serveStatements(app, { sql: database.sql, gatewaySecret: config.GATEWAY_SECRET, key: linkKey, clock, logger });
  const services = { database, live, linkKey, timeZone, clock, currentDay: () => dateIn(database.sql, timeZone, clock()), closeNow: robots.closeNow };
  health.add('nats', () => 'is not connected yet');
  const connecting = connectNats(config.NATS_URL, 'accounting', logger);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', revocations.stop);
  registerRevocations(metrics, revocations, health);
  const server = await startSubgraphServer({
    app,
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: accountingResolvers(services),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer) => accountingContext(services, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));
  live.connect(nats);
  const limits = { maxAgeMs: config.OUTBOX_MAX_AGE_MS, keepDays: config.OUTBOX_KEEP_DAYS };
  const relay = startRelay({ producer: 'accounting', databaseUrl: config.DATABASE_URL, nats, logger, lingerMs: GATHER_MS, ...limits });
  lifecycle.onStop('outbox relay', relay.stop);
  health.add('outbox relay', relay.check);

  const consumers = startConsumers({ database, live, robots, nats });
  registerPipe(metrics, { relay, consumers });
  for (const [name, consumer] of Object.entries(consumers)) {
    lifecycle.onStop(`consumer of ${name}`, consumer.stop);
    health.add(`consumer of ${name}`, consumer.check);
  }
});

interface Reacting {
  readonly database: Database;
  readonly live: LiveBalances;
  readonly robots: Robots;
  readonly nats: NatsConnection;
}

/** Whose events Accounting takes, and what it does about them. */
function startConsumers({ database, live, robots, nats }: Reacting) {
  const rules = { clock, timeZone, random: (min: number, max: number) => randomInt(min, max + 1) };
  const pipe = { service: 'accounting', databaseUrl: config.DATABASE_URL, nats, logger, transaction: database.sqlTransaction, traceBatch };
  const users = startConsumer({ ...pipe, producer: 'users', react: (events, sql) => reactToUsers(sql, events) });
  const tasks = startConsumer({
    ...pipe,
    producer: 'tasks',
    react: async (events, sql) => {
      const { posted, mayClose } = await reactToTasks(rules, sql, events);
      return () => {
        live.announce(posted);
        if (posted.length > 0) robots.sealNow();
        if (mayClose) robots.closeNow();
      };
    },
  });
  return { users, tasks };
}
