import { connect, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { quantile } from '../ledger-figures.ts';
import { messageReader, type HttpMessage } from './http-messages.ts';
import { forgetPeaks, usageOf } from './processes.ts';
import { expectedData } from './shop.ts';

/** What is sent to a gateway, and for how long. */
export interface LoadOrder {
  /** Answers are compared with those that this one has given before, and these with the right data. */
  readonly gateway: string;
  readonly port: number;
  /** Of the gateway, and of what it talks to: whose processor time is counted. */
  readonly pids: { readonly gateway: number; readonly subgraphs: number };
  /** Sent in turn, over all connections. */
  readonly queries: readonly string[];
  /** `Authorization` values; sent in turn. */
  readonly tokens: readonly string[];
  readonly connections: number;
  /** Before it is measured, on the same connections. */
  readonly leadInMs: number;
  /** Either until so much time has passed or until so many requests are answered. */
  readonly until: { readonly ms: number } | { readonly requests: number };
}

/** Of the measured time alone. */
export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Answers that were not there, or not right. */
  readonly errors: number;
  /** The first of them, for people. */
  readonly firstError: string | null;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMsPerRequest: number;
  readonly peakBytes: number;
  /** How much of a core the load and the subgraphs took, 0 to 1: near 1 they were the limit, not the gateway. */
  readonly otherCore: number;
}

const OK = /^HTTP\/1\.1 200 /;
const ERROR_LENGTH_MAX = 600;
/** A slow gateway is given so much more time until it has answered once on each connection. */
const LEAD_IN_MAX_MS = 3_000;
const LONGER_MAX = 2;
const LOOK_AGAIN_MS = 4;
const DRAIN_MAX_MS = 15_000;
const REQUESTS_MAX_MS = 120_000;
/** Ways in which one gateway writes the same data. */
const FORMS_MAX = 8;

/** Answers that were found to be right, byte by byte, by gateway and query. */
const rightAnswers = new Map<string, Buffer[]>();

/** Whether an answer is right. @returns what is wrong with it, or null */
function problemOf(gateway: string, query: string, { head, body }: HttpMessage): string | null {
  const key = `${gateway} ${query}`;
  const known = rightAnswers.get(key) ?? [];
  if (known.some((bytes) => bytes.equals(body)) && OK.test(head)) return null;
  if (!OK.test(head)) return `${head.split('\r\n')[0]}: ${body.toString().slice(0, ERROR_LENGTH_MAX)}`;
  const { data, errors } = parsed(body);
  if (errors !== undefined) return JSON.stringify(errors).slice(0, ERROR_LENGTH_MAX);
  if (!isDeepStrictEqual(data, expectedData(query))) return `other data than expected: ${JSON.stringify(data).slice(0, ERROR_LENGTH_MAX)}`;
  rightAnswers.set(key, [Buffer.from(body), ...known].slice(0, FORMS_MAX));
  return null;
}

function parsed(body: Buffer): { readonly data?: unknown; readonly errors?: unknown } {
  try {
    return JSON.parse(body.toString()) as { data?: unknown; errors?: unknown };
  } catch {
    return { errors: `no JSON: ${body.toString().slice(0, ERROR_LENGTH_MAX)}` };
  }
}

/** What goes on while a load runs. */
interface Run {
  readonly order: LoadOrder;
  /** What comes before and after the token. */
  readonly requests: readonly (readonly [string, string])[];
  /** Undefined before it is measured. */
  latencies: number[] | undefined;
  sent: number;
  answered: number;
  errors: number;
  firstError: string | null;
  isOver: boolean;
}

/** Sends the load: each connection has one request under way, and sends the next one as soon as that is answered. */
export async function runLoad(order: LoadOrder): Promise<LoadResult> {
  const run: Run = { order, requests: order.queries.map(requestOf), latencies: undefined, sent: 0, answered: 0, errors: 0, firstError: null, isOver: false };
  const ownBeginning = order.leadInMs === 0 ? begin(run) : undefined;
  const sockets = await Promise.all(Array.from({ length: order.connections }, () => open(run)));
  for (const socket of sockets) exchange(run, socket);
  const beginning = ownBeginning ?? (await leadIn(run));
  await untilMeasured(run);
  const result = end(run, beginning);
  run.isOver = true;
  // What is under way would take the time of whoever is measured next.
  await until(() => run.answered >= run.sent, DRAIN_MAX_MS);
  for (const socket of sockets) socket.destroy();
  return result;
}

