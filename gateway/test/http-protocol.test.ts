import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { SCHEMAS } from './support/library.ts';
import { startStack, type Stack } from './support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { QUERY_PLANS: 'role:LIBRARIAN', MAX_COST: '60' });
});
afterAll(() => stack.stop());

const QUERY = '{ book(id: "b1") { title } }';
const json = { 'content-type': 'application/json' };
const post = (body: unknown, headers: Record<string, string> = {}) => fetch(stack.url, { method: 'POST', body: JSON.stringify(body), headers: { ...json, ...headers } });
const get = (parameters: Record<string, string>, headers: Record<string, string> = { 'apollo-require-preflight': '1' }) =>
  fetch(`${stack.url}?${new URLSearchParams(parameters).toString()}`, { headers });
const firstError = async (response: Response) => ((await response.json()) as { errors: { message: string; extensions: Record<string, unknown> }[] }).errors[0];

/** An exchange that is written and read by hand. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(stack.url).port), '127.0.0.1');
  let answered = '';
  socket.on('data', (chunk: Buffer) => (answered += chunk.toString()));
  const closed = new Promise((resolve) => socket.on('close', resolve).on('error', resolve));
  // Sooner than the server gives up on what is not whole.
  socket.setTimeout(5_000, () => socket.destroy());
  socket.write(text);
  await closed;
  return answered;
}

describe('The type of an answer', () => {
  test.each([
    ['application/graphql-response+json', 'application/graphql-response+json; charset=utf-8'],
    ['application/graphql-response+json; charset=utf-8, application/json; charset=utf-8', 'application/graphql-response+json; charset=utf-8'],
    ['application/json;q=1, application/graphql-response+json;q=0.5', 'application/json; charset=utf-8'],
    ['application/graphql-response+json;q=0, */*;q=0.1', 'application/json; charset=utf-8'],
    ['text/html, application/*', 'application/json; charset=utf-8'],
    ['*/*', 'application/json; charset=utf-8'],
  ])('is, for a client that accepts %s, %s', async (accept, contentType) => {
    const answer = await post({ query: QUERY }, { accept });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, contentType]);
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test.each(['text/plain', 'application/json; charset=latin1', 'image/*', 'application/json;q=0'])('is none for a client that accepts %s: 406', async (accept) => {
    const refused = await post({ query: QUERY }, { accept });
    expect(refused.status).toBe(406);
    expect(await firstError(refused)).toMatchObject({ extensions: { code: 'BAD_USER_INPUT', reason: 'NOT_ACCEPTABLE' } });
  });

  test('decides the status of what GraphQL refuses', async () => {
    const refused = { query: '{ book(id: "b1") { weight } }' };
    expect((await post(refused, { accept: 'application/json' })).status).toBe(200);
    expect((await post(refused, { accept: 'application/graphql-response+json' })).status).toBe(400);
    expect((await post({ query: 1 }, { accept: 'application/json' })).status).toBe(400);
  });
});

