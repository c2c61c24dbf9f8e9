import { createLogger } from '@ates/service-kit/logger';
import { connectNats } from '@ates/service-kit/nats';
import { runService } from '@ates/service-kit/run-service';
import { startRelay } from '@ates/shared-events/outbox-relay';

/** The relay of Tasks' outbox in a process of its own, which tells its parent each moment whether it leads. */
const TELL_MS = 100;
const { DATABASE_URL = '', NATS_URL = '', LOG_LEVEL = 'warn' } = process.env;
const logger = createLogger('relay', LOG_LEVEL);

runService(logger, async (lifecycle) => {
  const nats = await connectNats(NATS_URL, 'tasks', logger);
  lifecycle.onStop('nats', () => nats.drain());
  const relay = startRelay({ producer: 'tasks', databaseUrl: DATABASE_URL, nats, logger });
  lifecycle.onStop('outbox relay', relay.stop);
  const telling = setInterval(() => process.connected && process.send?.(relay.facts()), TELL_MS);
  lifecycle.onStop('telling', () => clearInterval(telling));
});
