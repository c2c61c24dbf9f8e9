import { oddDocument, oddRequest, oddValue, VALID } from './gateway-documents.ts';
import type { Target } from './gateway-target.ts';
import { between, oneOf, type Random } from './random.ts';

const STREAM = '/graphql/stream';
const EVENTS = 'text/event-stream';
const MULTIPART = 'multipart/mixed;subscriptionSpec=1.0, application/json';
const KIND = 'SSE and multipart';

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

function written({ method, path, headers = {}, body }: Request): string {
  const text = body === undefined ? '' : JSON.stringify(body).toWellFormed();
  const all = Object.entries({ host: 'orchard.test', connection: 'close', ...(text !== '' && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }), ...headers });
  return `${method} ${path} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${text}`;
}

/** Streams of one operation, of odd requests, that are left at any time. */
export async function streamOddly(target: Target, random: Random): Promise<void> {
  const accept = oneOf(random, [EVENTS, MULTIPART, `${EVENTS}, ${MULTIPART}`, `${EVENTS};q=0.001`, `${EVENTS};charset=latin1`]);
  const body = random() < 0.5 ? oddRequest(random) : { query: random() < 0.4 ? oddDocument(random) : oneOf(random, [...VALID.slice(8, 10), 'subscription { ticked(every: 3000, times: 1000) }']) };
  const path = oneOf(random, ['/graphql', '/graphql', STREAM]);
  const method = oneOf(random, ['POST', 'POST', 'POST', 'GET', 'HEAD']);
  const search = new URLSearchParams({ query: typeof body['query'] === 'string' ? body['query'].toWellFormed().slice(0, 3_000) : '' }).toString();
  const request = method === 'POST' ? written({ method, path, headers: { accept }, body }) : written({ method, path: `${path}?${search}`, headers: { accept, 'apollo-require-preflight': '1' } });
  await target.attempt({ kind: KIND, send: [request], end: oneOf(random, ['look', 'look', 'half', 'abrupt'] as const), lookMs: between(random, 1, 80) });
}

/** The single connection mode with tokens, methods and bodies that don't belong together. */
export async function abuseChannel(target: Target, random: Random): Promise<void> {
  if (random() < 0.6) {
    const token = oneOf(random, ['', 'x', '__proto__', 'a'.repeat(32), '%00', '\xff', 'a'.repeat(3_000)]);
    const method = oneOf(random, ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS']);
    const path = oneOf(random, [STREAM, `${STREAM}?token=${encodeURIComponent(token)}`, `${STREAM}?token=${token}&token=y&operationId=%`, `${STREAM}?operationId=`]);
    const headers = { accept: oneOf(random, [EVENTS, '*/*', 'text/html', '']), ...(random() < 0.7 && { 'x-graphql-event-stream-token': token }) };
    // Without a token, a GET or POST here is a stream of its own: it may last.
    const body = method === 'POST' ? { ...oddRequest(random), extensions: { operationId: oddValue(random) } } : undefined;
    await target.attempt({ kind: KIND, send: [written({ method, path, headers, body })], end: 'look', lookMs: between(random, 5, 60) });
    return;
  }
  // A stream belongs to its address.
  const from = between(random, 0, 1_000);
  const reserved = await target.attempt({ kind: KIND, from, send: [written({ method: 'PUT', path: STREAM })], end: 'answer' });
  const token = /\r\n([\w-]{32})\r\n0\r\n/.exec(reserved)?.[1];
  // Many may have been reserved from this address.
  if (token !== undefined) await useChannel({ ...target, attempt: (attempt) => target.attempt({ ...attempt, from }) }, random, token);
}

async function useChannel(target: Target, random: Random, token: string): Promise<void> {
  const headers = { 'x-graphql-event-stream-token': token };
  const stream = target.attempt({ kind: KIND, send: [written({ method: 'GET', path: `${STREAM}?token=${token}`, headers: { accept: EVENTS } })], end: oneOf(random, ['look', 'abrupt', 'half'] as const), lookMs: between(random, 1, 120) });
  const uses: Promise<unknown>[] = [];
  for (let left = between(random, 1, 4); left > 0; left -= 1) {
    const id = oneOf(random, ['o1', 'o2', 'o3']);
    const body = { query: oneOf(random, [oddDocument(random), 'subscription { ticked(every: 3000, times: 1000) }', '{ __typename }']), extensions: { operationId: random() < 0.8 ? id : oddValue(random) } };
    const asked = oneOf(random, [written({ method: 'POST', path: STREAM, headers, body }), written({ method: 'POST', path: STREAM, headers, body }), written({ method: 'DELETE', path: `${STREAM}?operationId=${id}`, headers }), written({ method: 'GET', path: STREAM, headers: { ...headers, accept: EVENTS } }), written({ method: 'POST', path: STREAM, headers, body: oddValue(random) })]);
    // The end of a body may come when its stream is over.
    const middle = Math.max(1, asked.length - between(random, 1, 40));
    const send = random() < 0.4 ? [asked.slice(0, middle), between(random, 1, 150), asked.slice(middle)] : [asked];
    uses.push(target.attempt({ kind: KIND, send, end: 'look', lookMs: between(random, 5, 60) }));
  }
  await Promise.all([stream, ...uses]);
}
