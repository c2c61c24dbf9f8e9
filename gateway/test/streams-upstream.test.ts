import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { WebSocketServer, type WebSocket } from 'ws';
import { createGatewayMetrics } from '../src/gateway-metrics.ts';
import type { UpstreamSubscriber } from '../src/streams/upstream-socket.ts';
import { createUpstreamSockets, type UpstreamSockets } from '../src/streams/upstream-sockets.ts';
import { eventually } from './support/eventually.ts';

/** A subgraph whose messages are written by hand. */
interface HandSubgraph {
  readonly url: string;
  readonly sockets: WebSocket[];
  readonly upgrades: IncomingHttpHeaders[];
  /** What it was told, all sockets together. */
  readonly told: Record<string, any>[];
  readonly closings: number[];
  tell(message: unknown): void;
  subscribed(count: number): Promise<Record<string, any>[]>;
  stop(): Promise<void>;
}

const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.stop();
});

async function startSubgraph(port = 0, acknowledges = true): Promise<HandSubgraph> {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  const sockets: WebSocket[] = [];
  const upgrades: IncomingHttpHeaders[] = [];
  const told: Record<string, any>[] = [];
  const closings: number[] = [];
  server.on('connection', (socket, request) => {
    sockets.push(socket);
    upgrades.push(request.headers);
    socket.on('close', (code) => closings.push(code));
    socket.on('message', (data) => {
      const message = JSON.parse((data as Buffer).toString()) as Record<string, any>;
      if (message['type'] === 'connection_init' && acknowledges) socket.send('{"type":"connection_ack"}');
      told.push(message);
    });
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  const subgraph: HandSubgraph = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/graphql`,
    sockets,
    upgrades,
    told,
    closings,
    tell: (message) => sockets.at(-1)?.send(typeof message === 'string' ? message : JSON.stringify(message)),
    subscribed: (count) =>
      eventually(`${count} subscribe messages`, () => {
        const messages = told.filter(({ type }) => type === 'subscribe');
        return messages.length >= count && messages;
      }),
    stop: async () => {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  open.push(subgraph);
  return subgraph;
}

function createUpstream(subgraph: HandSubgraph, secret: string | undefined = 'secret-of-the-hand'): UpstreamSockets {
  const upstream = createUpstreamSockets({
    endpoint: (name) => (name === 'hand' ? { name, url: subgraph.url, secret } : undefined),
    metrics: createGatewayMetrics(createMetrics('test')),
    logger: createLogger('test', 'silent'),
  });
  open.push(upstream);
  return upstream;
}

function subscriber(request: unknown = { query: 'subscription { ticks }' }) {
  const heard: unknown[] = [];
  const told: UpstreamSubscriber = {
    request: () => request,
    event: (answer) => void heard.push(answer),
    refused: (errors) => void heard.push({ refused: errors }),
    ended: () => void heard.push('ended'),
  };
  return { ...told, heard };
}

describe('The socket to a subgraph', () => {
  test('is opened with the gateway’s secret and the protocol when the first subscription comes, and carries them all', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    expect(subgraph.sockets).toHaveLength(0);
    socket.subscribe(subscriber());
    socket.subscribe(subscriber());
    const messages = await subgraph.subscribed(2);
    expect(messages).toEqual([1, 2].map((id) => ({ id: String(id), type: 'subscribe', payload: { query: 'subscription { ticks }' } })));
    expect(subgraph.upgrades).toHaveLength(1);
    expect(subgraph.upgrades[0]).toMatchObject({ 'x-gateway-secret': 'secret-of-the-hand', 'sec-websocket-protocol': 'graphql-transport-ws' });
    expect(subgraph.told[0]).toEqual({ type: 'connection_init' });
  });

  test('brings no secret where there is none', async () => {
    const subgraph = await startSubgraph();
    const upstream = createUpstreamSockets({
      endpoint: (name) => ({ name, url: subgraph.url, secret: undefined }),
      metrics: createGatewayMetrics(createMetrics('test')),
      logger: createLogger('test', 'silent'),
    });
    open.push(upstream);
    upstream.socketFor('hand')?.subscribe(subscriber());
    await subgraph.subscribed(1);
    expect(subgraph.upgrades[0]).not.toHaveProperty('x-gateway-secret');
  });

  test('gives each subscription its events, its refusal and its end', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    const [first, second, third] = [subscriber(), subscriber(), subscriber()];
    for (const one of [first, second, third]) socket.subscribe(one);
    await subgraph.subscribed(3);
    subgraph.tell({ id: '2', type: 'next', payload: { data: { ticks: 1 } } });
    subgraph.tell({ id: '1', type: 'error', payload: [{ message: 'no' }] });
    subgraph.tell({ id: '3', type: 'complete' });
    subgraph.tell({ id: '77', type: 'next', payload: { data: { ticks: 2 } } });
    await eventually('the end', () => third.heard.length > 0);
    expect([first.heard, second.heard, third.heard]).toEqual([[{ refused: [{ message: 'no' }] }], [{ data: { ticks: 1 } }], ['ended']]);
    expect(socket.size).toBe(1);
  });

  test('tells the subgraph who has left', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    const id = socket.subscribe(subscriber());
    await subgraph.subscribed(1);
    socket.unsubscribe(id);
    await eventually('the complete message', () => subgraph.told.some((message) => message['type'] === 'complete' && message['id'] === '1'));
  });

  test('answers pings', async () => {
    const subgraph = await startSubgraph();
    createUpstream(subgraph).socketFor('hand')?.subscribe(subscriber());
    await subgraph.subscribed(1);
    subgraph.tell({ type: 'ping' });
    await eventually('the pong', () => subgraph.told.some(({ type }) => type === 'pong'));
  });

  test('is pinged when nothing comes over it, and given up when nothing comes then: its subscriptions go on over another', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    const one = subscriber();
    socket.subscribe(one);
    await subgraph.subscribed(1);
    socket.look();
    expect(subgraph.told.some(({ type }) => type === 'ping')).toBe(false);
    socket.look();
    await eventually('the ping', () => subgraph.told.some(({ type }) => type === 'ping'));
    socket.look();
    await subgraph.subscribed(2);
    expect(subgraph.sockets).toHaveLength(2);
    subgraph.tell({ id: '1', type: 'next', payload: { data: { ticks: 3 } } });
    await eventually('the event', () => one.heard.length > 0);
    expect(one.heard).toEqual([{ data: { ticks: 3 } }]);
  });

  test('over which a pong comes is kept', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    socket.subscribe(subscriber());
    await subgraph.subscribed(1);
    for (let round = 1; round <= 3; round += 1) {
      for (const look of [1, 2]) if (look > 0) socket.look();
      await eventually('the ping', () => subgraph.told.filter(({ type }) => type === 'ping').length === round);
      subgraph.tell({ type: 'pong' });
      subgraph.tell({ type: 'ping' });
      await eventually('the pong', () => subgraph.told.filter(({ type }) => type === 'pong').length === round);
    }
    expect(subgraph.sockets).toHaveLength(1);
  });

  test('without subscriptions is closed, and opened again for the next one', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    socket.unsubscribe(socket.subscribe(subscriber()));
    await eventually('the socket', () => subgraph.told.length > 0);
    await eventually('the closing', () => {
      socket.look();
      return subgraph.closings.length > 0;
    });
    expect(subgraph.closings).toEqual([1000]);
    socket.subscribe(subscriber());
    await subgraph.subscribed(1);
    expect(subgraph.sockets).toHaveLength(2);
  });

  test.each([['{"type":'], ['[]'], ['{"type":"unheard-of"}'], ['{"type":"next","id":"1"}'], ['{"type":"error","id":"1","payload":[]}']])('over which %s comes is closed with 4400 and replaced', async (text) => {
    const subgraph = await startSubgraph();
    createUpstream(subgraph).socketFor('hand')?.subscribe(subscriber());
    await subgraph.subscribed(1);
    subgraph.tell(text);
    await subgraph.subscribed(2);
    expect(subgraph.closings).toEqual([4400]);
  });

  test('that is lost is replaced, and all of its subscriptions are made again', async () => {
    const subgraph = await startSubgraph();
    const socket = createUpstream(subgraph).socketFor('hand')!;
    const both = [subscriber(), subscriber()];
    for (const one of both) socket.subscribe(one);
    await subgraph.subscribed(2);
    await subgraph.stop();
    open.splice(open.indexOf(subgraph), 1);
    const again = await startSubgraph(Number(new URL(subgraph.url).port));
    const messages = await again.subscribed(2);
    expect(messages.map(({ id }) => id)).toEqual(['1', '2']);
    for (const id of ['1', '2']) again.tell({ id, type: 'next', payload: { data: { ticks: 9 } } });
    await eventually('both events', () => both.every(({ heard }) => heard.length > 0));
    expect(both.map(({ heard }) => heard)).toEqual([[{ data: { ticks: 9 } }], [{ data: { ticks: 9 } }]]);
  });

  test('that is never acknowledged refuses its subscriptions after five seconds', async () => {
    const subgraph = await startSubgraph(0, false);
    const one = subscriber();
    createUpstream(subgraph).socketFor('hand')?.subscribe(one);
    await eventually('the refusal', () => one.heard.length > 0);
    expect(one.heard).toEqual([{ refused: [{ message: expect.stringContaining('subscribe again'), extensions: { code: 'SERVICE_UNAVAILABLE' } }] }]);
  });
});

describe('The sockets to the subgraphs', () => {
  test('are up to four for one subgraph, of 500 subscriptions each before another is opened', async () => {
    const subgraph = await startSubgraph();
    const upstream = createUpstream(subgraph);
    for (let n = 0; n < 2_400; n += 1) upstream.socketFor('hand')?.subscribe(subscriber());
    await subgraph.subscribed(2_400);
    expect(subgraph.sockets).toHaveLength(4);
    expect(upstream.socketFor('hand')?.size).toBe(600);
  });

  test('lead to no subgraph that the supergraph does not have', async () => {
    expect(createUpstream(await startSubgraph()).socketFor('elsewhere')).toBeUndefined();
  });
});
