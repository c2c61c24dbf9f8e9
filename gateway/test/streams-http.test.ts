import { request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createClient, type Client, type RequestParams } from 'graphql-sse';
import { eventually } from './support/eventually.ts';
import { readParts } from './support/parts.ts';
import { startStack, type Stack } from './support/stack.ts';

const MULTIPART = 'multipart/mixed;subscriptionSpec=1.0, application/json';
const REVIEW = { id: 'v1', stars: 4, text: 'fine', book: { id: 'b1' }, reader: { id: 'ann' } };

let stack: Stack;
let authorization: string;
const clients: Client<any>[] = [];
const aborts: AbortController[] = [];
beforeAll(async () => {
  stack = await startStack({}, { MAX_SUBSCRIPTIONS_PER_SOCKET: '5' });
  authorization = await stack.issuer.bearer();
});
afterAll(() => stack.stop());
beforeEach(() => {
  stack.subgraphs.reviews.subscribed.length = 0;
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.dispose();
  for (const abort of aborts.splice(0)) abort.abort();
  for (const field of ['counted', 'reviewAdded']) await underWay(field, 0);
});

const emit = (field: string, payload: unknown) => stack.subgraphs.reviews.events.emit(field, payload);
const underWay = (field: string, count: number) => eventually(`${count} subscriptions to ${field} at the subgraph`, () => stack.subgraphs.reviews.events.listenerCount(field) === count);

function sseClient(singleConnection: boolean, headers: Record<string, string> = { authorization }): Client<any> {
  const url = singleConnection ? `${stack.url}/stream` : stack.url;
  const client = createClient({ url, singleConnection: singleConnection as any, headers, retryAttempts: 0 });
  clients.push(client);
  return client;
}

interface Listener {
  readonly results: any[];
  readonly state: { error: unknown; isComplete: boolean };
  readonly dispose: () => void;
}

function listen(client: Client<any>, payload: RequestParams): Listener {
  const results: any[] = [];
  const state = { error: undefined as unknown, isComplete: false };
  const dispose = client.subscribe(payload, {
    next: (result: unknown) => void results.push(result),
    error: (error: unknown) => void (state.error = error),
    complete: () => void (state.isComplete = true),
  });
  return { results, state, dispose };
}

const resultOf = (listener: Listener, n: number) =>
  eventually(`result ${n}`, () => {
    if (listener.state.error !== undefined) throw new Error('It failed', { cause: listener.state.error });
    return listener.results[n - 1];
  });

interface RawStream {
  readonly status: number;
  readonly headers: Headers;
  readonly text: () => string;
  readonly isEnded: () => boolean;
}

/** A request whose answer is read as it comes. */
async function openStream(query: string, accept: string, headers: Record<string, string> = { authorization }): Promise<RawStream> {
  const abort = new AbortController();
  aborts.push(abort);
  const response = await fetch(stack.url, { method: 'POST', signal: abort.signal, headers: { 'content-type': 'application/json', accept, ...headers }, body: JSON.stringify({ query }) });
  let text = '';
  let isEnded = false;
  void (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) text += decoder.decode(chunk, { stream: true });
    isEnded = true;
  })().catch(() => {});
  return { status: response.status, headers: response.headers, text: () => text, isEnded: () => isEnded };
}

