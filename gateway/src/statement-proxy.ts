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

interface StatementProxyParts {
  /** Where Accounting is; undefined until the supergraph is loaded. */
  readonly endpoint: () => SubgraphEndpoint | undefined;
  readonly logger: Logger;
  readonly deadlines?: StatementDeadlines;
}

export interface StatementDeadlines {
  /** Until the answer begins. Default: 10 s, as of every fetch from a subgraph. */
  readonly answerMs: number;
  /** Until its last byte has been taken. Default: 5 minutes. */
  readonly wholeMs: number;
}

export interface StatementProxy {
  /** Ends the connections to Accounting. */
  stop(): Promise<void>;
}

/** A slow line may take its time; the connection to Accounting that it holds is not held for ever. */
const STATEMENT_TIMEOUT_MS = 5 * 60_000;
const DEFAULT_DEADLINES: StatementDeadlines = { answerMs: SUBGRAPH_TIMEOUT_MS, wholeMs: STATEMENT_TIMEOUT_MS };

/** What may be part of a path at Accounting; anything else never leaves the gateway. */
const TOKEN = /^[A-Za-z0-9_-]{40,200}$/;
const FILE = /^statement-\d{4}-\d{2}(?:-\d{2})?\.(?:csv|pdf)$/;
/** What the door for statements answers of its own; a 403 is not among them: it would say that this gateway's secret is wrong. */
const STATUSES_PASSED_ON: readonly number[] = [200, 404, 410, 500, 503];
const HEADERS_PASSED_ON = ['content-type', 'content-disposition', 'content-length'];
const HEADERS_ADDED = { 'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' };

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: 'There is no statement here: copy the link whole, or ask for a new one',
  SERVICE_UNAVAILABLE: 'Statements cannot be had right now: open the link again in a few seconds, or ask for a new one',
};

/** Why Accounting's answer is not passed on; the message is for the log and has no link in it. */
class NoStatement extends Error {
  override readonly name = 'NoStatement';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, reason: string) {
    super(reason);
    this.code = code;
  }
}

/**
 * Adds `GET /statements/<token>/<file>` to an application, in front of what catches everything: Accounting's document for whoever has the
 * link, passed on as it comes and as fast as it is taken. Accounting checks the link. Nothing of the request but the two path segments is
 * sent on, and the link is not logged: it is a key.
 */
export function serveStatementProxy(app: Express, { endpoint, logger, deadlines = DEFAULT_DEADLINES }: StatementProxyParts): StatementProxy {
  const agent = new Agent({
    connections: SUBGRAPH_CONNECTIONS_MAX,
    connect: { timeout: SUBGRAPH_CONNECT_TIMEOUT_MS },
    // The deadlines below cover these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  app.get('/statements/:token/:file', (request, response) => {
    const trace = traceOf(request.header('traceparent'));
    response.setHeaders(new Map(Object.entries({ ...HEADERS_ADDED, [REQUEST_ID_HEADER]: trace.traceId })));
    const { token, file } = request.params;
    if (!TOKEN.test(token) || !FILE.test(file)) return refuse(response, 'NOT_FOUND', trace);
    const passing = { agent, accounting: endpoint(), path: `statements/${token}/${file}`, deadlines, trace };
    return void runInTrace(trace, () => passOn(passing, request, response, logger));
  });
  return { stop: () => agent.destroy() };
}

interface Passing {
  readonly agent: Agent;
  readonly accounting: SubgraphEndpoint | undefined;
  readonly path: string;
  readonly deadlines: StatementDeadlines;
  readonly trace: Trace;
}

async function passOn(passing: Passing, request: Request, response: Response, logger: Logger): Promise<void> {
  const stopped = new AbortController();
  const stopAfter = (ms: number, what: string) => setTimeout(() => stopped.abort(new NoStatement('SERVICE_UNAVAILABLE', `${what} within ${ms} ms`)), ms);
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
      throw new NoStatement('INTERNAL', `the answer cannot be used (HTTP ${statusCode}); a 403 is of another secret than the gateway's`);
    }
    response.status(statusCode);
    for (const name of HEADERS_PASSED_ON) if (typeof headers[name] === 'string') response.setHeader(name, headers[name]);
    document = body;
    await pipeline(body, response, { signal: stopped.signal });
  } catch (error) {
    // Whoever closes the window is no failure.
    if (!left) fail(response, stopped.signal.reason instanceof NoStatement ? stopped.signal.reason : error, passing.trace, logger);
  } finally {
    clearTimeout(beginning);
    clearTimeout(whole);
  }
}

function ask({ agent, accounting, path, trace }: Passing, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  if (accounting === undefined) throw new NoStatement('SERVICE_UNAVAILABLE', 'the supergraph that says where Accounting is has not been loaded, or names none');
  // Beside its /graphql.
  const { origin, pathname } = new URL(path, accounting.url);
  return agent.request({ origin, path: pathname, method, headers: { [GATEWAY_SECRET_HEADER]: accounting.secret, traceparent: trace.traceparent }, signal });
}

function fail(response: Response, error: unknown, trace: Trace, logger: Logger): void {
  const { code, reason } = error instanceof NoStatement ? { code: error.code, reason: error.message } : { code: 'SERVICE_UNAVAILABLE' as const, reason: codeOf(error) };
  logger.warn({ reason }, response.headersSent ? 'a statement ended before it was whole' : 'a statement could not be passed on');
  // Half a statement must not look like a whole one.
  if (response.headersSent) response.destroy();
  else refuse(response, code, trace);
}

/** Of an error of the connection: its message could name addresses. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return `no answer (${code ?? name ?? 'unknown reason'})`;
}

function refuse(response: Response, code: ErrorCode, trace: Trace): void {
  const message = MESSAGES[code] ?? `Something went wrong on our side; try again, and if it stays, report request ${trace.traceId}`;
  response.status(HTTP_STATUS[code]).json({ errors: [{ message, extensions: { code } }] });
}
