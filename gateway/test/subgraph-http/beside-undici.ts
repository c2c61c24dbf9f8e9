import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { Pool, type Dispatcher } from 'undici';
import { createDeadlines } from '../../src/fetch-deadlines.ts';
import type { HttpOutcome } from '../../src/http-post.ts';
import { createHttpPool } from '../../src/subgraph-http/http-pool.ts';
import { createDraw, drawCuts, drawResponse } from './drawn-responses.ts';

/** One response, given to both clients over connections of their own. */
export interface ComparedResponse {
  readonly bytes: string;
  readonly own: HttpOutcome;
  readonly undici: HttpOutcome;
}

export interface Comparison {
  compare(number: number): Promise<ComparedResponse>;
  stop(): Promise<void>;
}

const DEADLINE_MS = 5_000;

/** Draws responses from a seed and sends each, cut at the same places, to both clients, then ends the connection. */
export async function startComparison(seed: number): Promise<Comparison> {
  let pieces: Buffer[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => void sendPieces(socket, pieces));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  return {
    compare: async (number) => {
      const draw = createDraw(seed + number);
      const bytes = drawResponse(draw);
      const cuts = drawCuts(bytes.length, draw);
      pieces = [...cuts, bytes.length].map((end, index) => Buffer.from(bytes.slice(cuts[index - 1] ?? 0, end), 'latin1')).filter(({ length }) => length > 0);
      return { bytes, own: await askOwn(url), undici: await askUndici(url) };
    },
    stop: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

async function sendPieces(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await setImmediate();
    await setImmediate();
  }
  socket.end();
}

async function askOwn(url: string): Promise<HttpOutcome> {
  const pool = createHttpPool({ url, headers: [], connections: 1 });
  const limits = { deadlines: createDeadlines(DEADLINE_MS), cancellation: { isCancelled: false, running: new Set<{ abort(): void }>() }, retryOnce: false };
  const outcome = await new Promise<HttpOutcome>((resolve) => pool.post({ ...limits, headers: [], body: '{}' }, resolve));
  pool.destroy();
  return outcome;
}

async function askUndici(url: string): Promise<HttpOutcome> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections: 1, pipelining: 1, allowH2: false, headersTimeout: DEADLINE_MS, bodyTimeout: DEADLINE_MS });
  const outcome = await new Promise<HttpOutcome>((resolve) => {
    const chunks: Buffer[] = [];
    let status = 0;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => {},
      onResponseStart: (_controller, statusCode) => void (status = statusCode),
      onResponseData: (_controller, chunk) => void chunks.push(chunk),
      onResponseEnd: () => resolve({ status, body: Buffer.concat(chunks).toString() }),
      onResponseError: (_controller, error) => resolve({ problem: `${error.name}: ${error.message}` }),
    };
    pool.dispatch({ path: pathname, method: 'POST', headers: [], body: '{}' }, handler);
  });
  await pool.destroy();
  return outcome;
}

/** Where this client may answer otherwise than undici; everything else is a fault. */
export function judge({ bytes, own, undici }: ComparedResponse): 'both answer' | 'both refuse' | 'stricter' | 'skips 100 (Continue)' | 'FAULT' {
  if ('problem' in own) return 'problem' in undici ? 'both refuse' : 'stricter';
  if (!('problem' in undici)) return own.status === undici.status && own.body === undici.body ? 'both answer' : 'FAULT';
  // undici takes it for an error; RFC 9110 §15.2.1 has it skipped.
  return /^(?:HTTP\/1\.[01] 1\d\d [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n)*HTTP\/1\.[01] 100 /.test(bytes) ? 'skips 100 (Continue)' : 'FAULT';
}
