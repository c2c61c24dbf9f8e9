import type { Socket } from 'node:net';
import { afterEach } from '@jest/globals';
import { createDeadlines } from '../../src/fetch-deadlines.ts';
import type { HttpOutcome } from '../../src/http-post.ts';
import { createHttpPool, type HttpPool, type HttpPoolSettings } from '../../src/subgraph-http/http-pool.ts';
import type { Cancellation } from '../../src/operation-context.ts';
import { startRawServer, type RawServer } from './raw-server.ts';

const DEADLINE_MS = 10_000;
/** Run after each test, the last one first. */
export const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

export const serve = async (onRequest: (socket: Socket, text: string, count: number) => void): Promise<RawServer> => {
  const server = await startRawServer(onRequest);
  cleanUps.push(() => server.stop());
  return server;
};
export const poolTo = (url: string, settings: Partial<HttpPoolSettings> = {}): HttpPool => {
  const pool = createHttpPool({ url, headers: ['content-type', 'application/json'], connections: 4, ...settings });
  cleanUps.push(() => pool.destroy());
  return pool;
};

export interface Asked {
  body?: string;
  headers?: string[];
  retryOnce?: boolean;
  deadlineMs?: number;
  cancellation?: Cancellation;
}
export const never = (): Cancellation => ({ isCancelled: false, running: new Set() });
export const ask = (pool: HttpPool, { body = '{}', headers = [], retryOnce = true, deadlineMs = DEADLINE_MS, cancellation = never() }: Asked = {}): Promise<HttpOutcome> =>
  new Promise((resolve) => pool.post({ headers, body, retryOnce, deadlines: createDeadlines(deadlineMs), cancellation }, resolve));
export const answered = (body: string, status = 200) => ({ status, body });
