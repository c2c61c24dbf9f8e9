import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** A server that speaks bytes. */
export interface RawServer {
  readonly url: string;
  /** The connections that were made, in turn. */
  readonly sockets: Socket[];
  /** Requests that were read to their end, in turn, each with the number of its connection. */
  readonly requests: { readonly text: string; readonly connection: number }[];
  onConnection(listener: (socket: Socket) => void): void;
  stop(): Promise<void>;
}

/** @param onRequest called when a whole request, by its content-length, has come */
export async function startRawServer(onRequest: (socket: Socket, text: string, count: number) => void): Promise<RawServer> {
  const sockets: Socket[] = [];
  const requests: RawServer['requests'] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = sockets.push(socket) - 1;
    let text = '';
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let length = lengthOfRequest(text); text.length >= length; length = lengthOfRequest(text)) {
        const request = text.slice(0, length);
        text = text.slice(length);
        requests.push({ text: request, connection });
        onRequest(socket, request, requests.length);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`,
    sockets,
    requests,
    onConnection: (listener) => void server.on('connection', listener),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function lengthOfRequest(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return Number.POSITIVE_INFINITY;
  return headEnd + 4 + Number(/\r\ncontent-length: (\d+)\r\n/.exec(text.slice(0, headEnd + 2))?.[1] ?? 0);
}

/** What a simple server answers. */
export function answerOf(body: string, ...headers: string[]): string {
  return ['HTTP/1.1 200 OK', `content-length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n');
}
