import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
import { startTracing } from '@ates/service-kit/tracing';
import { traceBatch } from '@ates/service-kit/tracing-batches';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { startConsumer } from '@ates/shared-events/event-consumer';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { MIGRATIONS } from '../migrations/all.ts';
import { startDayRobot } from './day-robot.ts';
import { readTasksConfig } from './config.ts';
import { createLiveTasks } from './live-tasks.ts';
import { reactToAccounting, reactToUsers } from './reactions.ts';
import { tasksContext, tasksResolvers } from './resolvers.ts';

const config = readTasksConfig();
const logger = createLogger('tasks', config.LOG_LEVEL);
const clock = () => new Date();
const timeZone = config.BUSINESS_TIME_ZONE;

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('tasks');
  lifecycle.onStop('traces', (await startTracing({ service: 'tasks', logger, metrics })).stop);
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [],
    migrations: MIGRATIONS,
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  // node:crypto draws from the system's secure source, without the bias of a remainder.
  const rules = { timeZone, clock, random: (limit: number) => randomInt(limit), logger };
  const live = createLiveTasks(logger);
  const dayRobot = await startDayRobot({ database, timeZone, clock, logger });
  lifecycle.onStop('day robot', dayRobot.stop);

  health.add('nats', () => 'is not connected yet');
  const connecting = connectNats(config.NATS_URL, 'tasks', logger);
  const revocations = followRevocations({ nats: connecting, logger });
  lifecycle.onStop('revocations', revocations.stop);
  registerRevocations(metrics, revocations, health);
  const server = await startSubgraphServer({
    app: createHttpApp(health, metrics),
    host: config.HOST,
    port: config.PORT,
    typeDefs: readFileSync(new URL('../schema.graphql', import.meta.url), 'utf8'),
    resolvers: tasksResolvers({ database, ...rules, live }),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer) => tasksContext(database, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));
  live.connect(nats);
  const limits = { maxAgeMs: config.OUTBOX_MAX_AGE_MS, keepDays: config.OUTBOX_KEEP_DAYS };
  const relay = startRelay({ producer: 'tasks', databaseUrl: config.DATABASE_URL, nats, logger, ...limits });
  lifecycle.onStop('outbox relay', relay.stop);
  health.add('outbox relay', relay.check);

  const pipe = { service: 'tasks', databaseUrl: config.DATABASE_URL, nats, logger, transaction: database.sqlTransaction, traceBatch };
  const users = startConsumer({ ...pipe, producer: 'users', react: (events, sql) => reactToUsers(rules, sql, events) });
  const lookAfter = (mayEnd: boolean) => (mayEnd ? dayRobot.look : undefined);
  const accounting = startConsumer({ ...pipe, producer: 'accounting', about: ['task', 'day'], react: async (events, sql) => lookAfter(await reactToAccounting(rules, sql, events)) });
  const consumers = { users, accounting };
  registerPipe(metrics, { relay, consumers });
  for (const [name, consumer] of Object.entries(consumers)) {
    lifecycle.onStop(`consumer of ${name}`, consumer.stop);
    health.add(`consumer of ${name}`, consumer.check);
  }
});
