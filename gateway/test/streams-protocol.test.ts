import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { openRawSocket, type RawSocket } from './support/raw-socket.ts';
import { startStack, type Stack } from './support/stack.ts';

/** The rules of the graphql-transport-ws protocol document, one by one. */
let stack: Stack;
let authorization: string;
const sockets: RawSocket[] = [];
beforeAll(async () => {
  stack = await startStack();
  authorization = await stack.issuer.bearer();
});
afterAll(() => stack.stop());
beforeEach(async () => {
  for (const { socket } of sockets.splice(0)) socket.terminate();
  await underWay(0);
});

async function fresh(protocols?: string | string[]): Promise<RawSocket> {
  const socket = await openRawSocket(stack.url, undefined, protocols);
  sockets.push(socket);
  return socket;
}

async function connected(): Promise<RawSocket> {
  const socket = await openRawSocket(stack.url, { authorization });
  sockets.push(socket);
  return socket;
}

const subscribe = (id: string, query = 'subscription { counted }') => ({ id, type: 'subscribe', payload: { query } });
const underWay = (count: number) => eventually(`${count} subscriptions at the subgraph`, () => stack.subgraphs.reviews.events.listenerCount('counted') === count);
const count = (value: number) => stack.subgraphs.reviews.events.emit('counted', value);

describe('A socket that is opened', () => {
  test('speaks the subprotocol graphql-transport-ws, also where the client offers others before it', async () => {
    expect((await fresh()).socket.protocol).toBe('graphql-transport-ws');
    expect((await fresh(['graphql-ws', 'graphql-transport-ws'])).socket.protocol).toBe('graphql-transport-ws');
  });

  test.each([[undefined], ['graphql-ws'], ['soap, wamp']])('with the subprotocols %p is closed with 4406', async (protocols) => {
    const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    // By hand: a client's library would refuse an answer without a subprotocol by itself.
    const asked = request(stack.url, { headers: { ...headers, ...(protocols !== undefined && { 'sec-websocket-protocol': protocols }) } }).end();
    const [response, socket, head] = (await once(asked, 'upgrade')) as [IncomingMessage, Socket, Buffer];
    expect([response.statusCode, response.headers['sec-websocket-protocol']]).toEqual([101, undefined]);
    const frame = head.length > 0 ? head : ((await once(socket, 'data')) as [Buffer])[0];
    socket.destroy();
    // A close frame (RFC 6455, 5.5.1): opcode, length, code, reason.
    expect([frame[0], frame.readUInt16BE(2)]).toEqual([0x88, 4406]);
  });

  test('and says nothing is closed with 4408 after the time to initialise', async () => {
    const openedAt = Date.now();
    const { closed } = await fresh();
    expect(await closed).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
    expect(Date.now() - openedAt).toBeGreaterThanOrEqual(2_900);
  }, 10_000);

  test('is acknowledged once it is initialised', async () => {
    const socket = await fresh();
    socket.send({ type: 'connection_init', payload: { authorization } });
    expect(await socket.message({})).toEqual({ type: 'connection_ack' });
  });

  test('and initialises twice is closed with 4429, acknowledged before or not', async () => {
    const impatient = await fresh();
    impatient.send({ type: 'connection_init', payload: { authorization } });
    impatient.send({ type: 'connection_init', payload: { authorization } });
    expect(await impatient.closed).toEqual({ code: 4429, reason: 'Too many initialisation requests' });
    const acknowledged = await connected();
    acknowledged.send({ type: 'connection_init' });
    expect((await acknowledged.closed).code).toBe(4429);
  }, 10_000);

  test('and is refused is closed with 4403', async () => {
    const socket = await fresh();
    socket.send({ type: 'connection_init', payload: { authorization: 'Bearer nobody' } });
    expect((await socket.closed).code).toBe(4403);
  });

  test('and subscribes before the acknowledgement is closed with 4401', async () => {
    const silent = await fresh();
    silent.send(subscribe('a'));
    expect(await silent.closed).toEqual({ code: 4401, reason: 'Unauthorized' });
    const impatient = await fresh();
    impatient.send({ type: 'connection_init', payload: { authorization: await stack.issuer.bearer({ userId: 'impatient' }) } });
    impatient.send(subscribe('a'));
    expect((await impatient.closed).code).toBe(4401);
  });

  test('may be pinged before it is initialised', async () => {
    const socket = await fresh();
    socket.send({ type: 'ping' });
    expect(await socket.message({ type: 'pong' })).toEqual({ type: 'pong' });
  });
});

