import { setTimeout as delay } from 'node:timers/promises';
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
 * @param signal ends the waiting for a first connection; then this rejects with the signal's reason
 */
export async function connectNats(serverUrl: string, name: string, logger: Logger, signal?: AbortSignal): Promise<NatsConnection> {
  const connection = await firstConnection(serverUrl, name, logger, signal);
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' || status.type === 'reconnect') logger.warn({ nats: status.type }, 'the NATS connection changed');
      if (status.type === 'error') logger.warn({ err: status.error }, 'the NATS server reported an error');
    }
  })();
  return connection;
}

/** Calls `onChange` when the connection to the server is lost (false) and when it is back (true). */
export function watchConnection(connection: NatsConnection, onChange: (isConnected: boolean) => void): void {
  void (async () => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect' || type === 'reconnect') onChange(type === 'reconnect');
    }
  })();
}

async function firstConnection(serverUrl: string, name: string, logger: Logger, signal: AbortSignal | undefined): Promise<NatsConnection> {
  const { host, username, password } = new URL(serverUrl);
  const user = decodeURIComponent(username);
  for (let attempt = 1; ; attempt++) {
    try {
      const connection = await connect({
        servers: host,
        name,
        ...(user !== '' && { user, pass: decodeURIComponent(password), inboxPrefix: `_INBOX_${user}` }),
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_WAIT_MS,
        pingInterval: PING_INTERVAL_MS,
        ignoreAuthErrorAbort: true,
      });
      if (signal?.aborted === true) await connection.close();
      signal?.throwIfAborted();
      return connection;
    } catch (error) {
      signal?.throwIfAborted();
      if (attempt === 1) logger.warn({ err: error }, 'NATS cannot be reached yet, trying again until it can');
      await delay(RECONNECT_WAIT_MS, undefined, { signal });
    }
  }
}
