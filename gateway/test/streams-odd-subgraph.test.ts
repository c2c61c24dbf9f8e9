import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { WebSocketServer } from 'ws';
import { startStack, type Stack } from './support/stack.ts';

/** Longer than the tokens live, by far. */
const PATIENCE_MS = 8_000;

/** A subgraph that lets subscriptions last, whoever they are of, so that nothing but the gateway ends them, and tells too much of those that it refuses. */
let subgraph: WebSocketServer;
let stack: Stack;
beforeAll(async () => {
  subgraph = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  subgraph.on('connection', (socket) => {
    socket.on('message', (data) => {
      const { type, id, payload } = JSON.parse((data as Buffer).toString()) as { type: string; id?: string; payload?: { query: string } };
      if (type === 'connection_init') socket.send('{"type":"connection_ack"}');
      if (type === 'subscribe' && payload?.query.includes('reviewRemoved') === true) socket.send(JSON.stringify({ id, type: 'error', payload: [{ message: 'no database at 10.0.0.7', extensions: { code: 'ECONNREFUSED' } }] }));
    });
  });
  await once(subgraph, 'listening');
  stack = await startStack({ reviews: `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/graphql` });
});
afterAll(async () => {
  await stack.stop();
  subgraph.close();
});

const shortLived = () => stack.issuer.bearer({ expiresInSeconds: 2 });
const ask = (url: string, headers: Record<string, string>, request: object = { query: 'subscription { counted }' }) =>
  fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(request), signal: AbortSignal.timeout(PATIENCE_MS) });

test.each([['text/event-stream'], ['multipart/mixed;subscriptionSpec=1.0, application/json']])('A stream of %s ends with its token, however long its subgraph would let it last', async (accept) => {
  const stream = await ask(stack.url, { accept, authorization: await shortLived() });
  expect(await stream.text()).toContain('UNAUTHENTICATED');
});

test('An operation of a single connection ends with its token, however long its subgraph would let it last', async () => {
  const authorization = await shortLived();
  const url = `${stack.url}/stream`;
  const token = await (await fetch(url, { method: 'PUT', headers: { authorization } })).text();
  const stream = await fetch(url, { headers: { accept: 'text/event-stream', authorization, 'x-graphql-event-stream-token': token }, signal: AbortSignal.timeout(PATIENCE_MS) });
  expect((await ask(url, { authorization, 'x-graphql-event-stream-token': token }, { query: 'subscription { counted }', extensions: { operationId: 'a' } })).status).toBe(202);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of stream.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk);
    if (text.includes('complete')) break;
  }
  expect(text).toContain('UNAUTHENTICATED');
});

test('What a subgraph tells of a subscription that it refuses is masked, unless it has a code from the list', async () => {
  const stream = await ask(stack.url, { accept: 'text/event-stream' }, { query: 'subscription { reviewRemoved { id } }' });
  const text = await stream.text();
  expect(text).toContain('"code":"INTERNAL"');
  expect(text).not.toMatch(/database|10\.0\.0\.7|ECONNREFUSED/);
});
