import type { NatsConnection } from '@nats-io/transport-node';

/** Whether a connection to NATS is up. What was asked over a link that broke is never answered, so it is not worth waiting for. */
export interface NatsLink {
  readonly isUp: boolean;
}

/** Follows the connection until the signal aborts. */
export function watchLink(nats: NatsConnection, stopped: AbortSignal, onChange: (isUp: boolean) => void): NatsLink {
  const link = { isUp: true };
  void (async () => {
    for await (const { type } of nats.status()) {
      if (stopped.aborted) return;
      if (type !== 'disconnect' && type !== 'reconnect') continue;
      link.isUp = type === 'reconnect';
      onChange(link.isUp);
    }
  })();
  return link;
}
