import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());

/** A bare socket that speaks the protocol by hand. */
async function openSocket(init?: unknown): Promise<{ socket: WebSocket; messages: Record<string, unknown>[]; closed: Promise<{ code: number; reason: string }> }> {
  const socket = new WebSocket(stack.url.replace('http', 'ws'), 'graphql-transport-ws');
  const messages: Record<string, unknown>[] = [];
  socket.on('message', (data) => void messages.push(JSON.parse((data as Buffer).toString()) as Record<string, unknown>));
  const closed = once(socket, 'close').then(([code, reason]) => ({ code: code as number, reason: String(reason) }));
  await once(socket, 'open');
  if (init !== undefined) socket.send(JSON.stringify({ type: 'connection_init', payload: init }));
  return { socket, messages, closed };
}

describe('A socket', () => {
  test.each([
    ['no payload', null],
    ['no token', {}],
    ['a garbage token', { authorization: 'Bearer garbage' }],
    ['a token that is no text', { authorization: { nested: true } }],
  ])('with %s is closed with 4403 and a reason that begins with the code', async (_what, payload) => {
    const { socket, closed } = await openSocket();
    socket.send(JSON.stringify(payload === null ? { type: 'connection_init' } : { type: 'connection_init', payload }));
    const { code, reason } = await closed;
    expect(code).toBe(4403);
    expect(reason).toMatch(/^UNAUTHENTICATED: /);
    expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
  }, 10_000);

  test('with an expired token is closed with 4403', async () => {
    const { closed } = await openSocket({ authorization: await stack.issuer.bearer({ expiresInSeconds: -5 }) });
    expect(await closed).toEqual({ code: 4403, reason: expect.stringMatching(/^UNAUTHENTICATED: The access token has expired/) });
  });

  test.each([['authorization'], ['Authorization']])('may bring its token as %s, or as that among headers', async (name) => {
    const bearer = await stack.issuer.bearer();
    for (const payload of [{ [name]: bearer }, { headers: { [name]: bearer } }]) {
      const { socket, messages } = await openSocket(payload);
      await eventually('the acknowledgement', () => messages.some(({ type }) => type === 'connection_ack'));
      socket.close();
    }
  });

  test('is closed with 4403 when its token expires', async () => {
    const { messages, closed } = await openSocket({ authorization: await stack.issuer.bearer({ expiresInSeconds: 2 }) });
    await eventually('the acknowledgement', () => messages.some(({ type }) => type === 'connection_ack'));
    expect(await closed).toEqual({ code: 4403, reason: expect.stringMatching(/^UNAUTHENTICATED: .*expired/) });
  }, 10_000);

  test('that subscribes before it is acknowledged is closed with 4401', async () => {
    const { socket, closed } = await openSocket();
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: 'subscription { counted }' } }));
    expect((await closed).code).toBe(4401);
  });

  test('that says nothing for three seconds is closed with 4408', async () => {
    const { closed } = await openSocket();
    expect((await closed).code).toBe(4408);
  });

  test('that sends more than 64 KiB at once is closed with 1009', async () => {
    const { socket, closed } = await openSocket({ authorization: await stack.issuer.bearer() });
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload: { query: `{ whoami } #${'x'.repeat(65 * 1024)}` } }));
    expect((await closed).code).toBe(1009);
  });

  test('that sends what is no message is closed with 4400', async () => {
    const { socket, closed } = await openSocket({ authorization: await stack.issuer.bearer() });
    socket.send('{"type":');
    expect((await closed).code).toBe(4400);
  });

  test('at another path is refused', async () => {
    const socket = new WebSocket(stack.url.replace('http', 'ws').replace('/graphql', '/elsewhere'), 'graphql-transport-ws');
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });

  test('may have 50 operations under way, not 51', async () => {
    const client = await stack.socketClient();
    const subscribers = Array.from({ length: 50 }, () => subscribe(client, { query: 'subscription { counted }' }));
    await eventually('50 subscriptions at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('counted') === 50);
    const refused = subscribe(client, { query: 'subscription { counted }' });
    expect(await refused.failure()).toMatchObject([{ extensions: { code: 'RATE_LIMITED' } }]);
    subscribers[0]?.unsubscribe();
    const accepted = subscribe(client, { query: 'subscription { counted }' });
    await eventually('the 50th again', () => stack.subgraphs.reviews.subscribed.length === 51);
    expect(accepted.error).toBeUndefined();
    client.terminate();
    await eventually('no subscription at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('counted') === 0);
  });
});

describe('An operation over the socket', () => {
  test.each([
    ['a brace too few', 'subscription { counted', undefined, 'GRAPHQL_PARSE_FAILED'],
    ['an unknown field', 'subscription { counter }', undefined, 'GRAPHQL_VALIDATION_FAILED'],
    ['an unknown operation name', 'subscription A { counted }', 'B', 'OPERATION_RESOLUTION_FAILURE'],
    ['two root fields', 'subscription { counted reviewAdded { id } }', undefined, 'GRAPHQL_VALIDATION_FAILED'],
    ['11 levels of depth', `subscription { reviewAdded { book { ${'sequel { '.repeat(8)} id ${'}'.repeat(8)} } } }`, undefined, 'GRAPHQL_VALIDATION_FAILED'],
    ['11 levels of depth in a query', `{ book(id: "b1") { ${'sequel { '.repeat(9)} id ${'}'.repeat(9)} } }`, undefined, 'GRAPHQL_VALIDATION_FAILED'],
    ['16 aliases', `subscription { reviewAdded { ${Array.from({ length: 16 }, (_, n) => `a${n}: id`).join(' ')} } }`, undefined, 'GRAPHQL_VALIDATION_FAILED'],
    ['more than 1,000 tokens', `subscription { reviewAdded { ${'id '.repeat(1_000)} } }`, undefined, 'GRAPHQL_PARSE_FAILED'],
  ])('with %s is refused and the socket stays', async (_what, query, operationName, reason) => {
    const client = await stack.socketClient();
    const refused = subscribe(client, { query, ...(operationName !== undefined && { operationName }) });
    expect(await refused.failure()).toEqual([expect.objectContaining({ extensions: expect.objectContaining({ code: 'BAD_USER_INPUT', reason }) })]);
    const fine = subscribe(client, { query: '{ whoami }' });
    expect(await fine.result(1)).toEqual({ data: { whoami: 'ann' } });
  });

  test('with a variable of the wrong type is refused', async () => {
    const refused = subscribe(await stack.socketClient(), { query: 'subscription S($n: Int) { reviewAdded(minimumStars: $n) { id } }', variables: { n: 'many' } });
    expect(await refused.failure()).toEqual([{ message: expect.stringContaining('$n'), locations: expect.anything(), extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});
