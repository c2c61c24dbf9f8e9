import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { graphql, parse, type GraphQLSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { ORCHARD } from './gateway-orchard.ts';

type Named = Readonly<Record<string, unknown>>;

const tree = (id: unknown): Named => ({ __typename: 'Tree', id: String(id), name: `tree ${String(id)}`, kind: 'PEAR', height: 3.5, planted: '2020-02-29', notes: [['old', null], null] });
const fruit = (id: unknown): Named => ({ __typename: 'Fruit', id: String(id), name: `fruit ${String(id)}`, grams: 120 });
const picker = (id: unknown): Named => ({ __typename: 'Picker', id: String(id), name: `picker ${String(id)}` });
const some = (first: unknown, make: (id: unknown) => Named): Named[] => Array.from({ length: Math.max(0, Math.min(Number(first), 5)) }, (_, at) => make(`n${at}`));

async function* ticks({ every = 20, times = 3 }: { readonly every?: number | null; readonly times?: number | null }): AsyncGenerator<{ ticked: number }> {
  for (let tick = 1; tick <= Math.min(times ?? 3, 1_000); tick += 1) {
    yield { ticked: tick };
    await delay(Math.max(5, every ?? 20));
  }
}

const RESOLVERS = {
  trees: {
    Tree: {
      __resolveReference: ({ id }: Named) => tree(id),
      parent: ({ id }: Named) => tree(`p${String(id).slice(0, 8)}`),
      fruits: (_: unknown, { first }: Named) => some(first, fruit),
      neighbours: (_: unknown, { first }: Named) => some(first, tree),
    },
    Fruit: { __resolveReference: ({ id }: Named) => fruit(id), tree: () => tree('t1') },
    Found: { __resolveType: ({ __typename }: Named) => __typename },
    Grown: { __resolveType: ({ __typename }: Named) => __typename },
    Query: {
      tree: (_: unknown, { id }: Named) => tree(id),
      trees: (_: unknown, { first }: Named) => some(first, tree),
      search: (_: unknown, { first }: Named) => [...some(first, tree), ...some(first, fruit)],
      grown: (_: unknown, { id }: Named) => fruit(id),
      echo: (_: unknown, given: Named) => JSON.stringify(given),
    },
    Mutation: { plant: () => tree('new'), fell: () => true },
  },
  pickers: {
    Tree: { __resolveReference: ({ id }: Named) => ({ id }), picker: () => picker('k1'), weight: () => 12.5 },
    Fruit: { __resolveReference: ({ id }: Named) => ({ id }) },
    Picker: { __resolveReference: ({ id }: Named) => picker(id), trees: (_: unknown, { first }: Named) => some(first, (id) => ({ id })) },
    Query: { picker: (_: unknown, { id }: Named) => picker(id), pickers: () => some(3, picker) },
    Subscription: {
      ripened: {
        subscribe: async function* ripened() {
          for (let at = 0; at < 100; at += 1) {
            yield { ripened: { id: `f${at}` } };
            await delay(20);
          }
        },
      },
      ticked: { subscribe: (_: unknown, given: Named) => ticks(given) },
    },
  },
};

/** Serves one of them at a free port. @returns its URL */
async function serve(schema: GraphQLSchema): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => void answer(schema, Buffer.concat(chunks).toString()).then((text) => response.setHeader('content-type', 'application/json').end(text)));
  });
  useServer({ schema }, new WebSocketServer({ server }));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
}

async function answer(schema: GraphQLSchema, body: string): Promise<string> {
  if (body === '') return '{}';
  const { query, variables, operationName } = JSON.parse(body) as { query: string; variables?: Record<string, unknown>; operationName?: string };
  return JSON.stringify(await graphql({ schema, source: query, variableValues: variables, operationName }));
}

// The subgraphs of the orchard, in a process of their own that tells where they are.
const urls: Record<string, string> = {};
for (const name of ['trees', 'pickers'] as const) urls[name] = await serve(buildSubgraphSchema([{ typeDefs: parse(ORCHARD[name]), resolvers: RESOLVERS[name] as never }]));
// Whoever has started it is gone.
process.on('disconnect', () => process.exit());
process.send?.({ urls });
