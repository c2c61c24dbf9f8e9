import { federationInMemory, type FederationInMemory } from './federation-in-memory.ts';

const PRODUCTS = [
  { upc: 'p1', name: 'Chair', price: 10, weight: 4, kind: 'SEAT', tags: ['wood', 'old'] },
  { upc: 'p2', name: 'Table', price: 2000, weight: 30, kind: 'FLAT', tags: [] },
];

const REVIEWS = [
  { id: 'r1', upc: 'p1', body: 'good', authorId: 'u1' },
  { id: 'r2', upc: 'p2', body: 'bad', authorId: 'u2' },
  { id: 'r3', upc: 'p1', body: 'fine', authorId: 'u1' },
];

/** Four subgraphs of a shop: keys, requires, provides, unions and a hidden type among them. */
export function createShop(): FederationInMemory {
  return federationInMemory({
    products: {
      sdl: `type Query { products: [Product!]! product(upc: ID!): Product hit: Hit hits: [Hit] }
        type Mutation { rename(upc: ID!, name: String!): Product }
        type Subscription { productChanged: Product }
        enum Kind { SEAT FLAT SECRET @inaccessible }
        scalar Anything
        type Product @key(fields: "upc") { upc: ID! name: String! price: Int weight: Int kind: Kind tags: [String!] made: Anything cover: Cover }
        type Cover { size: Int! }
        type Hidden @inaccessible { text: String }
        type Page { title: String! product: Product }
        union Hit = Product | Page | Hidden`,
      resolvers: {
        Query: {
          products: () => PRODUCTS,
          product: (_: unknown, { upc }: { upc: string }) => PRODUCTS.find((product) => product.upc === upc),
          hit: () => ({ __typename: 'Page', title: 'About', product: PRODUCTS[0] }),
          hits: () => [{ __typename: 'Page', title: 'About' }, { __typename: 'Product', ...PRODUCTS[1] }, { __typename: 'Hidden', text: 'no' }],
        },
        Mutation: { rename: (_: unknown, { upc, name }: { upc: string; name: string }) => ({ ...PRODUCTS.find((product) => product.upc === upc), name }) },
        Product: { made: () => ({ of: ['wood', 1, null] }), __resolveReference: ({ upc }: { upc: string }) => PRODUCTS.find((product) => product.upc === upc) },
      },
    },
    stock: {
      sdl: `type Product @key(fields: "upc") { upc: ID! price: Int @external weight: Int @external inStock: Boolean shipping(fast: Boolean): Int @requires(fields: "price weight") }
        type Mutation { order(upc: ID!): Int }`,
      resolvers: {
        Mutation: { order: () => 7 },
        Product: {
          inStock: ({ upc }: { upc: string }) => upc === 'p1',
          shipping: ({ price, weight }: { price: number; weight: number }, { fast }: { fast?: boolean }) => (price > 1000 ? 0 : weight * (fast === true ? 4 : 2)),
        },
      },
    },
    reviews: {
      sdl: `type Query { reviews: [Review!] }
        type Review @key(fields: "id") { id: ID! body: String! product: Product! author: User @provides(fields: "nick") }
        type Product @key(fields: "upc") { upc: ID! reviews: [Review!]! score: Float! }
        type User @key(fields: "id") { id: ID! nick: String @external reviews: [Review] }`,
      resolvers: {
        Query: { reviews: () => REVIEWS },
        Review: { product: ({ upc }: { upc: string }) => ({ upc }), author: ({ authorId }: { authorId: string }) => ({ id: authorId, nick: `nick-${authorId}` }) },
        Product: { reviews: ({ upc }: { upc: string }) => REVIEWS.filter((review) => review.upc === upc), score: () => 4.5 },
      },
    },
    users: {
      sdl: `type Query { me: User }
        type User @key(fields: "id") { id: ID! nick: String @shareable name: String! }`,
      resolvers: { Query: { me: () => ({ id: 'u1', name: 'Ann' }) }, User: { __resolveReference: ({ id }: { id: string }) => ({ id, nick: `nick-${id}`, name: id === 'u1' ? 'Ann' : 'Bob' }) } },
    },
  });
}
