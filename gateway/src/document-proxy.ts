import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HTTP_STATUS, type ErrorCode } from '@ates/service-kit/domain-error';
import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace, traceOf, type Trace } from '@ates/service-kit/trace-context';
import type { Express, Request, Response } from 'express';
import { Agent, type Dispatcher } from 'undici';
import type { SubgraphEndpoint } from './config.ts';
import { REQUEST_ID_HEADER } from './http-endpoint.ts';
import { SUBGRAPH_CONNECT_TIMEOUT_MS, SUBGRAPH_CONNECTIONS_MAX, SUBGRAPH_TIMEOUT_MS } from './limits.ts';

interface DocumentProxyParts {
  /** Where a subgraph is; undefined until the supergraph is loaded. */
  readonly endpoint: (subgraph: string) => SubgraphEndpoint | undefined;
  readonly logger: Logger;
  /** In place of the doors' own. */
  readonly deadlines?: DocumentDeadlines;
}

export interface DocumentDeadlines {
  /** Until the answer begins. */
  readonly answerMs: number;
  /** Until its last byte has been taken. */
  readonly wholeMs: number;
}

export interface DocumentProxy {
  /** Ends the connections to the subgraphs. */
  stop(): Promise<void>;
}

/** Documents of a kind, and the subgraph that gives them out. */
interface Door {
  /** The first segment of their paths, here and there. */
  readonly path: string;
  readonly subgraph: string;
  /** What may be the last segment; anything else never leaves the gateway. */
  readonly file: RegExp;
  readonly called: { readonly one: string; readonly many: string };
  /** A slow line may take its time; the connection to the subgraph that it holds is not held for ever. */
  readonly wholeMs: number;
}

const DOORS: readonly Door[] = [
  {
    path: 'statements',
    subgraph: 'accounting',
    file: /^statement-\d{4}-\d{2}(?:-\d{2})?\.(?:csv|pdf)$/,
    called: { one: 'a statement', many: 'Statements' },
    wholeMs: 5 * 60_000,
  },
  {
    path: 'exports',
    subgraph: 'analytics',
    file: /^audit-\d{4}-\d{2}-\d{2}-\d{4}-\d{2}-\d{2}\.csv$/,
    called: { one: 'an export', many: 'Exports' },
    // Hundreds of megabytes.
    wholeMs: 30 * 60_000,
  },
];

