import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import type { Health } from '@ates/service-kit/health';
import { listenAt } from '@ates/service-kit/http-server';
import type { Logger } from '@ates/service-kit/logger';
import type { Registry } from '@ates/service-kit/metrics';
import type { GraphQLEndpoint } from './graphql-endpoint.ts';

/** Where GraphQL is served, over HTTP and WebSocket. */
export const GRAPHQL_PATH = '/graphql';
/** Where the single connection mode of graphql-sse is. */
const STREAMS_PATH = `${GRAPHQL_PATH}/stream`;

/** Answers a request, or leaves it to others: false. */
export type Door = (request: IncomingMessage, response: ServerResponse) => boolean;

/** A page for browsers. */
export interface Page {
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpServerParts {
  readonly health: Health;
  readonly metrics: Registry;
  /** Undefined as long as the gateway starts. */
  readonly graphql: () => GraphQLEndpoint | undefined;
  /** What a browser gets that opens a page; undefined where it gets none. */
  readonly landingPage: (request: IncomingMessage) => Page | undefined;
  /** Asked in turn before the rest. */
  readonly doors: readonly Door[];
  readonly logger: Logger;
}

export interface RunningHttpServer {
  readonly server: Server;
  readonly port: number;
  /** Stops accepting, lets answers under way finish, refuses what comes on open connections, and cuts after two seconds. */
  stop(): Promise<void>;
}

const DRAIN_MS = 2_000;
const LOOK_FOR_IDLE_MS = 25;
const KEEP_ALIVE_MS = 65_000;
/** For a request to arrive whole. */
const REQUEST_TIMEOUT_MS = 30_000;

/** Listens at `host:port` (port 0: a free one), and resolves when it does. @throws Error when the port is taken */
export async function startHttpServer(parts: HttpServerParts, host: string, port: number): Promise<RunningHttpServer> {
  const state = { isStopping: false };
  const options = { keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, noDelay: true, shouldUpgradeCallback: asksForWebSocket };
  const server = createServer(options, (request, response) => {
    if (state.isStopping) {
      response.shouldKeepAlive = false;
      return refuse(response, 503, { code: 'SERVICE_UNAVAILABLE', message: 'The gateway is shutting down: send this again, to another one' });
    }
    return routeSafely(parts, request, response);
  });
  return {
    server,
    port: await listenAt(server, host, port),
    stop: () =>
      new Promise((resolve) => {
        state.isStopping = true;
        const force = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
        // Clients keep connections open behind their last answer.
        const closeIdle = setInterval(() => server.closeIdleConnections(), LOOK_FOR_IDLE_MS);
        server.close(() => {
          clearTimeout(force);
          clearInterval(closeIdle);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

/** Whatever goes wrong costs the request, not the process. */
function routeSafely(parts: HttpServerParts, request: IncomingMessage, response: ServerResponse): void {
  try {
    route(parts, request, response);
  } catch (error) {
    parts.logger.error({ err: error }, 'a request failed for a reason that its sender is not told');
    if (response.headersSent) response.destroy();
    else refuse(response, 500, { code: 'INTERNAL', message: 'Something went wrong on our side: try again' });
  }
}

function route(parts: HttpServerParts, request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '/';
  const at = url.indexOf('?');
  const path = at === -1 ? url : url.slice(0, at);
  const search = at === -1 ? '' : url.slice(at + 1);
  if (path === GRAPHQL_PATH) return asksPage(request, search) ? page(parts, request, response) : started(parts, response)?.serve(request, response, search);
  if (path === STREAMS_PATH) return started(parts, response)?.serveStreams(request, response, search);
  if (parts.doors.some((door) => door(request, response))) return undefined;
  if (request.method === 'GET' || request.method === 'HEAD') {
    if (path === '/healthz') return sendJson(response, 200, { alive: true });
    if (path === '/readyz') return void parts.health.report().then((report) => sendJson(response, report.ready ? 200 : 503, report));
    if (path === '/metrics') {
      const { metrics } = parts;
      return void metrics.metrics().then(
        (body) => sendText(response, 200, { contentType: metrics.contentType, body }),
        () => refuse(response, 500, { code: 'INTERNAL', message: 'The metrics cannot be read: try again' }),
      );
    }
    const landing = parts.landingPage(request);
    if (landing !== undefined) return sendText(response, 200, landing);
  }
  return refuse(response, 404, { code: 'NOT_FOUND', message: `Nothing is served here: GraphQL is at ${GRAPHQL_PATH}` });
}

/** Other protocols that a client offers to go on with (h2c, by `curl --http2`) are not taken up: it goes on with HTTP/1.1. */
function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

/** A browser that opens the URL of the endpoint, not one that sends an operation. */
function asksPage({ method, headers }: IncomingMessage, search: string): boolean {
  return method === 'GET' && headers.accept?.includes('text/html') === true && !/(?:^|&)(?:query|extensions|documentId)=/.test(search);
}

function page(parts: HttpServerParts, request: IncomingMessage, response: ServerResponse): void {
  const landing = parts.landingPage(request);
  if (landing !== undefined) sendText(response, 200, landing);
  else refuse(response, 404, { code: 'NOT_FOUND', message: `There is no page here: POST GraphQL to ${GRAPHQL_PATH}` });
}

function started({ graphql }: HttpServerParts, response: ServerResponse): GraphQLEndpoint | undefined {
  const endpoint = graphql();
  if (endpoint === undefined) refuse(response, 503, { code: 'SERVICE_UNAVAILABLE', message: 'The gateway is starting: try again in a second' });
  return endpoint;
}

function refuse(response: ServerResponse, status: number, { code, message }: { readonly code: ErrorCode; readonly message: string }): void {
  sendJson(response, status, { errors: [{ message, extensions: { code } }] });
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  sendText(response, status, { contentType: 'application/json; charset=utf-8', body: JSON.stringify(body) });
}

function sendText(response: ServerResponse, status: number, { contentType, body, headers }: Page): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', ...headers });
  response.end(body);
}
