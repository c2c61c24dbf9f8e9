import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { CloseCode, handleProtocols, type Server as ProtocolServer } from 'graphql-ws';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import { originOf } from './client-address.ts';
import { SOCKET_PAYLOAD_MAX_BYTES } from './limits.ts';

/** What the protocol's hooks find about a socket in `context.extra`. */
export interface ClientSocket {
  readonly isOpen: () => boolean;
  /** From where the socket was opened. */
  readonly client: ClientOrigin;
  /** Closes with a code and a reason, shortened to what a close frame holds. */
  close(code: number, reason: string): void;
}

export interface ClientSockets {
  /** Closes every socket with 1001; those that don't answer within a second are cut. */
  stop(): Promise<void>;
}

interface ClientSocketsParts {
  readonly server: Server;
  readonly path: string;
  readonly protocol: ProtocolServer<ClientSocket>;
  /** How many proxies of ours every request passes. */
  readonly trustedProxies: number;
  readonly logger: Logger;
}

const PING_INTERVAL_MS = 12_000;
const STOP_GRACE_MS = 1_000;
/** RFC 6455, 5.5: a control frame holds 125 bytes, two of them the code. */
const CLOSE_REASON_MAX_BYTES = 123;
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/**
 * Carries the graphql-transport-ws protocol over the WebSockets of an HTTP server at one path. Sockets that don't answer
 * pings are cut. A hook that throws a DomainError closes its socket with 4403 and the code as the reason's first word
 * (SERVICE_UNAVAILABLE with 1013, so that clients come again); any other error is logged and closes it with 4500.
 */
export function serveClientSockets({ server, path, protocol, trustedProxies, logger }: ClientSocketsParts): ClientSockets {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: SOCKET_PAYLOAD_MAX_BYTES, handleProtocols, perMessageDeflate: false });
  let stopping = false;
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isServed = request.url === path || request.url?.startsWith(`${path}?`) === true;
    if (!isServed || stopping) return refuseUpgrade(socket, stopping ? '503 Service Unavailable' : '404 Not Found');
    return sockets.handleUpgrade(request, socket, head, (webSocket) => serve(webSocket, originOf(request, trustedProxies), protocol, logger));
  });
  return {
    stop: async () => {
      stopping = true;
      for (const client of sockets.clients) client.close(GOING_AWAY, 'Going away');
      const cut = setTimeout(() => {
        for (const client of sockets.clients) client.terminate();
      }, STOP_GRACE_MS);
      await new Promise<void>((resolve) => sockets.close(() => resolve()));
      clearTimeout(cut);
    },
  };
}

function serve(webSocket: WebSocket, client: ClientOrigin, protocol: ProtocolServer<ClientSocket>, logger: Logger): void {
  const close = (code: number, reason: string): void => webSocket.close(code, shortened(reason));
  const closeFor = (error: unknown): void => {
    if (error instanceof DomainError) {
      const code = error.code === 'SERVICE_UNAVAILABLE' ? TRY_AGAIN_LATER : CloseCode.Forbidden;
      logger.info({ code: error.code, message: error.message }, 'a socket was refused');
      return close(code, `${error.code}: ${error.message}`);
    }
    logger.error({ err: error }, 'a socket failed for a reason that its client is not told');
    return close(CloseCode.InternalServerError, 'INTERNAL: something went wrong on our side');
  };
  const closed = protocol.opened(
    {
      protocol: webSocket.protocol,
      // Resolves when the system has taken the message: so a slow client holds up its own subscriptions, not the memory.
      send: (data) => new Promise((resolve) => (webSocket.readyState === WebSocket.OPEN ? webSocket.send(data, () => resolve()) : resolve())),
      close,
      onMessage: (handle) => {
        webSocket.on('message', (data) => {
          handle(textOf(data)).catch(closeFor);
        });
      },
    },
    { isOpen: () => webSocket.readyState === WebSocket.OPEN, client, close },
  );
  const stopPinging = cutWhenSilent(webSocket);
  // A message that is too large or no WebSocket frame: ws closes with the code for that.
  webSocket.on('error', (error) => logger.info({ reason: (error as { code?: string }).code ?? error.message }, 'a socket broke the protocol'));
  webSocket.once('close', (code, reason) => {
    stopPinging();
    closed(code, String(reason)).catch((error: unknown) => logger.error({ err: error }, 'a socket could not be cleaned up'));
  });
}

function cutWhenSilent(webSocket: WebSocket): () => void {
  let answered = true;
  webSocket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (!answered) return webSocket.terminate();
    answered = false;
    return webSocket.ping();
  }, PING_INTERVAL_MS);
  return () => clearInterval(timer);
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return data instanceof ArrayBuffer ? Buffer.from(data).toString() : data.toString();
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

function shortened(reason: string): string {
  const bytes = Buffer.from(reason);
  // A character that was cut in two is left out.
  return bytes.length <= CLOSE_REASON_MAX_BYTES ? reason : bytes.subarray(0, CLOSE_REASON_MAX_BYTES).toString().replace(/\uFFFD$/, '');
}