describe('A ping', () => {
  test('is answered by a pong with the same payload', async () => {
    const socket = await connected();
    socket.send({ type: 'ping', payload: { sent: 'now' } });
    expect(await socket.message({ type: 'pong' })).toEqual({ type: 'pong', payload: { sent: 'now' } });
  });

  test('need not come before a pong', async () => {
    const socket = await connected();
    socket.send({ type: 'pong' });
    socket.send({ type: 'pong', payload: { by: 'myself' } });
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  });
});

describe('A message', () => {
  test.each([
    ['no JSON', '{"type":'],
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '7'],
    ['without a type', '{}'],
    ['of an unknown type', '{"type":"start","id":"1"}'],
    ['of a type for servers', '{"type":"next","id":"1","payload":{}}'],
    ['of a type that is no text', '{"type":1}'],
    ['an initialisation whose payload is no object', '{"type":"connection_init","payload":"me"}'],
    ['a ping whose payload is a list', '{"type":"ping","payload":[]}'],
    ['a subscribe without id', '{"type":"subscribe","payload":{"query":"{ whoami }"}}'],
    ['a subscribe with an empty id', '{"type":"subscribe","id":"","payload":{"query":"{ whoami }"}}'],
    ['a subscribe whose id is a number', '{"type":"subscribe","id":1,"payload":{"query":"{ whoami }"}}'],
    ['a subscribe without payload', '{"type":"subscribe","id":"1"}'],
    ['a subscribe without query', '{"type":"subscribe","id":"1","payload":{}}'],
    ['a subscribe whose query is no text', '{"type":"subscribe","id":"1","payload":{"query":{}}}'],
    ['a subscribe whose operationName is no text', '{"type":"subscribe","id":"1","payload":{"query":"{ whoami }","operationName":1}}'],
    ['a subscribe whose variables are a list', '{"type":"subscribe","id":"1","payload":{"query":"{ whoami }","variables":[]}}'],
    ['a subscribe whose extensions are a text', '{"type":"subscribe","id":"1","payload":{"query":"{ whoami }","extensions":""}}'],
    ['a complete without id', '{"type":"complete"}'],
  ])('that is %s closes the socket with 4400 and a reason', async (_what, text) => {
    const socket = await connected();
    socket.send(text);
    const { code, reason } = await socket.closed;
    expect(code).toBe(4400);
    expect(reason).not.toBe('');
  });

  test('may have null for what it leaves out', async () => {
    const socket = await connected();
    socket.send({ id: 'a', type: 'subscribe', payload: { query: '{ whoami }', operationName: null, variables: null, extensions: null } });
    expect(await socket.message({ type: 'next' })).toEqual({ id: 'a', type: 'next', payload: { data: { whoami: 'ann' } } });
  });

  test('may come as a binary frame', async () => {
    const socket = await connected();
    socket.socket.send(Buffer.from(JSON.stringify(subscribe('b', '{ whoami }'))));
    await socket.message({ type: 'complete', id: 'b' });
  });
});

