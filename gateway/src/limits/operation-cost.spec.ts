import { describe, expect, test } from '@jest/globals';
import { buildSchema, getIntrospectionQuery, getVariableValues, parse, specifiedRules, validate, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import { compileCost, costError } from './operation-cost.ts';

const schema = buildSchema(`
  interface Node { id: ID! }
  type Book implements Node { id: ID! title: String tags: [String!] author: Author! similar(limit: Int): [Book!]! pages(of: Int): Int }
  type Author implements Node { id: ID! name: String books(first: Int, last: Int, after: String): BookConnection! }
  type BookConnection { edges: [BookEdge!]! nodes: [Book!]! pageInfo: PageInfo! related: [Book!]! }
  type BookEdge { node: Book! }
  type PageInfo { hasNextPage: Boolean! }
  union Found = Book | Author
  type Query {
    book: Book
    books(first: Int = 20): [Book!]!
    shelf(size: Int!): [Book!]
    grid(take: Int): [[Book!]!]!
    named(first: String): [Book!]
    node: Node
    found: [Found!]!
    count: Int
  }
  type Mutation { rename: Book remove: Boolean }
  type Subscription { added: Book }
`);

function costOf(query: string, variables: Record<string, unknown> = {}, under: GraphQLSchema = schema): number {
  const document = parse(query);
  expect(validate(under, document, specifiedRules)).toEqual([]);
  const operation = document.definitions.find((definition): definition is OperationDefinitionNode => definition.kind === 'OperationDefinition')!;
  const { coerced } = getVariableValues(under, operation.variableDefinitions ?? [], variables);
  return compileCost(under, document, operation, { assumedListSize: 10 })(coerced!);
}

describe('An operation costs', () => {
  test.each([
    ['nothing for scalars', '{ count __typename }', 0],
    ['1 for an object, its scalars and their lists included', '{ book { id title tags } }', 1],
    ['1 for each object in it', '{ book { author { id } } }', 2],
    ['10 for each root field of a mutation', 'mutation { remove rename { author { id } } }', 21],
    ['1 for the object of an event', 'subscription { added { id } }', 1],
    ['as much as a list is assumed to be long', '{ found { __typename } }', 10],
    ['as much as the argument says', '{ books(first: 3) { id } }', 3],
    ['as much as the argument’s default says', '{ books { id } }', 20],
    ['what is in a list as often as the list is long', '{ books(first: 3) { author { id } similar(limit: 5) { author { id } } } }', 3 * (1 + 1 + 5 * 2)],
    ['nothing for a list of none', '{ books(first: 0) { author { id } } }', 0],
    ['the assumed size for a negative one', '{ books(first: -1) { id } }', 10],
    ['the assumed size for null', '{ books(first: null) { id } }', 10],
    ['the assumed size where the argument is no number', '{ named(first: "2") { id } }', 10],
    ['a list of lists by the argument times the assumed size', '{ grid(take: 3) { id } }', 30],
    ['the edges and nodes of a connection by the connection’s argument', '{ book { author { books(first: 4) { pageInfo { hasNextPage } edges { node { id } } nodes { id } related { id } } } } }', 1 + 1 + 1 + 1 + 4 * 2 + 4 + 10],
    ['the larger of two arguments', '{ book { author { books(first: 4, last: 6) { nodes { id } } } } }', 1 + 1 + 1 + 6],
    ['a connection without arguments by the assumed size', '{ book { author { books { nodes { id } } } } }', 1 + 1 + 1 + 10],
    ['the edges that a fragment asks of a connection', '{ book { author { books(first: 4) { ...C ... { nodes { id } } } } } } fragment C on BookConnection { edges { node { id } } }', 3 + 8 + 4],
    ['the same fragment by each connection’s own size', '{ a: book { author { books(first: 4) { ...C } } } b: book { author { books(first: 7) { ...C } } } } fragment C on BookConnection { nodes { id } }', 3 + 4 + 3 + 7],
    ['the dearest possible type', '{ node { ... on Book { author { id } } ... on Author { books(first: 5) { nodes { id } } } } }', 1 + 6],
    ['what all possible types have, besides', '{ found { ... on Node { id } ... on Book { author { id } a: author { id } } ... on Author { id } } }', 10 * 3],
    ['nothing for what is never asked', '{ book @skip(if: true) { id } ... @include(if: false) { book { id } } }', 0],
  ])('%s', (_name, query, cost) => {
    expect(costOf(query)).toBe(cost);
  });

  test('what the variables say: their values, their defaults, the argument’s default, or what is assumed', () => {
    const query = 'query ($first: Int, $size: Int = 7) { books(first: $first) { id } shelf(size: $size) { similar(limit: $first) { id } } }'.replace('$size: Int = 7', '$size: Int! = 7');
    expect(costOf(query, { first: 2, size: 3 })).toBe(2 + 3 * (1 + 2));
    expect(costOf(query, { first: 2 })).toBe(2 + 7 * (1 + 2));
    expect(costOf(query, {})).toBe(20 + 7 * (1 + 10));
    expect(costOf(query, { first: null })).toBe(10 + 7 * (1 + 10));
  });

  test('the size of a connection from a variable, and of lists in lists', () => {
    expect(costOf('query ($n: Int) { book { author { books(last: $n) { edges { node { id } } } } } }', { n: 50 })).toBe(3 + 100);
    expect(costOf('query ($n: Int) { grid(take: $n) { id } }', { n: 3 })).toBe(30);
  });

  test('nothing for what a variable leaves out', () => {
    const query = 'query ($yes: Boolean!) { book @include(if: $yes) { id } ... @skip(if: $yes) { books(first: 5) { id } } }';
    expect([costOf(query, { yes: true }), costOf(query, { yes: false })]).toEqual([1, 5]);
  });

  test('little for introspection', () => {
    expect(costOf(getIntrospectionQuery())).toBeLessThan(100_000);
  });

  test('at most the largest safe integer, and takes no time for fragments that double', () => {
    const bomb = `{ book { ...F0 } } ${Array.from({ length: 60 }, (_, n) => `fragment F${n} on Book { similar { ...F${n + 1} } author { id } ...F${n + 1} }`).join(' ')} fragment F60 on Book { author { id } }`;
    const doubling = `query ($n: Int) { book { ...F0 } } ${Array.from({ length: 30 }, (_, n) => `fragment F${n} on Book { a: similar(limit: $n) { ...F${n + 1} } b: similar { ...F${n + 1} } }`).join(' ')} fragment F30 on Book { id }`;
    const startedAt = performance.now();
    // Validation is skipped: it takes long for these, and other limits refuse them before.
    for (const query of [bomb, doubling]) {
      const document = parse(query);
      const price = compileCost(schema, document, document.definitions[0] as OperationDefinitionNode, { assumedListSize: 1_000_000 });
      expect(price({ n: 2_147_483_647 })).toBe(Number.MAX_SAFE_INTEGER);
    }
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

describe('With the directives of the cost specification an operation costs', () => {
  const priced = buildSchema(`
    schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/cost/v0.1", import: [{ name: "@cost", as: "@price" }, "@listSize"]) { query: Query mutation: Mutation }
    directive @link(url: String!, as: String, for: Purpose, import: [Import]) repeatable on SCHEMA
    scalar Import
    enum Purpose { SECURITY EXECUTION }
    directive @price(weight: Int!) on ARGUMENT_DEFINITION | ENUM | FIELD_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | SCALAR
    directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
    scalar Picture @price(weight: 3)
    type Report @price(weight: 5) { rows: [Row!]! picture: Picture total: Int @price(weight: 2) }
    type Row { id: ID }
    type Page { rows: [Row!]! others: [Row!]! }
    union Any = Report | Row
    type Query {
      report(deep: Boolean @price(weight: 100)): Report
      dear: Row @price(weight: 50)
      reports(count: Int, first: Int): [Report!]! @listSize(slicingArguments: ["count"])
      few: [Row!]! @listSize(assumedSize: 2)
      page(count: Int): Page @listSize(assumedSize: 4, slicingArguments: ["count"], sizedFields: ["rows"])
      any: Any
    }
    type Mutation { cheap: Int @price(weight: 1) }
  `);

  test.each([
    ['the weight of a type', '{ report { __typename } }', 5],
    ['the weight of a scalar type and of a field', '{ report { picture total } }', 10],
    ['the weight of a field before that of its type', '{ dear { id } }', 50],
    ['the weight of an argument that is given', '{ report(deep: true) { __typename } }', 105],
    ['the largest weight of the possible types', '{ any { __typename } }', 5],
    ['lists by the arguments that are named, and by no other', '{ a: reports(count: 3) { __typename } b: reports(first: 3) { __typename } }', 15 + 50],
    ['lists by their assumed size', '{ few { id } }', 2],
    ['the sized fields of what is answered', '{ a: page { rows { id } others { id } } b: page(count: 1) { rows { id } } }', 1 + 4 + 10 + 1 + 1],
    ['a mutation its weight', 'mutation { cheap }', 1],
  ])('%s', (_name, query, cost) => {
    expect(costOf(query, {}, priced)).toBe(cost);
  });
});

test('The refusal tells both figures and what to do', () => {
  const error = costError(1_200, 1_000);
  expect(error.message).toMatch(/^The operation costs 1200, more than the 1000 that one may: .*Ask for shorter lists/);
  expect(error.extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_TOO_EXPENSIVE', cost: 1_200, maxCost: 1_000 });
});
