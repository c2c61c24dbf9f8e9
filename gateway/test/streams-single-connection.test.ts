import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';

/** The single connection mode of the graphql-sse protocol, request by request. */
let stack: Stack;
let authorization: string;
const aborts: AbortController[] = [];
beforeAll(async () => {
  stack = await startStack({}, { MAX_SUBSCRIPTIONS_PER_SOCKET: '5' });
});
afterAll(() => stack.stop());
beforeEach(async () => {
  users += 1;
  authorization = await stack.issuer.bearer({ userId: `user-${users}` });
});
afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort();
});

/** Each test has a user of its own: reserved streams that nobody opens stay for a while. */
let users = 0;
const underWay = (field: string, count: number) => eventually(`${count} subscriptions to ${field} at the subgraph`, () => stack.subgraphs.reviews.events.listenerCount(field) === count);

describe('A single connection', () => {
  const at = (path = '') => `${stack.url}/stream${path}`;
  const reserve = async (headers: Record<string, string> = { authorization }): Promise<string> => (await fetch(at(), { method: 'PUT', headers })).text();
  const ask = (token: string, body: object, headers: Record<string, string> = { authorization }) =>
    fetch(at(), { method: 'POST', headers: { 'content-type': 'application/json', 'x-graphql-event-stream-token': token, ...headers }, body: JSON.stringify(body) });
  const codeOf = async (response: Response) => [response.status, ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]?.extensions.code];
  const run = (operationId: string, query = 'subscription { counted }') => ({ query, extensions: { operationId } });
  const connect = async (path: string, headers: Record<string, string>) => {
    const abort = new AbortController();
    aborts.push(abort);
    return fetch(at(path), { headers: { accept: 'text/event-stream', ...headers }, signal: abort.signal });
  };

  test('is reserved with 201 and a token that nobody guesses', async () => {
    const response = await fetch(at(), { method: 'PUT', headers: { authorization: await stack.issuer.bearer({ userId: 'reserver' }) } });
    expect([response.status, response.headers.get('content-type')]).toEqual([201, 'text/plain; charset=utf-8']);
    expect(await response.text()).toMatch(/^[\w-]{32}$/);
  });

  test('may be opened with the token in the URL and no header, once', async () => {
    const token = await reserve();
    const opened = await connect(`?token=${token}`, {});
    expect([opened.status, opened.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(await codeOf(await connect(`?token=${token}`, {}))).toEqual([409, 'CONFLICT']);
  });

  test('delivers what was asked for before it was opened', async () => {
    const token = await reserve();
    expect((await ask(token, run('early', '{ whoami }'))).status).toBe(202);
    const opened = await connect(`?token=${token}`, { authorization });
    const reader = (opened.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('complete')) text += new TextDecoder().decode((await reader.read()).value);
    expect(text).toContain(`event: next\ndata: {"id":"early","payload":{"data":{"whoami":"user-${users}"}}}\n\nevent: complete\ndata: {"id":"early"}\n\n`);
  });

  test('refuses operations that it cannot tell apart, and unknown streams', async () => {
    const token = await reserve();
    expect(await codeOf(await ask(token, { query: 'subscription { counted }' }))).toEqual([400, 'BAD_USER_INPUT']);
    expect((await ask(token, run('a'))).status).toBe(202);
    expect(await codeOf(await ask(token, run('a')))).toEqual([409, 'CONFLICT']);
    expect(await codeOf(await ask('unknown', run('a')))).toEqual([404, 'NOT_FOUND']);
    expect(await codeOf(await fetch(at(), { method: 'DELETE', headers: { authorization, 'x-graphql-event-stream-token': token } }))).toEqual([400, 'BAD_USER_INPUT']);
    expect((await fetch(at('?operationId=a'), { method: 'DELETE', headers: { authorization, 'x-graphql-event-stream-token': token } })).status).toBe(200);
    await underWay('counted', 0);
  });

  test('answers what GraphQL refuses by itself, not in the stream', async () => {
    const token = await reserve(await bearerOf('refused'));
    expect(await codeOf(await ask(token, run('a', 'subscription { unknown }'), await bearerOf('refused')))).toEqual([400, 'BAD_USER_INPUT']);
  });

  test('has at most as many operations under way as a socket', async () => {
    const headers = await bearerOf('busy');
    const token = await reserve(headers);
    const opened = await connect(`?token=${token}`, headers);
    expect(opened.status).toBe(200);
    for (const id of ['1', '2', '3', '4', '5']) expect((await ask(token, run(id), headers)).status).toBe(202);
    expect(await codeOf(await ask(token, run('6'), headers))).toEqual([429, 'RATE_LIMITED']);
  });

  test('that is not opened holds no more than may wait, and ends', async () => {
    const headers = await bearerOf('absent');
    expect((await ask(await reserve(headers), run('a', 'subscription { reviewAdded { text } }'), headers)).status).toBe(202);
    await underWay('reviewAdded', 1);
    const text = 'x'.repeat(400_000);
    for (let n = 0; n < 4; n += 1) stack.subgraphs.reviews.events.emit('reviewAdded', { id: 'v1', stars: 4, text, book: { id: 'b1' }, reader: { id: 'ann' } });
    await underWay('reviewAdded', 0);
  });

  test('is nobody’s but its user’s', async () => {
    const token = await reserve();
    expect(await codeOf(await ask(token, run('a'), await bearerOf('bob')))).toEqual([404, 'NOT_FOUND']);
    expect(await codeOf(await connect(`?token=${token}`, await bearerOf('bob')))).toEqual([404, 'NOT_FOUND']);
  });

  test('without a token serves one operation alone, which is no mutation of a GET', async () => {
    const opened = await connect(`?query=${encodeURIComponent('mutation { rename(id: "b1", title: "x") { id } }')}`, { 'apollo-require-preflight': 'true', ...(await bearerOf('alone')) });
    expect(await opened.text()).toContain('BAD_USER_INPUT');
    expect(await codeOf(await connect(`?query=${encodeURIComponent('{ whoami }')}`, {}))).toEqual([400, 'BAD_USER_INPUT']);
  });

  test('takes GET, POST, PUT and DELETE', async () => {
    const response = await fetch(at(), { method: 'PATCH', headers: { authorization } });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, POST, PUT, DELETE']);
  });

  async function bearerOf(userId: string): Promise<Record<string, string>> {
    return { authorization: await stack.issuer.bearer({ userId }) };
  }
});