describe('An operation of a socket', () => {
  test('is told its events and, when the client completes it, nothing more', async () => {
    const socket = await connected();
    socket.send(subscribe('a'));
    await underWay(1);
    count(1);
    expect(await socket.message({ type: 'next' })).toEqual({ id: 'a', type: 'next', payload: { data: { counted: 1 } } });
    socket.send({ type: 'complete', id: 'a' });
    await underWay(0);
    count(2);
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    expect(socket.messages.map(({ type }) => type)).toEqual(['connection_ack', 'next', 'pong']);
  });

  test('shares its socket with others, each under its own id', async () => {
    const socket = await connected();
    for (const id of ['a', 'b', '  ', '"quoted"']) socket.send(subscribe(id));
    await underWay(4);
    count(5);
    await eventually('four events', () => socket.messages.filter(({ type }) => type === 'next').length === 4);
    expect(new Set(socket.messages.filter(({ type }) => type === 'next').map(({ id }) => id))).toEqual(new Set(['a', 'b', '  ', '"quoted"']));
  });

  test('under the id of one that is under way closes the socket with 4409', async () => {
    const socket = await connected();
    socket.send(subscribe('a'));
    socket.send(subscribe('a'));
    expect(await socket.closed).toEqual({ code: 4409, reason: 'Subscriber for a already exists' });
    await underWay(0);
  }, 10_000);

  test('of any kind keeps its id for itself until it is complete', async () => {
    const socket = await connected();
    socket.send(subscribe('a', '{ whoami }'));
    socket.send(subscribe('a', '{ whoami }'));
    expect((await socket.closed).code).toBe(4409);
  });

  test('may take the id of one that is complete, ended by whichever side', async () => {
    const socket = await connected();
    socket.send(subscribe('a', '{ whoami }'));
    await socket.message({ type: 'complete' });
    socket.send(subscribe('a'));
    await underWay(1);
    socket.send({ type: 'complete', id: 'a' });
    socket.send(subscribe('a'));
    await underWay(1);
    socket.send(subscribe('b', '{ unknown }'));
    await socket.message({ type: 'error' });
    socket.send(subscribe('b', '{ whoami }'));
    await socket.message({ type: 'complete', id: 'b' });
  });

  test('that is a query gets one next and then a complete', async () => {
    const socket = await connected();
    socket.send(subscribe('q', '{ whoami }'));
    await socket.message({ type: 'complete' });
    expect(socket.messages.slice(1)).toEqual([
      { id: 'q', type: 'next', payload: { data: { whoami: 'ann' } } },
      { id: 'q', type: 'complete' },
    ]);
  });

  test('that is a query and was completed by the client before its answer is told nothing', async () => {
    const gate = Promise.withResolvers<void>();
    stack.subgraphs.reviews.beforeAnswer = () => gate.promise;
    const socket = await connected();
    socket.send(subscribe('q', '{ review(id: "v1") { id stars } }'));
    await eventually('the query at the subgraph', () => stack.subgraphs.reviews.requests.length > 0);
    socket.send({ type: 'complete', id: 'q' });
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    await eventually('the end of its fetch', () => stack.logs.some(({ fetchFailures }) => String(fetchFailures).includes('nobody waits')));
    gate.resolve();
    stack.subgraphs.reviews.beforeAnswer = undefined;
    socket.send(subscribe('r', '{ whoami }'));
    await socket.message({ type: 'complete', id: 'r' });
    expect(socket.messages.filter(({ id }) => id === 'q')).toEqual([]);
  });

  test('that is a mutation and was completed by the client goes on to its end', async () => {
    const gate = Promise.withResolvers<void>();
    stack.subgraphs.readers.beforeAnswer = () => gate.promise;
    const socket = await connected();
    socket.send(subscribe('m', 'mutation Renaming { rename(id: "b1", title: "x") { reviews { reader { name } } } }'));
    await eventually('the fetch at the subgraph', () => stack.subgraphs.readers.requests.length > 0);
    socket.send({ type: 'complete', id: 'm' });
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    gate.resolve();
    stack.subgraphs.readers.beforeAnswer = undefined;
    await eventually('the end of the mutation', async () => /_count\{operation="Renaming"[^}]*\} 1$/m.test(await (await fetch(stack.url.replace('/graphql', '/metrics'))).text()));
    expect(stack.logs.filter(({ operationName }) => operationName === 'Renaming')).toEqual([]);
  });

  test('that is refused gets an error with a list of errors, and no complete after it', async () => {
    const socket = await connected();
    socket.send(subscribe('a', '{ unknown }'));
    expect(await socket.message({ type: 'error' })).toEqual({ id: 'a', type: 'error', payload: [expect.objectContaining({ message: expect.any(String) })] });
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    expect(socket.messages.map(({ type }) => type)).toEqual(['connection_ack', 'error', 'pong']);
  });

  test('that its subgraph ends is complete', async () => {
    const socket = await connected();
    socket.send(subscribe('a', 'subscription { reviewRemoved { id } }'));
    expect(await socket.message({ type: 'error' })).toMatchObject({ id: 'a', payload: [{ extensions: { code: 'FORBIDDEN' } }] });
  });

  test('that is unknown may be completed: nothing happens', async () => {
    const socket = await connected();
    socket.send({ type: 'complete', id: 'never heard of' });
    socket.send({ type: 'ping' });
    await socket.message({ type: 'pong' });
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  });

  test('ends at the subgraph when its client closes the socket normally, or is lost', async () => {
    const [polite, lost] = [await connected(), await connected()];
    polite.send(subscribe('a'));
    lost.send(subscribe('a'));
    await underWay(2);
    polite.socket.close(1000);
    expect((await polite.closed).code).toBe(1000);
    await underWay(1);
    lost.socket.terminate();
    await underWay(0);
  });
});