describe('A request', () => {
  test.each(['PUT', 'DELETE', 'PATCH'])('by %s is a 405 that says what is allowed', async (method) => {
    const refused = await fetch(stack.url, { method, headers: json, body: '{}' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, OPTIONS']);
  });

  test('by OPTIONS is told what is allowed, and no foreign page is allowed anything', async () => {
    const answer = await fetch(stack.url, { method: 'OPTIONS', headers: { origin: 'https://elsewhere.test', 'access-control-request-method': 'POST' } });
    expect([answer.status, answer.headers.get('allow'), answer.headers.get('access-control-allow-origin')]).toEqual([204, 'GET, HEAD, POST, OPTIONS', null]);
  });

  test('by HEAD has the headers of one by GET', async () => {
    const answer = await fetch(`${stack.url}?query=${encodeURIComponent('{ __typename }')}`, { method: 'HEAD' });
    expect([answer.status, await answer.text()]).toEqual([200, '']);
  });

  test('by GET may have a name, variables and extensions', async () => {
    const answer = await get({ query: 'query A($id: ID!) { book(id: $id) { title } } query B { whoami }', operationName: 'A', variables: '{"id":"b2"}', extensions: '{}' });
    expect(await answer.json()).toEqual({ data: { book: { title: 'The Beak' } } });
    expect((await get({ query: QUERY, variables: '{' })).status).toBe(400);
    expect((await get({})).status).toBe(400);
  });

  test.each([
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['plain text', { 'content-type': 'text/plain' }],
    ['a file upload', { 'content-type': 'multipart/form-data; boundary=x' }],
  ])('that a foreign page could send as %s is refused', async (_what, headers) => {
    const refused = await fetch(stack.url, { method: 'POST', headers, body: JSON.stringify({ query: QUERY }) });
    expect(refused.status).toBe(400);
    const byGet = await get({ query: QUERY }, headers);
    expect(await firstError(byGet)).toMatchObject({ extensions: { reason: 'CSRF' } });
  });

  test('that is compressed is a 415', async () => {
    expect((await post({ query: QUERY }, { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  test('that announces a body that is too large is refused before it is sent, and the connection ends', async () => {
    const answered = await raw(`POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9999999\r\n\r\n`);
    expect(answered).toMatch(/^HTTP\/1\.1 413 /);
    expect(answered).toMatch(/connection: close/i);
  });

  test('whose body is too large without announcing it is a 413', async () => {
    const body = `{"query":"{ whoami }","variables":{"x":"${'x'.repeat(300_000)}"}}`;
    const answered = await raw(`POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
    expect(answered).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('that is no HTTP is a 400', async () => {
    expect(await raw('no HTTP at all\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  test.each([
    ['a text as variables', { query: QUERY, variables: 'x' }],
    ['a list as variables', { query: QUERY, variables: [1] }],
    ['a number as its name', { query: QUERY, operationName: 1 }],
    ['a list as extensions', { query: QUERY, extensions: [] }],
    ['a persisted query that is none', { query: QUERY, extensions: { persistedQuery: 'x' } }],
    ['a persisted query without a hash', { extensions: { persistedQuery: { version: 1 } } }],
    ['a persisted query of another version', { query: QUERY, extensions: { persistedQuery: { version: 7, sha256Hash: 'x' } } }],
    ['the hash of another query', { query: QUERY, extensions: { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } } }],
    ['a document id that nobody knows', { documentId: 'x' }],
    ['an empty query', { query: '' }],
  ])('with %s is a 400 with a code', async (_what, body) => {
    const refused = await post(body);
    expect(refused.status).toBe(400);
    expect(await firstError(refused)).toMatchObject({ message: expect.any(String), extensions: { code: 'BAD_USER_INPUT' } });
  });

  test('nested a hundred thousand levels deep is a 400', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    for (const body of [deep, `{"query":"query ($a: ID!) { book(id: $a) { id } }","variables":{"a":${deep}}}`, `{"query":"{ a(b: ${deep}) }"}`]) {
      const refused = await fetch(stack.url, { method: 'POST', headers: json, body });
      expect(refused.status).toBe(400);
      expect(await refused.text()).not.toMatch(/RangeError|node_modules|\.ts/);
    }
  });
});

describe('A gateway whose schema has only queries', () => {
  test('refuses other operations with a 400', async () => {
    const before = await readFile(stack.supergraphFile, 'utf8');
    const onlyQueries = { books: SCHEMAS.books.replace(/type Mutation \{.*\}/, ''), reviews: SCHEMAS.reviews.replace(/type Subscription \{[\s\S]*\}/, '') };
    const loaded = (count: number) => eventually('the load', () => stack.logs.filter(({ msg }) => msg === 'the supergraph file changed and was loaded').length >= count);
    stack.logs.length = 0;
    await writeFile(stack.supergraphFile, await stack.compose(onlyQueries));
    await loaded(1);
    for (const query of ['mutation { rename }', 'subscription { counted }', 'mutation { __typename }']) {
      const refused = await post({ query });
      expect([refused.status, (await firstError(refused))?.extensions]).toEqual([400, { code: 'BAD_USER_INPUT', reason: 'GRAPHQL_VALIDATION_FAILED' }]);
    }
    await writeFile(stack.supergraphFile, before);
    await loaded(2);
  });
});

describe('A persisted query', () => {
  test('is found by GET too', async () => {
    const query = '{ book(id: "b3") { title } }';
    const extensions = JSON.stringify({ persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } });
    const unknown = await get({ extensions });
    expect([unknown.status, (await firstError(unknown))?.extensions['code']]).toEqual([200, 'PERSISTED_QUERY_NOT_FOUND']);
    await get({ query, extensions });
    expect(await (await get({ extensions })).json()).toEqual({ data: { book: { title: 'The Perch' } } });
  });

  test('that is not valid is not kept', async () => {
    const query = '{ nowhere }';
    const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } };
    expect((await post({ query, extensions })).status).toBe(400);
    expect((await firstError(await post({ extensions })))?.extensions['code']).toBe('PERSISTED_QUERY_NOT_FOUND');
  });
});

describe('The plan of a query', () => {
  test.each([
    ['the header', {}, { 'apollo-query-plan-experimental': 'true' }],
    ['the extension', { extensions: { queryPlan: true } }, {}],
  ])('is told to whoever asks by %s and may', async (_how, members, headers: Record<string, string>) => {
    const query = '{ book(id: "b1") { title rating } }';
    const [librarian, reader] = await Promise.all([stack.issuer.bearer({ roles: ['LIBRARIAN'] }), stack.issuer.bearer()]);
    const told = (await (await post({ query, ...members }, { ...headers, authorization: librarian })).json()) as { extensions?: { queryPlan: string } };
    expect(told.extensions?.queryPlan).toMatch(/^QueryPlan \{[\s\S]*Fetch\(service: "reviews"\)/);
    const untold = (await (await post({ query, ...members }, { ...headers, authorization: reader })).json()) as object;
    expect(untold).toEqual({ data: { book: { title: 'The Parrot', rating: 4.5 } } });
  });
});

describe('An operation that costs too much', () => {
  test('is refused with its price and the most that one may cost', async () => {
    const error = await firstError(await post({ query: '{ books { reviews { book { reviews { id } } } } }' }));
    expect(error?.extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_TOO_EXPENSIVE', cost: expect.any(Number), maxCost: 60 });
  });
});

describe('A client that leaves', () => {
  test('has the fetches of its query ended, at the subgraph too', async () => {
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    stack.subgraphs.reviews.beforeAnswer = () => {
      asked += 1;
      return gate.promise;
    };
    stack.logs.length = 0;
    const leaving = new AbortController();
    const answer = fetch(stack.url, { method: 'POST', headers: json, body: JSON.stringify({ query: '{ review(id: "v1") { stars } }' }), signal: leaving.signal });
    await eventually('the query at the subgraph', () => asked === 1);
    leaving.abort();
    await expect(answer).rejects.toThrow();
    const line = await eventually('the log line', () => stack.logs.find(({ msg }) => msg === 'an operation failed'));
    expect(line['fetchFailures']).toEqual(['reviews: nobody waits for the answer any more']);
    gate.resolve();
    stack.subgraphs.reviews.beforeAnswer = undefined;
  });

  test('has its mutation brought to its end', async () => {
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    stack.subgraphs.readers.beforeAnswer = () => {
      asked += 1;
      return gate.promise;
    };
    const leaving = new AbortController();
    const mutation = 'mutation Renaming { rename(id: "b1", title: "x") { reviews { reader { name } } } }';
    const answer = fetch(stack.url, { method: 'POST', headers: json, body: JSON.stringify({ query: mutation }), signal: leaving.signal });
    await eventually('the fetch at the subgraph', () => asked === 1);
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await post({ query: '{ whoami }' });
    gate.resolve();
    stack.subgraphs.readers.beforeAnswer = undefined;
    await eventually('the end of the mutation', async () => /_count\{operation="Renaming"[^}]*\} 1$/m.test(await (await fetch(stack.url.replace('/graphql', '/metrics'))).text()));
    expect(stack.logs.filter(({ operationName }) => operationName === 'Renaming')).toEqual([]);
  });
});

describe('The metrics', () => {
  test('tell operations by their names, lookups of compiled ones, and what refused', async () => {
    await post({ query: 'query Named { whoami }' });
    await post({ query: 'query Named { whoami }' });
    const text = await (await fetch(stack.url.replace('/graphql', '/metrics'))).text();
    expect(text).toMatch(/^gateway_named_operation_seconds_count\{operation="Named",service="gateway"\} 2$/m);
    expect(text).toMatch(/^gateway_operation_cache_lookups_total\{result="hit",service="gateway"\} \d+$/m);
    expect(text).toMatch(/^gateway_operation_seconds_bucket\{kind="query",le="\+Inf",service="gateway"\} \d+$/m);
    expect(text).toMatch(/^gateway_operation_compile_seconds_count\{service="gateway"\} \d+$/m);
  });
});