/** At least until each connection has had its answer: before that some work has been done and nothing is answered. */
async function leadIn(run: Run): Promise<Beginning> {
  await pause(run.order.leadInMs);
  await until(() => run.answered >= run.order.connections, LEAD_IN_MAX_MS);
  return begin(run);
}

async function untilMeasured(run: Run): Promise<void> {
  const wanted = run.order.until;
  if ('requests' in wanted) {
    await until(() => run.isOver || (run.latencies?.length ?? 0) >= wanted.requests, REQUESTS_MAX_MS);
    return;
  }
  await pause(wanted.ms);
  await until(() => run.isOver || (run.latencies?.length ?? 0) >= run.order.connections, wanted.ms * LONGER_MAX);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Looks again and again, for so long at most. */
async function until(isReached: () => boolean, maxMs: number): Promise<void> {
  const from = performance.now();
  while (!isReached() && performance.now() - from < maxMs) await pause(LOOK_AGAIN_MS);
}

interface Beginning {
  readonly at: number;
  readonly cpuMs: number;
  readonly otherCpuMs: number;
}

function begin(run: Run): Beginning {
  const { pids } = run.order;
  forgetPeaks(pids.gateway);
  run.latencies = [];
  run.errors = 0;
  run.firstError = null;
  return { at: performance.now(), cpuMs: usageOf(pids.gateway).cpuMs, otherCpuMs: otherCpuMs(run) };
}

function end(run: Run, { at, cpuMs, otherCpuMs: otherBefore }: Beginning): LoadResult {
  const passedMs = performance.now() - at;
  const usage = usageOf(run.order.pids.gateway);
  const latencies = run.latencies ?? [];
  const requests = latencies.length;
  return {
    requests,
    perSecond: (requests / passedMs) * 1_000,
    errors: run.errors,
    firstError: run.firstError,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuMsPerRequest: (usage.cpuMs - cpuMs) / requests,
    peakBytes: usage.peakBytes,
    otherCore: (otherCpuMs(run) - otherBefore) / passedMs,
  };
}

function otherCpuMs({ order }: Run): number {
  const { user, system } = process.cpuUsage();
  return usageOf(order.pids.subgraphs).cpuMs + (user + system) / 1_000;
}

function requestOf(query: string): readonly [beforeToken: string, afterToken: string] {
  const body = JSON.stringify({ query });
  const head = `POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\naccept: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
  return [`${head}\r\nauthorization: `, `\r\n\r\n${body}`];
}

function open({ order }: Run): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true }, () => {
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

function exchange(run: Run, socket: Socket): void {
  const { order } = run;
  let sentAt = 0;
  let query = '';
  const send = (): void => {
    if ('requests' in order.until && run.sent >= order.until.requests) return;
    const index = run.sent++;
    query = order.queries[index % order.queries.length] as string;
    const [before, after] = run.requests[index % order.queries.length] as readonly [string, string];
    sentAt = performance.now();
    socket.write(`${before}${order.tokens[index % order.tokens.length]}${after}`);
  };
  const onAnswer = (answer: HttpMessage): void => {
    const tookMs = performance.now() - sentAt;
    settle(run, problemOf(order.gateway, query, answer), tookMs);
    if (!run.isOver) send();
  };
  const onLost = (): void => {
    if (run.isOver) return;
    settle(run, 'the gateway has closed the connection', performance.now() - sentAt);
    run.isOver = true;
  };
  socket.on('data', messageReader(onAnswer));
  socket.on('error', () => {});
  socket.on('close', onLost);
  send();
}

function settle(run: Run, problem: string | null, tookMs: number): void {
  if (problem !== null) {
    run.errors += 1;
    run.firstError ??= problem;
  }
  run.answered += 1;
  run.latencies?.push(tookMs);
}
