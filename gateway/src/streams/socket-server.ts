import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import type { GatewayConfig } from '../config.ts';
import { ClientSocket, CloseCode, type ClientSocketParts } from './client-socket.ts';
import { createSweep, type Sweep } from './sweep.ts';

export interface SocketServer {
  /** Closes every socket with 1001, upon which clients connect again; those that don't answer within a second are cut. Others are refused with 503. */
  stop(): Promise<void>;
  /** Open sockets. */
  count(): number;
}

interface SocketServerParts extends ClientSocketParts {
  readonly server: Server;
  readonly path: string;
  readonly settings: Pick<GatewayConfig, 'maxSubscriptionsPerSocket' | 'maxSocketBufferBytes' | 'maxSocketPayloadBytes' | 'socketInitTimeoutMs'>;
  /** From where a socket is opened. */
  readonly originOf: (request: IncomingMessage) => ClientOrigin;
}

const PROTOCOL = 'graphql-transport-ws';
const PING_INTERVAL_MS = 12_000;
const INIT_LOOK_INTERVAL_MS = 250;
const STOP_GRACE_MS = 1_000;

/** What is carried for a client hangs at its socket, and the listeners are shared by all: functions of their own would cost more than all else. */
class ServedSocket extends WebSocket {
  client: ClientSocket | undefined;
  sweep: Sweep<ServedSocket> | undefined;
}

/**
 * Serves graphql-transport-ws on the WebSockets of an HTTP server at one path, and refuses upgrades at others with 404. Sockets
 * that don't answer pings are cut.
 */
export function serveSockets(parts: SocketServerParts): SocketServer {
  const { server, path, settings, originOf } = parts;
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: settings.maxSocketPayloadBytes,
    handleProtocols: (protocols) => (protocols.has(PROTOCOL) ? PROTOCOL : false),
    perMessageDeflate: false,
    WebSocket: ServedSocket,
  });
  const sweep = createSweep<ServedSocket>(PING_INTERVAL_MS, pingOrCut);
  const inits = watchInits(settings.socketInitTimeoutMs);
  let isStopping = false;
  const serve = (socket: ServedSocket, request: IncomingMessage): void => {
    const client = new ClientSocket(parts, { webSocket: socket, socket: request.socket, origin: originOf(request) });
    socket.client = client;
    socket.sweep = sweep;
    sweep.add(socket);
    socket.on('message', onMessage).on('pong', onPong).on('error', onError).on('close', onClose);
    if (socket.protocol !== PROTOCOL) return client.close(CloseCode.subprotocolNotAcceptable, `Subprotocol not acceptable: speak ${PROTOCOL}`);
    return inits.add(client);
  };
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isServed = request.url === path || request.url?.startsWith(`${path}?`) === true;
    if (!isServed || isStopping) return refuseUpgrade(socket, isServed ? '503 Service Unavailable' : '404 Not Found');
    return webSockets.handleUpgrade(request, socket, head, serve);
  });
  return {
    count: () => sweep.size,
    stop: async () => {
      isStopping = true;
      inits.stop();
      for (const socket of sweep) socket.client?.close(CloseCode.goingAway, 'The gateway stops: connect again');
      const deadline = Date.now() + STOP_GRACE_MS;
      while (sweep.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
      for (const socket of sweep) socket.terminate();
      sweep.stop();
    },
  };
}

/** Closes what says nothing. All wait equally long, so the oldest is due first; one timer looks, and only while somebody is waited for. */
function watchInits(timeoutMs: number): { add(client: ClientSocket): void; stop(): void } {
  let waiting: ClientSocket[] = [];
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const due = Date.now() - timeoutMs;
    for (const client of waiting) if (client.isNew && client.openedAt <= due) client.close(CloseCode.initTimeout, 'Connection initialisation timeout');
    waiting = waiting.filter((client) => client.isNew);
    timer = waiting.length === 0 ? undefined : setTimeout(look, INIT_LOOK_INTERVAL_MS).unref();
  };
  return {
    add: (client) => {
      waiting.push(client);
      timer ??= setTimeout(look, INIT_LOOK_INTERVAL_MS).unref();
    },
    stop: () => clearTimeout(timer),
  };
}

function pingOrCut(socket: ServedSocket): void {
  const { client } = socket;
  if (client?.isHeard !== true) return socket.terminate();
  client.isHeard = false;
  if (socket.readyState === WebSocket.OPEN) socket.ping();
  return undefined;
}

function onMessage(this: WebSocket, data: RawData): void {
  const { client } = this as ServedSocket;
  if (client === undefined) return;
  client.isHeard = true;
  try {
    client.receive((data as Buffer).toString());
  } catch (error) {
    client.failed(error);
  }
}

function onPong(this: WebSocket): void {
  const { client } = this as ServedSocket;
  if (client !== undefined) client.isHeard = true;
}

function onError(this: WebSocket, error: Error): void {
  (this as ServedSocket).client?.broken(error);
}

function onClose(this: WebSocket): void {
  const { client, sweep } = this as ServedSocket;
  sweep?.remove(this as ServedSocket);
  client?.closed();
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on('error', () => {});
  // Of an upgrade no server's timeout cuts a client that does not close its side.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}