describe.each([
  ['distinct connections', false],
  ['a single connection', true],
])('A subscription as Server-Sent Events over %s', (_mode, singleConnection) => {
  test('gets its events, with fields of other subgraphs, and ends at the subgraph when its client leaves', async () => {
    const listener = listen(sseClient(singleConnection), { query: 'subscription { reviewAdded { text book { title } reader { name email } } }' });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', REVIEW);
    emit('reviewAdded', { ...REVIEW, text: 'again' });
    const reviewAdded = { text: 'fine', book: { title: 'The Parrot' }, reader: { name: 'name of ann', email: 'ann@library.test' } };
    expect(await resultOf(listener, 1)).toEqual({ data: { reviewAdded } });
    expect(await resultOf(listener, 2)).toEqual({ data: { reviewAdded: { ...reviewAdded, text: 'again' } } });
    listener.dispose();
    await underWay('reviewAdded', 0);
  });

  test('may be one of several', async () => {
    const client = sseClient(singleConnection);
    const [first, second] = [listen(client, { query: 'subscription { counted }' }), listen(client, { query: 'subscription { one: counted }' })];
    await underWay('counted', 2);
    emit('counted', 3);
    expect([await resultOf(first, 1), await resultOf(second, 1)]).toEqual([{ data: { counted: 3 } }, { data: { one: 3 } }]);
  });

  test('that its subgraph refuses gets the error and is complete', async () => {
    const listener = listen(sseClient(singleConnection), { query: 'subscription { reviewRemoved { id } }' });
    expect(await resultOf(listener, 1)).toEqual({ errors: [{ message: expect.stringContaining('LIBRARIAN'), path: ['reviewRemoved'], extensions: { code: 'FORBIDDEN' } }] });
    await eventually('the end', () => listener.state.isComplete);
  });

  test('ends with UNAUTHENTICATED when its token expires', async () => {
    const listener = listen(sseClient(singleConnection, { authorization: await stack.issuer.bearer({ expiresInSeconds: 2 }) }), { query: 'subscription { counted }' });
    await underWay('counted', 1);
    emit('counted', 1);
    expect(await resultOf(listener, 2)).toEqual({ errors: [{ message: expect.stringContaining('expired'), extensions: { code: 'UNAUTHENTICATED' } }] });
    await eventually('the end', () => listener.state.isComplete);
    expect(listener.results[0]).toEqual({ data: { counted: 1 } });
  });

  test('ends with UNAUTHENTICATED when its token is revoked', async () => {
    const listener = listen(sseClient(singleConnection, { authorization: await stack.issuer.bearer({ userId: `gone-${singleConnection}` }) }), { query: 'subscription { counted }' });
    await underWay('counted', 1);
    stack.revocations.revoke({ userId: `gone-${singleConnection}`, belowVersion: 2 });
    expect(await resultOf(listener, 1)).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
  });

  test('may be a query instead', async () => {
    const listener = listen(sseClient(singleConnection), { query: '{ whoami book(id: "b2") { title } }' });
    expect(await resultOf(listener, 1)).toEqual({ data: { whoami: 'ann', book: { title: 'The Beak' } } });
    await eventually('the end', () => listener.state.isComplete);
  });
});

describe('Distinct connections', () => {
  test('answer with the headers that keep proxies from holding events back', async () => {
    const { status, headers } = await openStream('subscription { counted }', 'text/event-stream');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect([headers.get('cache-control'), headers.get('x-accel-buffering')]).toEqual(['no-store', 'no']);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  });

  test('write events as the protocol has them', async () => {
    const stream = await openStream('subscription { counted }', 'text/event-stream');
    await underWay('counted', 1);
    emit('counted', 8);
    await eventually('the event', () => stream.text().includes('event: next'));
    expect(stream.text()).toBe(':\n\nevent: next\ndata: {"data":{"counted":8}}\n\n');
  });

  test.each([
    ['an unknown field', 'subscription { unknown }'],
    ['a brace too few', 'subscription { counted'],
    ['too many aliases', `subscription { reviewAdded { ${Array.from({ length: 16 }, (_, n) => `a${n}: id`).join(' ')} } }`],
    ['a query with an unknown field', '{ unknown }'],
  ])('tell of %s in the stream, with the status 200', async (_what, query) => {
    const stream = await openStream(query, 'text/event-stream');
    await eventually('the end', () => stream.isEnded());
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const [, next = '', complete] = stream.text().split('\n\n');
    expect(next).toMatch(/^event: next\ndata: /);
    expect(JSON.parse(next.slice('event: next\ndata: '.length))).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    expect(complete).toBe('event: complete\ndata:');
  });

  test('are refused with a status where the token is', async () => {
    const { status } = await openStream('subscription { counted }', 'text/event-stream', { authorization: 'Bearer garbage' });
    expect(status).toBe(401);
  });

  test('of one user are bounded', async () => {
    const open = await Promise.all(Array.from({ length: 5 }, () => openStream('subscription { counted }', 'text/event-stream')));
    await underWay('counted', 5);
    const refused = await openStream('subscription { counted }', 'text/event-stream');
    await eventually('the end', () => refused.isEnded());
    expect(refused.text()).toContain('RATE_LIMITED');
    expect(open.every((stream) => !stream.isEnded())).toBe(true);
    aborts[0]?.abort();
    await underWay('counted', 4);
    await openStream('subscription { counted }', 'text/event-stream');
    await underWay('counted', 5);
  });
});

