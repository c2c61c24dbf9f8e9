import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';

/** One of the four subgraphs of the shop that the gateways serve. */
export interface ShopSubgraph {
  readonly name: string;
  /** In the words that both versions of federation know: some peers know the first one alone. */
  readonly sdl: string;
}

/** Before the schema of each subgraph, for whom knows the second version of federation. */
const FEDERATION_2 = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@external", "@requires"])\n';

const ACCOUNTS = `
  extend type Query {
    me: Shopper
    shoppers: [Shopper!]!
  }
  type Shopper @key(fields: "id") {
    id: ID!
    handle: String!
    fullName: String!
    since: String!
    points: Int!
  }`;

const PRODUCTS = `
  extend type Query {
    featured(first: Int = 5): [Article!]!
    catalogue(first: Int = 100): [Article!]!
  }
  type Article @key(fields: "code") {
    code: ID!
    title: String!
    maker: String!
    summary: String!
    priceCents: Int!
    weightGrams: Int!
  }`;

const INVENTORY = `
  extend type Article @key(fields: "code") {
    code: ID! @external
    priceCents: Int! @external
    weightGrams: Int! @external
    inStock: Boolean!
    shelf: String!
    deliveryCents: Int! @requires(fields: "priceCents weightGrams")
  }`;

const REVIEWS = `
  type Opinion @key(fields: "id") {
    id: ID!
    stars: Int!
    text: String!
    author: Shopper!
    article: Article!
  }
  extend type Shopper @key(fields: "id") {
    id: ID! @external
    opinions: [Opinion!]!
  }
  extend type Article @key(fields: "code") {
    code: ID! @external
    opinions: [Opinion!]!
    opinionCount: Int!
    rating: Float
  }`;

export const SHOP: readonly ShopSubgraph[] = [
  { name: 'accounts', sdl: ACCOUNTS },
  { name: 'inventory', sdl: INVENTORY },
  { name: 'products', sdl: PRODUCTS },
  { name: 'reviews', sdl: REVIEWS },
];

/** What a subgraph of the second version of federation says of itself. */
export function federation2Sdl({ sdl }: ShopSubgraph): string {
  return FEDERATION_2 + sdl;
}

/** @param urls of the subgraphs, by their names */
export function composeShop(urls: Readonly<Record<string, string>>): string {
  const composed = composeServices(SHOP.map((subgraph) => ({ name: subgraph.name, url: urls[subgraph.name] ?? '', typeDefs: parse(federation2Sdl(subgraph)) })));
  if (composed.errors !== undefined) throw new AggregateError(composed.errors, 'the shop does not compose');
  return `${composed.supergraphSdl.trimEnd()}\n`;
}
