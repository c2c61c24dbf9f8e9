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
import { createAuthenticator } from '@ates/service-kit/viewer';
import { startConsumer } from '@ates/shared-events/event-consumer';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { registerPipe } from '@ates/shared-events/pipe-metrics';
import { Migration20261120Tasks } from '../migrations/2026-11-20-tasks.ts';
import { Migration20261121Pipe } from '../migrations/2026-11-21-pipe.ts';
import { startDayRobot } from './day-robot.ts';
import { readTasksConfig } from './config.ts';
import { reactToAccounting, reactToUsers } from './reactions.ts';
import { tasksContext, tasksResolvers } from './resolvers.ts';
import { createTaskCommands } from './task-commands.ts';
import { TaskEntity } from './task.entity.ts';

const config = readTasksConfig();
const logger = createLogger('tasks', config.LOG_LEVEL);
const clock = () => new Date();
const timeZone = config.BUSINESS_TIME_ZONE;

runService(logger, async (lifecycle) => {
  const health = createHealth();
  const metrics = createMetrics('tasks');
  const database = await openDatabase({
    url: config.DATABASE_URL,
    ownerUrl: config.OWNER_DATABASE_URL,
    entities: [TaskEntity],
    migrations: [Migration20261120Tasks, Migration20261121Pipe],
    logger,
  });
  lifecycle.onStop('database', database.close);
  health.add('database', database.check);

  const rules = { timeZone, clock, random: (limit: number) => randomInt(limit) };
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
    resolvers: tasksResolvers(database, createTaskCommands({ database, ...rules })),
    gatewaySecret: config.GATEWAY_SECRET,
    authenticator: createAuthenticator({ ...tokenTrust(config), revocations, logger }),
    createContext: (viewer) => tasksContext(database, viewer),
    logger,
  });
  lifecycle.onStop('server', server.stop);

  const nats = await connecting;
  lifecycle.onStop('nats', () => nats.drain());
  health.add('nats', () => (nats.isClosed() ? 'the connection is closed' : null));
  const limits = { maxAgeMs: config.OUTBOX_MAX_AGE_MS, keepDays: config.OUTBOX_KEEP_DAYS };
  const relay = startRelay({ producer: 'tasks', databaseUrl: config.DATABASE_URL, nats, logger, ...limits });
  lifecycle.onStop('outbox relay', relay.stop);
  health.add('outbox relay', relay.check);

  const pipe = { service: 'tasks', databaseUrl: config.DATABASE_URL, nats, logger, transaction: database.sqlTransaction };
  const users = startConsumer({ ...pipe, producer: 'users', react: (events, sql) => reactToUsers(rules, sql, events) });
  const accounting = startConsumer({ ...pipe, producer: 'accounting', about: 'task', react: (events, sql) => reactToAccounting(sql, events) });
  const consumers = { users, accounting };
  registerPipe(metrics, { relay, consumers });
  for (const [name, consumer] of Object.entries(consumers)) {
    lifecycle.onStop(`consumer of ${name}`, consumer.stop);
    health.add(`consumer of ${name}`, consumer.check);
  }
});
