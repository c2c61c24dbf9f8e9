import { once } from 'node:events';
import { WebSocket } from 'ws';
import { eventually } from './eventually.ts';

/** A client's socket on which the protocol is spoken by hand. */
export interface RawSocket {
  readonly socket: WebSocket;
  // oxlint-disable-next-line no-explicit-any -- messages of many shapes, looked into by tests
  readonly messages: any[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  send(message: unknown): void;
  /** The first message that fits. */
  // oxlint-disable-next-line no-explicit-any -- as above
  message(fits: Record<string, unknown>): Promise<any>;
}

/** Opens a socket of the gateway at `url`; with `init`, connects it and waits for the acknowledgement. */
export async function openRawSocket(url: string, init?: unknown, protocols: string | string[] = 'graphql-transport-ws'): Promise<RawSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), protocols);
  const messages: Record<string, unknown>[] = [];
  socket.on('message', (data) => void messages.push(JSON.parse((data as Buffer).toString()) as Record<string, unknown>));
  const closed = once(socket, 'close').then(([code, reason]) => ({ code: code as number, reason: String(reason) }));
  await once(socket, 'open');
  const raw: RawSocket = {
    socket,
    messages,
    closed,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    message: (fits) =>
      eventually(`a message like ${JSON.stringify(fits)}`, () => messages.find((message) => Object.entries(fits).every(([name, value]) => message[name] === value))),
  };
  if (init !== undefined) {
    raw.send({ type: 'connection_init', payload: init });
    await raw.message({ type: 'connection_ack' });
  }
  return raw;
}
