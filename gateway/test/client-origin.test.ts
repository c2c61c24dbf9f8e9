import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack;
let proxied: Stack;
beforeAll(async () => {
  [stack, proxied] = await Promise.all([startStack(), startStack({}, { TRUSTED_PROXIES: '2' })]);
});
afterAll(() => Promise.all([stack, proxied].map((started) => started?.stop())));
afterEach(() => {
  for (const { subgraphs } of [stack, proxied]) for (const { clients, requests } of Object.values(subgraphs)) clients.length = requests.length = 0;
});

const clientAt = async (at: Stack, headers: Record<string, string>) => {
  await at.query('{ whoami }', { headers });
  return at.subgraphs.books.clients.at(-1);
};

describe('A subgraph is told from where a client came', () => {
  test('by the address of the connection, whatever the client says, and its user agent', async () => {
    const claims = { 'x-forwarded-for': '198.51.100.7', 'x-client-address': '198.51.100.7', 'x-client-agent': 'a forged one', 'user-agent': 'Browser/1.0' };
    expect(await clientAt(stack, claims)).toEqual({ clientAddress: '127.0.0.1', clientAgent: 'Browser/1.0' });
  });

  test('with at most 200 characters of the user agent', async () => {
    expect((await clientAt(stack, { 'user-agent': 'x'.repeat(1_000) }))?.clientAgent).toBe('x'.repeat(200));
  });

  test.each([
    ['two proxies wrote', '198.51.100.7, 192.0.2.1', '198.51.100.7'],
    ['the client wrote the first', '203.0.113.9, 198.51.100.7, 192.0.2.1', '198.51.100.7'],
    ['there is one too few', '198.51.100.7', '198.51.100.7'],
    ['there is none', undefined, '127.0.0.1'],
    ['there is one of IPv6', '2001:db8::7,192.0.2.1', '2001:db8::7'],
    ['they have ports', '198.51.100.7:4711, 192.0.2.1:80', '198.51.100.7'],
    ['they have ports, of IPv6', '[2001:db8::7]:4711, 192.0.2.1', '2001:db8::7'],
    ['there is one that is no address', 'unknown, 192.0.2.1', '127.0.0.1'],
  ])('behind two proxies by what the outer one wrote, when %s', async (_what, forwarded, address) => {
    expect((await clientAt(proxied, forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }))?.clientAddress).toBe(address);
  });

  test('for operations over sockets, subscriptions and the completion of their events too', async () => {
    class Browser extends WebSocket {
      constructor(address: string, protocols: string | string[]) {
        super(address, protocols, { headers: { 'user-agent': 'Browser/2.0', 'x-forwarded-for': '198.51.100.7, 192.0.2.1' } });
      }
    }
    const client = createClient({ url: proxied.url.replace('http', 'ws'), webSocketImpl: Browser, connectionParams: { authorization: await proxied.issuer.bearer() }, retryAttempts: 0 });
    const expected = { clientAddress: '198.51.100.7', clientAgent: 'Browser/2.0' };
    const { books, reviews, readers } = proxied.subgraphs;
    await subscribe(client, { query: '{ whoami }' }).result(1);
    expect(books.clients).toEqual([expected]);
    const watching = subscribe(client, { query: 'subscription { reviewAdded { reader { name } } }' });
    await eventually('the subscription', () => reviews.events.listenerCount('reviewAdded') === 1);
    expect(reviews.clients).toEqual([expected]);
    reviews.events.emit('reviewAdded', { id: 'v1', stars: 5, reader: { id: 'r1' }, book: { id: 'b1' } });
    await watching.result(1);
    expect(readers.clients).toEqual([expected]);
    await client.dispose();
  });
});
