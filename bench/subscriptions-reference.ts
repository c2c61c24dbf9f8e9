import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

/**
 * What a server takes that does less than a gateway, in a process of its own: `graphql-ws` has that package serve subscriptions of its own
 * schema which never bring an event; `bare` answers the same messages by hand and remembers nothing but ids.
 */
const [kind] = process.argv.slice(2);
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

if (kind === 'graphql-ws') {
  const schema = buildSchema('type Query { ok: Boolean } type Change { account: ID! balance: Int! at: Float! } type Subscription { changed(account: ID!): Change! }');
  useServer({ schema, roots: { subscription: { changed: silence } } }, sockets);
} else {
  sockets.on('connection', (socket) => {
    const ids = new Set<string>();
    socket.on('message', (data) => {
      const { type, id } = JSON.parse((data as Buffer).toString()) as { type: string; id: string };
      if (type === 'connection_init') socket.send('{"type":"connection_ack"}');
      if (type === 'subscribe') ids.add(id);
      if (type === 'complete') ids.delete(id);
    });
  });
}

/** Events that never come. */
function silence(): AsyncIterableIterator<never> {
  let leave: () => void = () => {};
  return {
    next: () => new Promise((resolve) => (leave = () => resolve({ done: true, value: undefined }))),
    return: async () => {
      leave();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
