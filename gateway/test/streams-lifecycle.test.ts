import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { SCHEMAS } from './support/library.ts';
import { openRawSocket } from './support/raw-socket.ts';
import { readParts } from './support/parts.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

const REVIEW = { id: 'v1', stars: 4, text: 'fine', book: { id: 'b1' }, reader: { id: 'ann' } };

/** Nothing is heard of revocations then. */
const WITHOUT_TOKENS = { AUTH: 'off', NATS_URL: 'nats://127.0.0.1:1' };

let stack: Stack | undefined;
afterEach(async () => {
  await stack?.stop();
  stack = undefined;
});

async function start(environment: Record<string, string> = {}): Promise<Stack> {
  stack = await startStack({}, environment);
  return stack;
}

const underWay = ({ subgraphs }: Stack, field: string, count: number) =>
  eventually(`${count} subscriptions to ${field} at the subgraph`, () => subgraphs.reviews.events.listenerCount(field) === count);

async function openEventStream({ url, issuer }: Stack, query: string, accept = 'text/event-stream') {
  const headers = { 'content-type': 'application/json', accept, authorization: await issuer.bearer() };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  let text = '';
  let isEnded = false;
  const reading = (async () => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) text += new TextDecoder().decode(chunk);
  })();
  void reading.then(
    () => (isEnded = true),
    () => (isEnded = true),
  );
  return { text: () => text, isEnded: () => isEnded };
}

describe('A reload of the supergraph', () => {
  const reloaded = ({ logs }: Stack) => eventually('the renewal', () => logs.find(({ msg }) => String(msg).startsWith('live subscriptions were prepared again')));

  test('keeps the subscriptions whose plan holds, and ends those whose field is gone', async () => {
    const library = await start();
    const client = await library.socketClient();
    const kept = subscribe(client, { query: 'subscription { reviewAdded { id book { title } } }' });
    const streamed = await openEventStream(library, 'subscription { counted }');
    const gone = subscribe(client, { query: 'subscription { reviewAdded { text stars } }' });
    await underWay(library, 'reviewAdded', 2);
    await underWay(library, 'counted', 1);
    await writeFile(library.supergraphFile, await library.compose({ reviews: SCHEMAS.reviews.replace('text: String', '') }));
    expect(await gone.failure()).toEqual([
      { message: expect.stringMatching(/schema has changed.*"text".*subscribe again/s), extensions: { code: 'BAD_USER_INPUT', reason: 'SCHEMA_CHANGED' } },
    ]);
    expect(await reloaded(library)).toMatchObject({ kept: 2, ended: 1 });
    await underWay(library, 'reviewAdded', 1);
    library.subgraphs.reviews.events.emit('reviewAdded', REVIEW);
    library.subgraphs.reviews.events.emit('counted', 4);
    expect(await kept.result(1)).toEqual({ data: { reviewAdded: { id: 'v1', book: { title: 'The Parrot' } } } });
    await eventually('the streamed event', () => streamed.text().includes('"counted":4'));
    expect(library.subgraphs.reviews.subscribed).toHaveLength(3);
  });

  test('completes events by the new plan from then on', async () => {
    const library = await start();
    const subscriber = subscribe(await library.socketClient(), { query: 'subscription { reviewAdded { book { id pages } } }' });
    await underWay(library, 'reviewAdded', 1);
    const moved = { books: SCHEMAS.books.replace('pages: Int', ''), readers: `${SCHEMAS.readers}\n type Book @key(fields: "id") { id: ID! pages: Int }` };
    await writeFile(library.supergraphFile, await library.compose(moved));
    await reloaded(library);
    library.subgraphs.reviews.events.emit('reviewAdded', REVIEW);
    // The subgraph that is asked now does not know the field: that it is the one shows in what it is asked.
    expect(await subscriber.result(1)).toMatchObject({ data: { reviewAdded: { book: { id: 'b1', pages: null } } } });
    expect([library.subgraphs.readers.requests.length, library.subgraphs.books.requests.length]).toEqual([1, 0]);
  });

  test('ends the subscriptions that would be served in another way', async () => {
    const library = await start();
    const subscriber = subscribe(await library.socketClient(), { query: 'subscription { reviewAdded { id book { title } } }' });
    await underWay(library, 'reviewAdded', 1);
    // What the books gave comes with the event now: another document for the subgraph.
    const schemas = {
      books: SCHEMAS.books.replace('title: String!', 'title: String! @shareable'),
      reviews: SCHEMAS.reviews.replace('rating: Float', 'rating: Float title: String! @shareable'),
    };
    await writeFile(library.supergraphFile, await library.compose(schemas));
    expect(await subscriber.failure()).toEqual([{ message: expect.stringContaining('subscribe again'), extensions: { code: 'SERVICE_UNAVAILABLE', reason: 'SCHEMA_CHANGED' } }]);
    await underWay(library, 'reviewAdded', 0);
  });

  test('keeps the subscriptions of a user who is at the limit of their rate', async () => {
    const library = await start({ RATE_LIMIT_USER: '2/m' });
    const subscriber = subscribe(await library.socketClient(), { query: 'subscription { counted }' });
    await underWay(library, 'counted', 1);
    while ((await library.query('{ __typename }')).status === 200);
    await writeFile(library.supergraphFile, await library.compose({ books: SCHEMAS.books.replace('pages: Int', '') }));
    await eventually('the new supergraph', () => library.logs.some(({ msg }) => String(msg).startsWith('the supergraph file changed and was loaded')));
    await new Promise((resolve) => setImmediate(resolve));
    library.subgraphs.reviews.events.emit('counted', 3);
    expect(await subscriber.result(1)).toEqual({ data: { counted: 3 } });
  });

  test('to a bad file ends nothing', async () => {
    const library = await start();
    const subscriber = subscribe(await library.socketClient(), { query: 'subscription { counted }' });
    await underWay(library, 'counted', 1);
    await writeFile(library.supergraphFile, 'type Query {');
    await eventually('the complaint', () => library.logs.some(({ msg }) => String(msg).includes('cannot be used')));
    library.subgraphs.reviews.events.emit('counted', 6);
    expect(await subscriber.result(1)).toEqual({ data: { counted: 6 } });
  });
});