/** What may be part of a path at a subgraph; anything else never leaves the gateway. */
const TOKEN = /^[A-Za-z0-9_-]{40,200}$/;
/** What such a door answers of its own; a 403 is not among them: it would say that this gateway's secret is wrong. */
const STATUSES_PASSED_ON: readonly number[] = [200, 404, 410, 500, 503];
const HEADERS_PASSED_ON = ['content-type', 'content-disposition', 'content-length'];
const HEADERS_ADDED = { 'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };

/** Why a subgraph's answer is not passed on; the message is for the log and has no link in it. */
class NoDocument extends Error {
  override readonly name = 'NoDocument';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

/**
 * Adds `GET /statements/<token>/<file>` and the other doors to an application, in front of what catches everything: the subgraph's document for
 * whoever has the link, passed on as it comes and as fast as it is taken. The subgraph checks the link. Nothing of the request but the two path
 * segments is sent on, and the link is not logged: it is a key.
 */
export function serveDocumentProxy(app: Express, { endpoint, logger, deadlines }: DocumentProxyParts): DocumentProxy {
  const agent = new Agent({
    connections: SUBGRAPH_CONNECTIONS_MAX,
    connect: { timeout: SUBGRAPH_CONNECT_TIMEOUT_MS },
    // The deadlines below cover these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  for (const door of DOORS) {
    app.get(`/${door.path}/:token/:file`, (request: Request<{ token: string; file: string }>, response: Response) => {
      const trace = traceOf(request.header('traceparent'));
      response.setHeaders(new Map(Object.entries({ ...HEADERS_ADDED, [REQUEST_ID_HEADER]: trace.traceId })));
      const { token, file } = request.params;
      if (!TOKEN.test(token) || !door.file.test(file)) return refuse(response, 'NOT_FOUND', { door, trace });
      const passing = {
        agent,
        door,
        subgraph: endpoint(door.subgraph),
        path: `${door.path}/${token}/${file}`,
        deadlines: deadlines ?? { answerMs: SUBGRAPH_TIMEOUT_MS, wholeMs: door.wholeMs },
        trace,
      };
      return void runInTrace(trace, () => passOn(passing, request, response, logger));
    });
  }
  return { stop: () => agent.destroy() };
}

interface Passing {
  readonly agent: Agent;
  readonly door: Door;
  readonly subgraph: SubgraphEndpoint | undefined;
  readonly path: string;
  readonly deadlines: DocumentDeadlines;
  readonly trace: Trace;
}

async function passOn(passing: Passing, request: Pick<Request, 'method'>, response: Response, logger: Logger): Promise<void> {
  const stopped = new AbortController();
  const stopAfter = (ms: number, what: string) => setTimeout(() => stopped.abort(new NoDocument('SERVICE_UNAVAILABLE', `${what} within ${ms} ms`)), ms);
  const whole = stopAfter(passing.deadlines.wholeMs, 'not taken whole');
  const beginning = stopAfter(passing.deadlines.answerMs, 'no answer');
  let document: Readable | undefined;
  let left = false;
  response.once('close', () => {
    // It closes too when the document breaks off, or its time is up.
    left = !response.writableFinished && !stopped.signal.aborted && document?.errored == null;
    stopped.abort();
  });
  try {
    const { statusCode, headers, body } = await ask(passing, request.method === 'HEAD' ? 'HEAD' : 'GET', stopped.signal);
    clearTimeout(beginning);
    if (!STATUSES_PASSED_ON.includes(statusCode)) {
      await body.dump();
      throw new NoDocument('INTERNAL', `the answer cannot be used (HTTP ${statusCode}); a 403 is of another secret than the gateway's`);
    }
    response.status(statusCode);
    for (const name of HEADERS_PASSED_ON) if (typeof headers[name] === 'string') response.setHeader(name, headers[name]);
    document = body;
    await pipeline(body, response, { signal: stopped.signal });
  } catch (error) {
    // Whoever closes the window is no failure.
    if (!left) fail(response, stopped.signal.reason instanceof NoDocument ? stopped.signal.reason : error, passing, logger);
  } finally {
    clearTimeout(beginning);
    clearTimeout(whole);
  }
}

function ask({ agent, door, subgraph, path, trace }: Passing, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  if (subgraph === undefined) throw new NoDocument('SERVICE_UNAVAILABLE', `the supergraph that says where ${door.subgraph} is has not been loaded, or names none`);
  // Beside its /graphql.
  const { origin, pathname } = new URL(path, subgraph.url);
  return agent.request({ origin, path: pathname, method, headers: { [GATEWAY_SECRET_HEADER]: subgraph.secret, traceparent: trace.traceparent }, signal });
}

function fail(response: Response, error: unknown, { door, trace }: Pick<Passing, 'door' | 'trace'>, logger: Logger): void {
  const { code, reason } = error instanceof NoDocument ? { code: error.code, reason: error.message } : { code: 'SERVICE_UNAVAILABLE' as const, reason: codeOf(error) };
  logger.warn({ reason }, `${door.called.one} ${response.headersSent ? 'ended before it was whole' : 'could not be passed on'}`);
  // Half a document must not look like a whole one.
  if (response.headersSent) response.destroy();
  else refuse(response, code, { door, trace });
}

/** Of an error of the connection: its message could name addresses. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return `no answer (${code ?? name ?? 'unknown reason'})`;
}

function refuse(response: Response, code: ErrorCode, { door, trace }: Pick<Passing, 'door' | 'trace'>): void {
  response.status(HTTP_STATUS[code]).json({ errors: [{ message: messageFor(code, door, trace), extensions: { code } }] });
}

function messageFor(code: ErrorCode, { called }: Door, { traceId }: Trace): string {
  if (code === 'NOT_FOUND') return `There is no ${called.one.replace(/^an? /, '')} here: copy the link whole, or ask for a new one`;
  if (code === 'SERVICE_UNAVAILABLE') return `${called.many} cannot be had right now: open the link again in a few seconds, or ask for a new one`;
  return `Something went wrong on our side; try again, and if it stays, report request ${traceId}`;
}
