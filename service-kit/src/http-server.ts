import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import type { Health } from './health.ts';
import type { Registry } from './metrics.ts';

/** An Express application that already answers `/healthz` (alive), `/readyz` (can work) and `/metrics` (Prometheus). */
export function createHttpApp(health: Health, metrics: Registry): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/healthz', (_request, response) => void response.json({ alive: true }));
  app.get('/readyz', async (_request, response) => {
    const report = await health.report();
    response.status(report.ready ? 200 : 503).json(report);
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.metrics());
  });
  return app;
}

export interface RunningHttpServer {
  readonly server: Server;
  readonly port: number;
  /** Stops accepting, lets answers under way finish, closes what is left after 1 s. */
  stop(): Promise<void>;
}

const DRAIN_MS = 1_000;
const KEEP_ALIVE_MS = 65_000;

/** Begins to listen at `host:port` (port 0: a free one). @returns the port, once it does. @throws the system's error, such as EADDRINUSE */
export async function listenAt(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Listens on `host:port` (port 0: a free one) and resolves when it does. */
export async function listen(app: RequestListener, host: string, port: number): Promise<RunningHttpServer> {
  const server = createServer(app);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.headersTimeout = KEEP_ALIVE_MS + 1_000;
  return {
    server,
    port: await listenAt(server, host, port),
    stop: () =>
      new Promise((resolve) => {
        const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
        server.close(() => {
          clearTimeout(force);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}
