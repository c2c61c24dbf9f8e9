import { oddDocument, oddRequest, oddValue, VALID } from './gateway-documents.ts';
import type { Attempt, Piece, Target } from './gateway-target.ts';
import { between, oneOf, type Random } from './random.ts';

/** A request that is put together by hand, for others to spoil. */
interface Draft {
  method: string;
  target: string;
  version: string;
  /** Names and values as they are written. */
  readonly headers: [name: string, value: string][];
  body: Buffer;
  /** How the body's end is told. */
  framing: 'length' | 'chunked' | 'none';
  /** What comes behind it on the connection. */
  after: Buffer | string;
  /** Whether the connection can still be told from one that should be answered. */
  isWhole: boolean;
}

type Spoil = (draft: Draft, random: Random) => void;

const JSON_TYPE = 'application/json';

/** Requests that are well-formed HTTP and wrong as GraphQL: each has to be answered. */
export async function askOddly(target: Target, random: Random): Promise<void> {
  const draft = newDraft(random);
  oneOf(random, SEMANTIC)(draft, random);
  if (random() < 0.3) oneOf(random, SEMANTIC)(draft, random);
  await target.attempt({ kind: 'GraphQL over HTTP', send: written(draft), end: 'answer' });
}

/** Requests that are wrong as HTTP. */
export async function breakHttp(target: Target, random: Random): Promise<void> {
  const draft = newDraft(random);
  for (let left = between(random, 1, 3); left > 0; left -= 1) oneOf(random, random() < 0.75 ? BROKEN : SEMANTIC)(draft, random);
  const end: Attempt['end'] = oneOf(random, ['look', 'look', 'half', 'abrupt'] as const);
  const pieces = random() < 0.15 ? slowly(written(draft), random) : random() < 0.15 ? cut(written(draft), random) : written(draft);
  await target.attempt({ kind: 'HTTP', send: pieces, end, lookMs: between(random, 1, 60) });
}

/** What is no HTTP at all, or several requests in one. */
export async function sendGarbage(target: Target, random: Random): Promise<void> {
  const send = oneOf<() => Piece[]>(random, [
    () => [bytes(random, between(random, 1, 2_000))],
    () => ['\r\n'.repeat(between(random, 1, 200)), ...written(newDraft(random))],
    () => ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', bytes(random, 200)],
    () => ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', bytes(random, 40)],
    () => Array.from({ length: between(random, 2, 20) }, () => Buffer.concat(written({ ...newDraft(random), isWhole: false }))),
    () => [...written({ ...newDraft(random), isWhole: false }), bytes(random, 50), ...written(newDraft(random))],
    () => ['GET '.repeat(between(random, 1, 500))],
    () => [`GET / HTTP/1.1\r\n${'x'.repeat(between(random, 100, 40_000))}`],
    () => ['PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n', ...written(newDraft(random))],
    () => [],
  ])();
  await target.attempt({ kind: 'garbage', send, end: oneOf(random, ['look', 'half', 'abrupt'] as const), lookMs: between(random, 1, 40) });
}

function newDraft(random: Random): Draft {
  const body = Buffer.from(JSON.stringify({ query: oneOf(random, VALID.slice(0, 6)), variables: { text: 'a', with: true } }));
  const headers: Draft['headers'] = [['host', 'orchard.test'], ['content-type', JSON_TYPE], ['accept', '*/*']];
  return { method: 'POST', target: '/graphql', version: 'HTTP/1.1', headers, body, framing: 'length', after: '', isWhole: true };
}

function written({ method, target, version, headers, body, framing, after, isWhole }: Draft): Buffer[] {
  const all = headers.map(([name, value]) => `${name}${name.endsWith(' ') ? '' : ':'} ${value}\r\n`);
  if (framing === 'length' && body.length > 0) all.push(`content-length: ${body.length}\r\n`);
  if (framing === 'chunked') all.push('transfer-encoding: chunked\r\n');
  if (isWhole) all.push('connection: close\r\n');
  const head = Buffer.from(`${method} ${target} ${version}\r\n${all.join('')}\r\n`, 'latin1');
  const content = framing === 'chunked' ? Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]) : body;
  return [head, content, Buffer.from(after)].filter(({ length }) => length > 0);
}

