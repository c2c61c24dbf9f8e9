import { once } from 'node:events';
import { afterEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack | undefined;
afterEach(() => stack?.stop());

describe('A gateway that stops', () => {
  test('closes its sockets with 1001, gives up its subscriptions and leaves no socket open', async () => {
    stack = await startStack();
    const { subgraphs } = stack;
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { counted }' });
    await eventually('the subscription at the subgraph', () => subgraphs.reviews.events.listenerCount('counted') === 1);
    await stack.stopGateway();
    expect(await subscriber.failure()).toMatchObject({ code: 1001 });
    await eventually('no subscription at the subgraph', () => subgraphs.reviews.events.listenerCount('counted') === 0);
    await expect(fetch(stack.url)).rejects.toThrow();
  });

  test('cuts within two seconds a socket that does not answer its closing', async () => {
    stack = await startStack();
    const socket = new WebSocket(stack.url.replace('http', 'ws'), 'graphql-transport-ws');
    await once(socket, 'open');
    socket.pause();
    const stoppedAt = Date.now();
    await stack.stopGateway();
    expect(Date.now() - stoppedAt).toBeLessThan(2_500);
    socket.terminate();
  });

  test('is done as soon as its last answer is given, though the client keeps its connection', async () => {
    stack = await startStack();
    const gate = Promise.withResolvers<void>();
    let asked = false;
    stack.subgraphs.reviews.beforeAnswer = () => {
      asked = true;
      return gate.promise;
    };
    const answer = stack.query('{ review(id: "v1") { stars } }');
    await eventually('the query at the subgraph', () => asked);
    const stopped = stack.stopGateway();
    gate.resolve();
    await answer;
    const answeredAt = Date.now();
    await stopped;
    expect(Date.now() - answeredAt).toBeLessThan(1_000);
  });

  test('lets a query under way finish, with the fetches that it has yet to make', async () => {
    stack = await startStack();
    const gate = Promise.withResolvers<void>();
    let asked = false;
    stack.subgraphs.reviews.beforeAnswer = () => {
      asked = true;
      return gate.promise;
    };
    const answer = stack.query('{ review(id: "v1") { reader { name } } }');
    await eventually('the query at the subgraph', () => asked);
    const stopped = stack.stopGateway();
    gate.resolve();
    expect((await answer).data).toEqual({ review: { reader: { name: 'name of r1' } } });
    await stopped;
  });
});
