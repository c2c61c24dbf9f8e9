import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HTTP_STATUS, type ErrorCode } from '@ates/service-kit/domain-error';
import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace, traceOf, type Trace } from '@ates/service-kit/trace-context';
import { Agent, type Dispatcher } from 'undici';
import type { SubgraphEndpoint } from './config.ts';
import type { DoorSettings } from './option-values.ts';

interface DoorsParts {
  readonly doors: readonly DoorSettings[];
  /** Where a subgraph is; undefined until the supergraph is loaded. */
  readonly endpoint: (subgraph: string) => SubgraphEndpoint | undefined;
  readonly logger: Logger;
  readonly deadlines?: Partial<DoorDeadlines>;
}

export interface DoorDeadlines {
  /** Until the answer begins; 10 s if not given. */
  readonly answerMs: number;
  /** Until its last byte has been taken; else the door's own. */
  readonly wholeMs: number;
}

export interface Doors {
  /** Answers a request that is for one of the doors. @returns whether it was */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Ends the connections to the subgraphs. */
  stop(): Promise<void>;
}

const ANSWER_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 2_000;
const CONNECTIONS_MAX = 64;
const REQUEST_ID_HEADER = 'x-request-id';
/** What may be part of a path at a subgraph; anything else never leaves the gateway. */
const TOKEN = /^[A-Za-z0-9_-]{40,200}$/;
const FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** What a door answers of its own; a 403 is not among them: it would say that this gateway's secret is wrong. */
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
 * Serves `GET /<path>/<token>/<file>` of each door: the subgraph's document for whoever has the link, passed on as it comes and as
 * fast as it is taken. The subgraph checks the link. Nothing of the request but the two path segments is sent on, and the link is
 * not logged: it is a key.
 */
export function createDoors({ doors, endpoint, logger, deadlines }: DoorsParts): Doors {
  const agent = new Agent({
    connections: CONNECTIONS_MAX,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    // The deadlines below cover these.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const byPath = new Map(doors.map((door) => [door.path, door]));
  return {
    handle: (request, response) => {
      const segments = segmentsOf(request.url ?? '');
      const door = byPath.get(segments[0] ?? '');
      if (door === undefined || segments.length !== 3 || (request.method !== 'GET' && request.method !== 'HEAD')) return false;
      const trace = traceOf(headerOf(request, 'traceparent'));
      response.setHeaders(new Map(Object.entries({ ...HEADERS_ADDED, [REQUEST_ID_HEADER]: trace.traceId })));
      const [token, file] = [decoded(segments[1]), decoded(segments[2])];
      if (!TOKEN.test(token) || !FILE.test(file)) {
        refuse(response, 'NOT_FOUND', trace);
        return true;
      }
      const { answerMs = ANSWER_TIMEOUT_MS, wholeMs = door.seconds * 1_000 } = deadlines ?? {};
      const passing = { agent, door, subgraph: endpoint(door.subgraph), path: `${door.path}/${token}/${file}`, deadlines: { answerMs, wholeMs }, trace };
      void runInTrace(trace, () => passOn(passing, request, response, logger));
      return true;
    },
    stop: () => agent.destroy(),
  };
}

/** What stands between the slashes of a request's path, as it was sent. */
function segmentsOf(url: string): string[] {
  const path = url.split('?', 1)[0] ?? '';
  return path.startsWith('/') ? path.slice(1).split('/') : [];
}

/** What is no text when decoded stays as it is, and is refused for its percent signs. */
function decoded(segment = ''): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

interface Passing {
  readonly agent: Agent;
  readonly door: DoorSettings;
  readonly subgraph: SubgraphEndpoint | undefined;
  readonly path: string;
  readonly deadlines: DoorDeadlines;
  readonly trace: Trace;
}

async function passOn(passing: Passing, request: IncomingMessage, response: ServerResponse, logger: Logger): Promise<void> {
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
    response.statusCode = statusCode;
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

async function ask({ agent, door, subgraph, path, trace }: Passing, method: 'GET' | 'HEAD', signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  if (subgraph === undefined) throw new NoDocument('SERVICE_UNAVAILABLE', `the supergraph that says where ${door.subgraph} is has not been loaded, or names none`);
  // Beside its GraphQL.
  const { origin, pathname } = new URL(path, subgraph.url);
  const secret = subgraph.secret === undefined ? {} : { [GATEWAY_SECRET_HEADER]: subgraph.secret };
  return agent.request({ origin, path: pathname, method, headers: { ...secret, traceparent: trace.traceparent }, signal });
}

function fail(response: ServerResponse, error: unknown, { door, trace }: Pick<Passing, 'door' | 'trace'>, logger: Logger): void {
  const { code, reason } = error instanceof NoDocument ? { code: error.code, reason: error.message } : { code: 'SERVICE_UNAVAILABLE' as const, reason: codeOf(error) };
  logger.warn({ reason, door: door.path }, `a document ${response.headersSent ? 'ended before it was whole' : 'could not be passed on'}`);
  // Half a document must not look like a whole one.
  if (response.headersSent) response.destroy();
  else refuse(response, code, trace);
}

/** Of an error of the connection: its message could name addresses. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return `no answer (${code ?? name ?? 'unknown reason'})`;
}

function refuse(response: ServerResponse, code: ErrorCode, trace: Trace): void {
  const body = JSON.stringify({ errors: [{ message: messageFor(code, trace), extensions: { code } }] });
  for (const name of HEADERS_PASSED_ON) response.removeHeader(name);
  response.statusCode = HTTP_STATUS[code];
  response.setHeader('content-type', 'application/json; charset=utf-8').setHeader('content-length', Buffer.byteLength(body)).end(body);
}

function messageFor(code: ErrorCode, { traceId }: Trace): string {
  if (code === 'NOT_FOUND') return 'There is no document here: copy the link whole, or ask for a new one';
  if (code === 'SERVICE_UNAVAILABLE') return 'Documents cannot be had right now: open the link again in a few seconds, or ask for a new one';
  return `Something went wrong on our side; try again, and if it stays, report request ${traceId}`;
}