describe('A subscription as multipart parts', () => {
  const boundaryOf = ({ headers }: RawStream) => /boundary="?([^";]+)"?/.exec(headers.get('content-type') ?? '')?.[1] ?? '';

  test('gets each event as the payload of a part that is whole when it comes', async () => {
    const stream = await openStream('subscription { counted }', MULTIPART);
    await underWay('counted', 1);
    expect(stream.headers.get('content-type')).toMatch(/^multipart\/mixed; *boundary="graphql"/);
    emit('counted', 1);
    await eventually('the part', () => readParts(stream.text(), boundaryOf(stream)).parts.length === 1);
    emit('counted', 2);
    await eventually('the part', () => readParts(stream.text(), boundaryOf(stream)).parts.length === 2);
    expect(readParts(stream.text(), boundaryOf(stream))).toEqual({ parts: [{ payload: { data: { counted: 1 } } }, { payload: { data: { counted: 2 } } }], isClosed: false });
  });

  test('that its subgraph refuses ends with a part that has the errors and no payload', async () => {
    const stream = await openStream('subscription { reviewRemoved { id } }', MULTIPART);
    await eventually('the end', () => stream.isEnded());
    expect(readParts(stream.text(), boundaryOf(stream))).toEqual({ parts: [{ payload: null, errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })] }], isClosed: true });
  });

  test('has the errors of one event in its payload, and goes on', async () => {
    const stream = await openStream('subscription { reviewAdded { reader { email } } }', MULTIPART);
    await underWay('reviewAdded', 1);
    emit('reviewAdded', { ...REVIEW, reader: { id: 'bob' } });
    emit('reviewAdded', REVIEW);
    await eventually('both', () => readParts(stream.text(), 'graphql').parts.length === 2);
    const [first, second] = readParts(stream.text(), 'graphql').parts as any[];
    expect(first.payload).toMatchObject({ data: { reviewAdded: { reader: { email: null } } }, errors: [{ extensions: { code: 'FORBIDDEN' } }] });
    expect(second).toEqual({ payload: { data: { reviewAdded: { reader: { email: 'ann@library.test' } } } } });
  });

  test('that GraphQL refuses is answered in JSON, with its status', async () => {
    const stream = await openStream('subscription { unknown }', MULTIPART);
    await eventually('the end', () => stream.isEnded());
    expect(stream.headers.get('content-type')).toMatch(/json/);
    expect(JSON.parse(stream.text())).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });

  test('ends with UNAUTHENTICATED when its token expires', async () => {
    const stream = await openStream('subscription { counted }', MULTIPART, { authorization: await stack.issuer.bearer({ expiresInSeconds: 2 }) });
    await eventually('the end', () => stream.isEnded());
    expect(readParts(stream.text(), 'graphql')).toMatchObject({ parts: [{ payload: null, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] }], isClosed: true });
  });
});

describe('A client that is slow to read a stream', () => {
  test('is cut, and its subscription ended', async () => {
    const body = JSON.stringify({ query: 'subscription { reviewAdded { text } }' });
    const request = httpRequest(stack.url, { method: 'POST', headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization } });
    request.on('error', () => {}).end(body);
    request.on('response', (response) => response.pause().on('error', () => {}));
    await underWay('reviewAdded', 1);
    const text = 'x'.repeat(512 * 1024);
    await eventually('the cut', async () => {
      emit('reviewAdded', { ...REVIEW, text });
      return stack.subgraphs.reviews.events.listenerCount('reviewAdded') === 0;
    });
    expect(stack.logs.some(({ msg }) => String(msg).includes('reads too slowly'))).toBe(true);
    request.destroy();
  });
});
