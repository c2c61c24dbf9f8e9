import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Logger } from './logger.ts';

export type { NatsConnection };

const RECONNECT_WAIT_MS = 250;
const PING_INTERVAL_MS = 5_000;

/**
 * Connects to NATS and stays connected: waits for a server that is not up yet and comes back after every loss.
 * Replies come to `_INBOX_<user>.>`, the one inbox that the server lets this user listen to.
 * @param serverUrl `nats://user:password@host:port`
 * @param name how the connection shows in the server's monitoring
 */
export async function connectNats(serverUrl: string, name: string, logger: Logger): Promise<NatsConnection> {
  const { host, username, password } = new URL(serverUrl);
  const user = decodeURIComponent(username);
  const connection = await connect({
    servers: host,
    name,
    ...(user !== '' && { user, pass: decodeURIComponent(password), inboxPrefix: `_INBOX_${user}` }),
    waitOnFirstConnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    pingInterval: PING_INTERVAL_MS,
    ignoreAuthErrorAbort: true,
  });
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'reconnect') logger.warn({ nats: status.type }, 'the NATS connection changed');
      if (status.type === 'error') logger.warn({ err: status.error }, 'the NATS server reported an error');
    }
  })();
  return connection;
}
