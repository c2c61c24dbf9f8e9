import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startStack, type Stack } from './support/stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());
beforeEach(() => {
  for (const subgraph of Object.values(stack.subgraphs)) subgraph.requests.length = 0;
});

const codeOf = (answer: { errors: { extensions: Record<string, unknown> }[] | undefined }) => answer.errors?.[0]?.extensions['code'];
const reasonOf = (answer: { errors: { extensions: Record<string, unknown> }[] | undefined }) => answer.errors?.[0]?.extensions['reason'];

describe('Queries over HTTP', () => {
  test('are answered from every subgraph that they name', async () => {
    const answer = await stack.query('{ book(id: "b1") { title reviews { text reader { name } } } }');
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ book: { title: 'The Parrot', reviews: [{ text: 'text of b1-1', reader: { name: 'name of r1' } }] } });
    expect(answer.errors).toBeUndefined();
  });

  test('may come by GET with the header that a form cannot send', async () => {
    const url = `${stack.url}?query=${encodeURIComponent('{ book(id: "b1") { title } }')}`;
    const answered = await fetch(url, { headers: { 'apollo-require-preflight': '1' } });
    expect(await answered.json()).toEqual({ data: { book: { title: 'The Parrot' } } });
    const refused = await fetch(url);
    expect(refused.status).toBe(400);
    expect(((await refused.json()) as { errors: { extensions: unknown }[] }).errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('may not change anything when they come by GET', async () => {
    const url = `${stack.url}?query=${encodeURIComponent('mutation { rename(id: "b1", title: "x") { title } }')}`;
    const refused = await fetch(url, { headers: { 'apollo-require-preflight': '1' } });
    expect(refused.status).toBe(405);
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test('get the Sandbox when a browser opens the page', async () => {
    const page = await fetch(stack.url, { headers: { accept: 'text/html' } });
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('embeddable-sandbox');
  });

  test('are persisted on request, with the codes that clients of that protocol know', async () => {
    const query = '{ book(id: "b2") { title } }';
    const { createHash } = await import('node:crypto');
    const extensions = { persistedQuery: { version: 1, sha256Hash: createHash('sha256').update(query).digest('hex') } };
    const unknown = await stack.post(JSON.stringify({ extensions }));
    expect(codeOf(unknown)).toBe('PERSISTED_QUERY_NOT_FOUND');
    const registered = await stack.post(JSON.stringify({ query, extensions }));
    expect(registered.data).toEqual({ book: { title: 'The Beak' } });
    const known = await stack.post(JSON.stringify({ extensions }));
    expect(known.data).toEqual({ book: { title: 'The Beak' } });
  });

  test('have a request id that continues the caller’s trace', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c';
    const answer = await stack.query('{ book(id: "b1") { title } }', { headers: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
    expect(answer.headers.get('x-request-id')).toBe(traceId);
    expect(stack.subgraphs.books.requests.at(-1)?.headers['traceparent']).toContain(traceId);
    const other = await stack.query('{ book(id: "b1") { title } }', { headers: { traceparent: 'nonsense' } });
    expect(other.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  });

  test('answer introspection', async () => {
    const answer = await stack.query('{ __schema { subscriptionType { fields { name type { ofType { name } } } } } }');
    expect(answer.data.__schema.subscriptionType.fields).toHaveLength(3);
  });
});

describe('A token', () => {
  test('that is valid reaches the subgraphs', async () => {
    expect((await stack.query('{ whoami }')).data).toEqual({ whoami: 'ann' });
  });

  test.each([
    ['garbage', 'Bearer garbage'],
    ['of another scheme', 'Basic YW5uOnBvcHVn'],
    ['empty', ''],
  ])('that is %s is refused with 401 before anything is executed', async (_what, authorization) => {
    const answer = await stack.query('{ book(id: "b1") { title } }', { authorization });
    expect(answer.status).toBe(401);
    expect(codeOf(answer)).toBe('UNAUTHENTICATED');
    expect(answer.data).toBeUndefined();
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test.each([
    ['of another type', { type: 'JWT' }],
    ['from another issuer', { issuer: 'https://elsewhere.test' }],
    ['for another audience', { audience: 'another-api' }],
    ['signed by another key', { forged: true }],
  ])('that is %s is refused with 401', async (_what, claims) => {
    const answer = await stack.query('{ whoami }', { authorization: await stack.issuer.bearer(claims) });
    expect(answer.status).toBe(401);
    expect(codeOf(answer)).toBe('UNAUTHENTICATED');
  });

  test('that has expired is refused with 401', async () => {
    const answer = await stack.query('{ whoami }', { authorization: await stack.issuer.bearer({ expiresInSeconds: -1 }) });
    expect(answer.status).toBe(401);
    expect(codeOf(answer)).toBe('UNAUTHENTICATED');
    expect(answer.errors?.[0]?.message).toContain('expired');
  });

  test('is not needed for what subgraphs answer to anyone', async () => {
    const answer = await stack.query('{ whoami book(id: "b1") { title } }', { authorization: null });
    expect(answer.data).toEqual({ whoami: null, book: { title: 'The Parrot' } });
  });

  test('is asked for by the subgraph where it is needed', async () => {
    const answer = await stack.query('{ me { name } }', { authorization: null });
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ me: null });
    expect(answer.errors).toEqual([{ message: expect.stringContaining('sign'), path: ['me'], extensions: { code: 'UNAUTHENTICATED' } }]);
  });
});

describe('Headers of the client', () => {
  test('that claim an identity or the gateway’s secret are not forwarded', async () => {
    const smuggled = { 'x-gateway-secret': 'secret-of-the-books-or-so', 'x-user-id': 'root', 'x-roles': 'ADMIN', cookie: 'a=b', forwarded: 'for=1', 'x-forwarded-for': '1.2.3.4' };
    await stack.query('{ whoami }', { headers: smuggled });
    const { headers } = stack.subgraphs.books.requests.at(-1) as { headers: Record<string, unknown> };
    expect(headers['x-gateway-secret']).toBe('secret-of-the-books');
    expect(Object.keys(headers).sort()).toEqual(
      ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'traceparent', 'x-client-address', 'x-client-agent', 'x-gateway-secret'],
    );
  });
});

describe('A request that cannot be read', () => {
  test('with a brace too few is a 400', async () => {
    const answer = await stack.query('{ book(id: "b1") { title }');
    expect(answer.status).toBe(400);
    expect(answer.errors).toEqual([
      { message: expect.stringContaining('Syntax Error'), locations: [{ line: 1, column: 27 }], extensions: { code: 'BAD_USER_INPUT', reason: 'GRAPHQL_PARSE_FAILED' } },
    ]);
  });

  test('with malformed JSON is a 400 in JSON', async () => {
    const answer = await stack.post('{"query": "{ whoami }"');
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_USER_INPUT']);
  });

  test('with a body of 1 MB is a 413 in JSON', async () => {
    const answer = await stack.query(`{ whoami } #${'x'.repeat(1_000_000)}`);
    expect([answer.status, codeOf(answer)]).toEqual([413, 'BAD_USER_INPUT']);
  });

  test('with an unknown field is a 400', async () => {
    const answer = await stack.query('{ book(id: "b1") { weight } }');
    expect([answer.status, codeOf(answer), reasonOf(answer)]).toEqual([400, 'BAD_USER_INPUT', 'GRAPHQL_VALIDATION_FAILED']);
  });

  test.each([
    ['an unknown operation name', 'query A { whoami }', 'B'],
    ['several operations and no name', 'query A { whoami } query B { whoami }', undefined],
  ])('with %s is a 400', async (_what, query, operationName) => {
    const answer = await stack.query(query, { ...(operationName !== undefined && { operationName }) });
    expect([answer.status, codeOf(answer), reasonOf(answer)]).toEqual([400, 'BAD_USER_INPUT', 'OPERATION_RESOLUTION_FAILURE']);
  });

  test('with a variable of the wrong type is a 400', async () => {
    const answer = await stack.query('query Q($id: ID!) { book(id: $id) { title } }', { variables: { id: { no: 'id' } } });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_USER_INPUT']);
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test('without a query is a 400', async () => {
    expect((await stack.post('{}')).status).toBe(400);
    expect((await stack.post('')).status).toBe(400);
    expect(codeOf(await stack.post('[1]'))).toBe('BAD_USER_INPUT');
  });

  test('in a batch is a 400 and nothing of it is executed', async () => {
    const answer = await stack.post(JSON.stringify([{ query: '{ whoami }' }, { query: '{ whoami }' }]));
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_USER_INPUT']);
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test('as a browser’s form would send it is a 400', async () => {
    const answer = await stack.post('query={whoami}', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_USER_INPUT']);
  });

  test('in an encoding that is not known is a 415 in JSON', async () => {
    const answer = await stack.post('{"query":"{ whoami }"}', { 'content-type': 'application/json; charset=klingon' });
    expect([answer.status, codeOf(answer)]).toEqual([415, 'BAD_USER_INPUT']);
  });

  test('at another path is a 404 in JSON', async () => {
    const answered = await fetch(stack.url.replace('/graphql', '/elsewhere'));
    expect(answered.status).toBe(404);
    expect(await answered.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
  });

  test('with a subscription over POST is a 400 that names the WebSocket', async () => {
    const answer = await stack.query('subscription { counted }');
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_USER_INPUT']);
    expect(answer.errors?.[0]?.message).toContain('WebSocket');
  });
});

describe('Errors of the fields', () => {
  test('keep the message, path, code and details that a subgraph gave', async () => {
    const answer = await stack.query('{ books { title secretPrice } }');
    expect(answer.status).toBe(200);
    expect(answer.data.books[1]).toEqual({ title: 'The Beak', secretPrice: null });
    expect(answer.errors?.[1]).toEqual({
      message: 'The price is not for you',
      path: ['books', 1, 'secretPrice'],
      extensions: { code: 'FORBIDDEN', need: 'LIBRARIAN' },
    });
  });

  test('in an entity of another subgraph have the path that the client asked by', async () => {
    const answer = await stack.query('{ all: books { id score: rating } }');
    expect(answer.data.all.map((book: { score: unknown }) => book.score)).toEqual([4.5, null, 4.5]);
    expect(answer.errors?.map(({ path }) => path)).toEqual([['all', 1, 'score']]);
  });

  test('that nobody may read are masked with a request id', async () => {
    const answer = await stack.query('{ broken whoami }');
    expect(answer.data).toEqual({ broken: null, whoami: 'ann' });
    expect(answer.errors).toEqual([
      { message: expect.any(String), path: ['broken'], extensions: { code: 'INTERNAL', requestId: answer.headers.get('x-request-id') } },
    ]);
    expect(answer.text).not.toMatch(/select|shelves|127\.0\.0\.1|stacktrace|serviceName|node_modules|\.ts/);
  });

  test('arise from null where the schema allows none', async () => {
    const answer = await stack.query('{ reader(id: "shy") { id nickname } whoami }');
    expect(answer.data).toEqual({ reader: null, whoami: 'ann' });
    expect(answer.errors).toEqual([{ message: expect.any(String), path: ['reader', 'nickname'], extensions: expect.objectContaining({ code: 'INTERNAL' }) }]);
    expect(answer.text).not.toContain('valueCompletion');
  });

  test('are logged in one line per failed operation, and successes in none', async () => {
    stack.logs.length = 0;
    const failed = await stack.query('query Failing { forbidden whoami }');
    await stack.query('query Fine { whoami }');
    const lines = stack.logs.filter(({ level }) => level !== 'debug');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({ level: 'info', operationName: 'Failing', kind: 'query', outcome: 'FORBIDDEN', userId: 'ann', traceId: failed.headers.get('x-request-id') });
  });
});

describe('Limits', () => {
  test.each([
    ['11 levels of depth', 'GRAPHQL_VALIDATION_FAILED', `{ book(id: "b1") { ${'sequel { '.repeat(9)} id ${'}'.repeat(9)} } }`],
    ['depth hidden in fragments', 'GRAPHQL_VALIDATION_FAILED', `{ book(id: "b1") { ...A } } fragment A on Book { ${'sequel { '.repeat(9)} id ${'}'.repeat(9)} }`],
    ['16 aliases', 'GRAPHQL_VALIDATION_FAILED', `{ ${Array.from({ length: 16 }, (_, n) => `a${n}: whoami`).join(' ')} }`],
    ['more than 1,000 tokens', 'GRAPHQL_PARSE_FAILED', `{ ${'whoami '.repeat(1_000)} }`],
  ])('refuse %s with a 400 before anything is executed', async (_what, reason, query) => {
    const answer = await stack.query(query);
    expect([answer.status, codeOf(answer), reasonOf(answer)]).toEqual([400, 'BAD_USER_INPUT', reason]);
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test('allow 10 levels and 15 aliases', async () => {
    const deep = await stack.query(`{ book(id: "b1") { ${'sequel { '.repeat(8)} id ${'}'.repeat(8)} } }`);
    expect(deep.errors).toBeUndefined();
    const aliased = await stack.query(`{ ${Array.from({ length: 15 }, (_, n) => `a${n}: whoami`).join(' ')} }`);
    expect(aliased.errors).toBeUndefined();
  });
});
