import { describe, expect, test } from '@jest/globals';
import { federationInMemory } from './federation-in-memory.ts';

describe('features of federation', () => {
  test('interface objects complete objects whose types other subgraphs know', async () => {
    const federation = federationInMemory({
      media: {
        sdl: `type Query { shelf: [Media] } interface Media @key(fields: "id") { id: ID! title: String }
          type Book implements Media @key(fields: "id") { id: ID! title: String pages: Int } type Film implements Media @key(fields: "id") { id: ID! title: String minutes: Int }`,
        resolvers: {
          Query: { shelf: () => [{ __typename: 'Book', id: 1, title: 'B', pages: 9 }, { __typename: 'Film', id: 2, title: 'F', minutes: 90 }] },
          Media: { __resolveReference: ({ id }: { id: string }) => (id === '1' ? { __typename: 'Book', id, title: 'B', pages: 9 } : { __typename: 'Film', id, title: 'F', minutes: 90 }) },
        },
      },
      ratings: {
        sdl: `type Query { best: Media top: Media } type Media @interfaceObject @key(fields: "id") { id: ID! stars: Int }`,
        resolvers: { Query: { best: () => ({ id: 2 }), top: () => ({ id: 1 }) }, Media: { stars: ({ id }: { id: string }) => Number(id) * 2 } },
      },
    });
    expect(await federation.run('{ shelf { __typename stars ... on Book { pages } } best { stars title ... on Film { minutes } } top { stars } }')).toEqual({
      data: {
        shelf: [{ __typename: 'Book', stars: 2, pages: 9 }, { __typename: 'Film', stars: 4 }],
        best: { stars: 4, title: 'F', minutes: 90 },
        top: { stars: 2 },
      },
    });
    const ratings = federation.requests.find(({ subgraph, variables }) => subgraph === 'ratings' && 'representations' in variables);
    expect(ratings?.variables['representations']).toEqual([{ __typename: 'Media', id: '1' }, { __typename: 'Media', id: '2' }]);
  });

  test('keys may hold objects and lists, and required fields fragments', async () => {
    const seen: unknown[] = [];
    const federation = federationInMemory({
      a: {
        sdl: `type Query { rooms: [Room] } type Room @key(fields: "at { house floors } n") { n: Int! at: Address! thing: Thing }
          type Address @shareable { house: String! floors: [Int!] } interface Thing { id: ID! } type Lamp implements Thing { id: ID! watts: Int } type Bed implements Thing { id: ID! width: Int }`,
        resolvers: {
          Query: {
            rooms: () => [
              { n: 1, at: { house: 'h"1"', floors: [1, 2] }, thing: { __typename: 'Lamp', id: 'l', watts: 5 } },
              { n: 2, at: { house: 'h2', floors: null }, thing: { __typename: 'Bed', id: 'b', width: 2 } },
            ],
          },
        },
      },
      b: {
        sdl: `type Room @key(fields: "at { house floors } n") { n: Int! at: Address! thing: Thing @external size: Int @requires(fields: "thing { id ... on Lamp { watts } ... on Bed { width } }") }
          type Address @shareable { house: String! floors: [Int!] } interface Thing { id: ID! } type Lamp implements Thing { id: ID! @external watts: Int @external } type Bed implements Thing { id: ID! @external width: Int @external }`,
        resolvers: {
          Room: {
            size: (room: { thing: { watts?: number; width?: number } }) => {
              seen.push(room);
              return room.thing.watts ?? room.thing.width;
            },
          },
        },
      },
    });
    expect((await federation.run('{ rooms { size } }')).data).toEqual({ rooms: [{ size: 5 }, { size: 2 }] });
    expect(seen).toMatchObject([{ n: 1, at: { house: 'h"1"', floors: [1, 2] }, thing: { id: 'l', watts: 5 } }, { n: 2, at: { floors: null }, thing: { width: 2 } }]);
  });

  test('arguments may come from the context of an entity, which differs from place to place', async () => {
    const currencies: unknown[] = [];
    const federation = federationInMemory({
      shops: {
        sdl: `type Query { shops: [Shop!]! } type Shop @key(fields: "id") @context(name: "shop") { id: ID! currency: String! item: Item! }
          type Item @key(fields: "id") { id: ID! price(currency: String @fromContext(field: "$shop { currency }")): String }`,
        resolvers: {
          Query: { shops: () => [{ id: 1, currency: 'EUR', item: { id: 'i' } }, { id: 2, currency: 'USD', item: { id: 'i' } }, { id: 3, currency: 'EUR', item: { id: 'j' } }] },
          Item: {
            price: ({ id }: { id: string }, { currency }: { currency: string }) => {
              currencies.push(currency);
              return `${id} ${currency}`;
            },
          },
        },
      },
      other: { sdl: 'type Query { other: Int } type Item @key(fields: "id") { id: ID! stock: Int }', resolvers: { Item: { stock: () => 3 } } },
    });
    expect(await federation.run('{ shops { item { price stock } } }')).toEqual({
      data: { shops: [{ item: { price: 'i EUR', stock: 3 } }, { item: { price: 'i USD', stock: 3 } }, { item: { price: 'j EUR', stock: 3 } }] },
    });
    expect(new Set(currencies)).toEqual(new Set(['EUR', 'USD']));
  });

  test('fields of two types that cannot be asked for under one name come under the client\'s', async () => {
    const federation = federationInMemory({
      a: {
        sdl: 'type Query { all: [Either] } union Either = A | B type A { v: Int } type B { v: Int! @shareable }',
        resolvers: {
          Query: { all: () => [{ __typename: 'A', v: 0 }, { __typename: 'B', v: 1 }, { __typename: 'A', v: null }, { __typename: 'A', v: 'no number' }] },
        },
      },
      b: { sdl: 'type Query { one: B } type B { v: Int @shareable }' },
    });
    expect(await federation.run('{ all { ... on A { v } ... on B { v } } }')).toEqual({
      data: { all: [{ v: 0 }, { v: 1 }, { v: null }, { v: null }] },
      errors: [{ message: expect.stringContaining('no number'), path: ['all', 3, 'v'], subgraph: 'a' }],
    });
    expect(federation.requests[0]?.query).toContain('v__alias_0:v');
  });

  test('a field may be required with arguments of its own', async () => {
    const federation = federationInMemory({
      a: { sdl: 'type Query { post: Post } type Post @key(fields: "id") { id: ID! words(max: Int): [String!] }', resolvers: { Query: { post: () => ({ id: 1 }) }, Post: { words: (_: unknown, { max }: { max: number }) => ['x', 'y', 'z'].slice(0, max), __resolveReference: (post: unknown) => post } } },
      b: { sdl: 'type Post @key(fields: "id") { id: ID! words(max: Int): [String!] @external length: Int @requires(fields: "words(max: 3)") }', resolvers: { Post: { length: ({ words }: { words: string[] }) => words.length } } },
    });
    expect((await federation.run('{ post { words(max: 1) length } }')).data).toEqual({ post: { words: ['x'], length: 3 } });
  });
});