/** In a few pieces, with time between them. */
function slowly(buffers: readonly Buffer[], random: Random): Piece[] {
  const all = Buffer.concat(buffers);
  const [one, other] = [between(random, 0, all.length), between(random, 0, all.length)].toSorted((a, b) => a - b) as [number, number];
  return [all.subarray(0, one), between(random, 1, 30), all.subarray(one, other), between(random, 1, 30), all.subarray(other)];
}

function cut(buffers: readonly Buffer[], random: Random): Piece[] {
  const all = Buffer.concat(buffers);
  return [all.subarray(0, between(random, 1, all.length))];
}

function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => between(random, 0, 255)));
}

function header(draft: Draft, name: string, value: string): void {
  const at = draft.headers.findIndex(([known]) => known === name);
  if (at === -1) draft.headers.push([name, value]);
  else draft.headers[at] = [name, value];
}

const json = (draft: Draft, text: string): void => {
  draft.body = Buffer.from(text);
};

/** By GET, with what is written in the URL as it is. */
function byUrl(draft: Draft, search: string): void {
  Object.assign(draft, { method: 'GET', target: `/graphql?${search}`, body: Buffer.alloc(0) });
  if (draft.target.length > 12_000) draft.target = draft.target.slice(0, 12_000);
}

const SEMANTIC: readonly Spoil[] = [
  ...Array.from({ length: 8 }, (): Spoil => (draft, random) => json(draft, JSON.stringify(oddRequest(random)))),
  ...Array.from({ length: 4 }, (): Spoil => (draft, random) => json(draft, JSON.stringify({ query: oddDocument(random) }))),
  (draft, random) => json(draft, JSON.stringify(oddValue(random))),
  (draft, random) => json(draft, JSON.stringify(Array.from({ length: between(random, 0, 300) }, () => ({ query: '{ __typename }' })))),
  (draft, random) => json(draft, oneOf(random, ['', ' ', '{', '}', '[', '{"query"', '{"query":}', '{"query":"{ __typename }",}', "{'query':'{ __typename }'}", '{"query":"{ __typename }"}{"query":"{ __typename }"}', '// c\n{}', 'NaN', 'undefined', '{"query":"\u0000"}', '{"query":"{ __typename }","query":1}', '{"variables":1e999,"query":"{ __typename }"}', '{"query":"{ __typename }","variables":{"a":1e999,"a":-1e999}}', '\u{feff}{"query":"{ __typename }"}', '{"__proto__":{"query":"{ __typename }"}}', '{"query":"\\ud800"}', '{"query":"\\x41"}', '-', '0x10', '{"query":"{ __typename }","variables":00}'])),
  (draft, random) => json(draft, `{"query":"{ __typename }","variables":${oneOf(random, ['[', '{"a":'])}`.padEnd(between(random, 50, 50_000), '[')),
  (draft, random) => json(draft, `${'{"a":'.repeat(between(random, 10, 20_000))}1`),
  (draft, random) => void (draft.body = bytes(random, between(random, 1, 400))),
  (draft, random) => void (draft.body = Buffer.concat([Buffer.from('{"query":"{ echo(text: \\"'), bytes(random, 20), Buffer.from('\\") }"}')])),
  (draft, random) => void (draft.body = Buffer.from(oneOf(random, VALID), 'utf16le')),
  (draft, random) => void (draft.body = Buffer.alloc(between(random, 262_000, 300_000), 0x20)),
  (draft, random) => void (draft.framing = random() < 0.9 ? 'chunked' : 'length'),
  (draft, random) => header(draft, 'content-type', oneOf(random, ['', ';', 'application/json;', 'application/json; charset=utf-16', 'application/json; charset="utf-8"', 'application/json; charset=\xe9', 'application/graphql', 'application/x+json', 'text/plain', 'text/json', 'multipart/form-data', 'multipart/form-data; boundary=', 'application/x-www-form-urlencoded', 'application/json, text/plain', '*/*', 'application/', '/json', 'a'.repeat(5_000)])),
  (draft, random) => header(draft, 'content-encoding', oneOf(random, ['gzip', 'br', 'deflate', 'identity', 'identity, gzip', 'x', ''])),
  (draft, random) => header(draft, 'accept', oneOf(random, ['', ',', ';', ',;q=,', 'text/html', 'text/plain', 'application/json;q=0', 'application/json;q=x', 'application/json;q=1e999', '*/*;q=-1', 'multipart/mixed', 'multipart/mixed;boundary="', 'multipart/mixed;subscriptionSpec=1.0', 'application/graphql-response+json; charset=latin1', 'text/event-stream;q=0.1, application/json', 'a/b,'.repeat(2_000), '\xff\xfe', '__proto__'])),
  (draft, random) => draft.headers.push([oneOf(random, ['authorization', 'traceparent', 'tracestate', 'x-forwarded-for', 'cookie', 'apollo-query-plan-experimental', 'apollographql-client-name', 'x-request-id', 'origin', 'range', 'if-match', 'user-agent', 'x-user-id', 'x-gateway-secret', 'forwarded', 'x-http-method-override', 'te', 'trailer', 'x-graphql-event-stream-token', 'last-event-id', '__proto__', 'constructor']), oneOf(random, ['', ' ', 'x', 'Bearer', 'Bearer  ', 'Bearer a.b.c', 'Basic Og==', '00-0-0-0', '00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff', '1.2.3.4, '.repeat(500), '::1', '\xff\xfe\xfd', 'null', 'a'.repeat(4_000)])]),
  (draft, random) => byUrl(draft, oneOf(random, ['query', 'query=', 'query={', 'query=%', 'query=%E0%A4%A', 'query=%00', 'query={__typename}&query={x}', 'query=%7B__typename%7D&variables={', 'query=%7B__typename%7D&variables=[]', 'query=%7B__typename%7D&extensions=1', 'variables=%7B%7D', 'extensions=%7B%22persistedQuery%22:%7B%7D%7D', 'documentId=__proto__', 'query[]=x', '&&&==', 'operationName=A', '?query=%7B__typename%7D', `query=%7B__typename%7D${'&a=b'.repeat(2_000)}`])),
  (draft, random) => {
    const { query, variables, operationName, extensions } = oddRequest(random);
    const search = new URLSearchParams({ query: typeof query === 'string' ? query.toWellFormed() : JSON.stringify(query) ?? '' });
    for (const [name, value] of Object.entries({ variables, operationName, extensions })) if (value !== undefined) search.set(name, JSON.stringify(value).toWellFormed());
    byUrl(draft, search.toString());
    if (random() < 0.5) header(draft, 'apollo-require-preflight', '1');
  },
  (draft, random) => byUrl(draft, `query=${encodeURIComponent(oneOf(random, ['mutation { fell(id: 1) }', 'subscription { ticked }', '{ tree(id: 1) { id } }']))}`),
  (draft, random) => void (draft.method = oneOf(random, ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND', 'SEARCH', 'QUERY', 'LOCK'])),
  (draft, random) => void (draft.target = oneOf(random, ['/', '//graphql', '/graphql/', '/GraphQL', '/graphql/../healthz', '/healthz/../graphql', '/%67raphql', '/graphql%00', '/graphql;x', '/../../etc/passwd', '/graphiql/../../package.json', '/graphiql/%2e%2e%2fpackage.json', '/graphiql/..%5c..%5cx', '/graphiql/__proto__', '/graphiql', '/graphiql/', '/.well-known/x', '/metrics', '/healthz', '/healthz?x', '/readyz/', '/favicon.ico', '/graphql/stream/', '/graphql/streams', '/__proto__', '/constructor', 'http://other.test/graphql', '/graphql?', '/graphql#x'])),
];

const BROKEN: readonly Spoil[] = [
  (draft, random) => void (draft.method = oneOf(random, ['', 'post', 'P OST', 'BREW', 'CONNECT', 'A'.repeat(5_000), 'GET\t', '\0', '{"a":1}', 'POST POST', '\xff'])),
  (draft, random) => void (draft.target = oneOf(random, ['', '*', '\\graphql', 'graphql', '/gr\xe4phql', '/graphql\0', '/graphql x', '/graphql\t', `/graphql?${'a'.repeat(20_000)}`, '/'.repeat(9_000), 'http://', 'http://[::1', 'https://x:99999/graphql', '//', '/%', 'orchard.test:443', '/graphql?query={ __typename }'])),
  (draft, random) => void (draft.version = oneOf(random, ['', 'HTTP/0.9', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/3', 'HTTP/9.9', 'http/1.1', 'HTTQ/1.1', 'HTTP/1.1 x', 'HTTP/1.', 'HTTP/11'])),
  (draft, random) => {
    draft.headers.push(['content-length', oneOf(random, ['-1', '0', '5', '999', '999999', '99999999999999999999', '0x10', '+5', '1e3', '5, 5', '', ' ', 'x', '１'])]);
    draft.framing = oneOf(random, ['none', 'none', 'length', 'chunked'] as const);
  },
  (draft, random) => {
    draft.headers.push(['transfer-encoding', oneOf(random, ['chunked', 'gzip, chunked', 'chunked, gzip', 'xchunked', 'chunked, chunked', 'identity', '', ' chunked', '\x0bchunked', 'Chunked;q=1'])]);
    draft.framing = oneOf(random, ['none', 'length'] as const);
    draft.body = Buffer.from(oneOf(random, ['5\r\n{"que\r\n', '-1\r\n\r\n', 'g\r\n', 'ffffffffffffffff\r\nx', '5;ext="\r\nhello\r\n0\r\n\r\n', '0\r\ntrailer: x\r\n\r\n', '0\r\nbad trailer\r\n\r\n', '5\nhello\n0\n\n', `1;${'a'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`, '2\r\n{}extra\r\n0\r\n\r\n', '00000000000000000000000000005\r\nhello\r\n0\r\n\r\n', '0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n']));
  },
  (draft, random) => draft.headers.push(oneOf(random, [['host', 'second.test'], ['bad header ', 'x'], ['', 'x'], ['x\0', 'x'], ['x', '\0'], ['x', 'a\rb'], ['x', 'a\nb'], ['x', 'a\r\n folded'], [' x', 'y'], ['x y', 'z'], ['(x)', 'y'], ['x'.repeat(20_000), 'y'], ['x', 'y'.repeat(20_000)], ['content-type', 'text/plain'], ['x', '\x7f']] as [string, string][])),
  (draft, random) => draft.headers.push(...Array.from({ length: between(random, 50, 2_500) }, (_, at): [string, string] => [`h${at}`, 'v'])),
  (draft) => void draft.headers.shift(),
  (draft) => void draft.headers.splice(0),
  (draft, random) => draft.headers.push(['expect', oneOf(random, ['100-continue', '200-ok', '', 'x'])]),
  (draft, random) => {
    draft.isWhole = false;
    draft.headers.push(['connection', oneOf(random, ['upgrade', 'Upgrade, HTTP2-Settings', 'keep-alive, close', 'x', ''])], ['upgrade', oneOf(random, ['h2c', 'websocket', 'WebSocket, h2c', 'TLS/1.0', '', 'x'])]);
  },
  (draft, random) => {
    draft.isWhole = false;
    draft.after = oneOf<() => string | Buffer>(random, [() => bytes(random, 60), () => 'GET /healthz HTTP/1.1\r\n', () => '\r\n\r\n\r\n', () => 'POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{', () => '{"query":"{ __typename }"}'])();
  },
  (draft, random) => void (draft.body = bytes(random, between(random, 1, 3_000))),
  (draft) => void (draft.framing = 'none'),
];