describe('A gateway that stops', () => {
  test('closes sockets with 1001, upon which clients connect again and subscribe anew', async () => {
    const library = await start();
    const url = library.url.replace('http', 'ws');
    const events: string[] = [];
    const client = createClient({
      url,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: await library.issuer.bearer() },
      retryAttempts: 3,
      retryWait: async () => void events.push('retries'),
      on: { closed: (event) => void events.push(`closed ${(event as { code: number }).code}`) },
    });
    const subscriber = subscribe(client, { query: 'subscription { counted }' });
    await underWay(library, 'counted', 1);
    await library.stopGateway();
    await eventually('another attempt', () => events.includes('retries'));
    expect(events[0]).toBe('closed 1001');
    await subscriber.failure();
    client.terminate();
  });

  test('ends event streams without an end of their own, and multipart ones by an error', async () => {
    const library = await start();
    const sse = await openEventStream(library, 'subscription { counted }');
    const multipart = await openEventStream(library, 'subscription { counted }', 'multipart/mixed;subscriptionSpec=1.0, application/json');
    await underWay(library, 'counted', 2);
    await library.stopGateway();
    await eventually('both ends', () => sse.isEnded() && multipart.isEnded());
    expect(sse.text()).not.toContain('complete');
    expect(readParts(multipart.text(), 'graphql')).toMatchObject({ parts: [{ payload: null, errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }] }], isClosed: true });
    expect(library.subgraphs.reviews.events.listenerCount('counted')).toBe(0);
  });

  test('leaves no subscription at a subgraph', async () => {
    const library = await start();
    const { send } = await openRawSocket(library.url, { authorization: await library.issuer.bearer() });
    for (const id of ['a', 'b', 'c']) send({ id, type: 'subscribe', payload: { query: 'subscription { counted }' } });
    await underWay(library, 'counted', 3);
    await library.stopGateway();
    await underWay(library, 'counted', 0);
  });
});

describe('A client that is slow to read its socket', () => {
  test('is closed with 1013 and a reason, and its subscriptions end', async () => {
    const library = await start({ MAX_SOCKET_BUFFER_BYTES: '262144' });
    const { socket, send, closed } = await openRawSocket(library.url, { authorization: await library.issuer.bearer() });
    send({ id: 'a', type: 'subscribe', payload: { query: 'subscription { reviewAdded { text } }' } });
    await underWay(library, 'reviewAdded', 1);
    socket.pause();
    const text = 'x'.repeat(512 * 1024);
    await eventually('the end of the subscription', () => {
      library.subgraphs.reviews.events.emit('reviewAdded', { ...REVIEW, text });
      return library.subgraphs.reviews.events.listenerCount('reviewAdded') === 0;
    });
    socket.resume();
    expect(await closed).toEqual({ code: 1013, reason: expect.stringMatching(/^RATE_LIMITED: .*262144 bytes.*connect again/) });
  });
});

describe('Without verification of tokens', () => {
  test('a socket needs none, and what it brings is passed on', async () => {
    const library = await start(WITHOUT_TOKENS);
    const open = subscribe(await library.socketClient({}), { query: '{ whoami }' });
    expect(await open.result(1)).toEqual({ data: { whoami: null } });
    const authorization = await library.issuer.bearer({ userId: 'lee' });
    const brought = await library.socketClient({ authorization });
    expect(await subscribe(brought, { query: '{ whoami }' }).result(1)).toEqual({ data: { whoami: 'lee' } });
    const subscriber = subscribe(brought, { query: 'subscription { counted }' });
    await underWay(library, 'counted', 1);
    library.subgraphs.reviews.events.emit('counted', 2);
    expect(await subscriber.result(1)).toEqual({ data: { counted: 2 } });
    expect(library.subgraphs.books.requests.at(-1)?.headers.authorization).toBe(authorization);
  });

  test('a garbage token is the subgraphs’ to refuse', async () => {
    const library = await start(WITHOUT_TOKENS);
    const refused = subscribe(await library.socketClient({ authorization: 'Bearer garbage' }), { query: 'subscription { counted }' });
    expect(await refused.failure()).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });
});

describe('Rates of requests', () => {
  test('count operations of sockets and streams like those over HTTP', async () => {
    const library = await start({ RATE_LIMIT_USER: '1/m' });
    const authorization = await library.issuer.bearer({ userId: 'eager' });
    const socket = await openRawSocket(library.url, { authorization });
    const refusals = () => socket.messages.filter(({ type, payload }) => type === 'error' && payload[0].extensions.code === 'RATE_LIMITED').length;
    for (let n = 0; refusals() === 0 && n < 100; n += 1) {
      socket.send({ id: `${n}`, type: 'subscribe', payload: { query: '{ __typename }' } });
      await socket.message({ id: `${n}` });
    }
    expect(refusals()).toBeGreaterThan(0);
    const streamed = await fetch(library.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization },
      body: JSON.stringify({ query: 'subscription { counted }' }),
    });
    expect(await streamed.text()).toContain('RATE_LIMITED');
    socket.socket.close();
    await once(socket.socket, 'close');
  });
});
