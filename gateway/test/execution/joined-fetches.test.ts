import { describe, expect, test } from '@jest/globals';
import type { FetchRequest } from '../../src/execution/compiled-operation.ts';
import type { SubgraphAnswer } from '../../src/operation-context.ts';
import { federationInMemory, type Answering, type FederationInMemory } from './federation-in-memory.ts';

function federation(): FederationInMemory {
  return federationInMemory({
    a: {
      sdl: `type Query { first: Left second(n: Int): Right many: [Left!]! } type Left @key(fields: "id") { id: ID! } type Right @key(fields: "id") { id: ID! }`,
      resolvers: { Query: { first: () => ({ id: 1 }), second: () => ({ id: 2 }), many: () => Array.from({ length: 300 }, (_, id) => ({ id })) } },
    },
    b: {
      sdl: 'type Left @key(fields: "id") { id: ID! left(by: Int): String part: Part } type Right @key(fields: "id") { id: ID! right(by: Int): String part: Part } type Part { x: Int y: Int z: Int }',
      resolvers: {
        Left: { left: ({ id }: { id: string }, { by }: { by?: number }) => `left ${id} ${by}`, part: () => ({ x: 1, y: 2, z: 3 }) },
        Right: {
          right: ({ id }: { id: string }, { by }: { by?: number }) => {
            if (by === 13) throw new Error('unlucky');
            return `right ${id} ${by}`;
          },
          part: () => ({ x: 4, y: 5, z: 6 }),
        },
      },
    },
  });
}

const QUERY = 'query Both($by: Int, $representations1: Int) { first { left(by: $by) part { ...P } again: part { ...P } } second(n: $representations1) { right(by: $by) part { ...P } more: part { ...P } } } fragment P on Part { x y z }';
const PART = { x: 1, y: 2, z: 3 };
const OTHER_PART = { x: 4, y: 5, z: 6 };
const DATA = { first: { left: 'left 1 5', part: PART, again: PART }, second: { right: 'right 2 5', part: OTHER_PART, more: OTHER_PART } };

describe('fetches of entities that start at the same moment', () => {
  test('go to their subgraph in one request', async () => {
    const both = federation();
    expect(await both.run(QUERY, { variables: { by: 5, representations1: 1 } })).toEqual({ data: DATA });
    expect(both.requests.map(({ subgraph, variables }) => [subgraph, variables])).toEqual([
      ['a', expect.anything()],
      ['b', { by: 5, representations0: [{ __typename: 'Left', id: '1' }], representations1: [{ __typename: 'Right', id: '2' }] }],
    ]);
  });

  test('have the same document each time', async () => {
    const both = federation();
    await both.run(QUERY, { variables: { by: 5 } });
    await both.run(QUERY, { variables: { by: 6 } });
    expect(both.requests[1]?.query).toBe(both.requests[3]?.query);
  });

  test('get their own errors', async () => {
    const both = federation();
    expect(await both.run(QUERY, { variables: { by: 13 } })).toMatchObject({
      data: { first: { left: 'left 1 13' }, second: { right: null, part: OTHER_PART } },
      errors: [{ message: 'unlucky', path: ['second', 'right'], subgraph: 'b' }],
    });
    expect(both.requests).toHaveLength(2);
  });

  test('all fail when the subgraph is down', async () => {
    const answering: Answering = ({ subgraph }) => (subgraph === 'b' ? { code: 'SERVICE_UNAVAILABLE', reason: 'refused' } : undefined);
    const { data, errors } = await federation().run('{ first { left } second { right } }', { answering });
    expect(data).toEqual({ first: { left: null }, second: { right: null } });
    expect(errors?.map(({ path }) => path)).toEqual([['first', 'left'], ['second', 'right']]);
  });

  test('are sent one by one when a subgraph gives no data for them together', async () => {
    const both = federation();
    const answering: Answering = ({ variables }) => ('representations0' in variables ? { data: null, errors: [{ message: 'too many aliases' }] } : undefined);
    expect(await both.run(QUERY, { variables: { by: 5 }, answering })).toEqual({ data: DATA });
    expect(both.requests.map(({ variables }) => 'representations0' in variables)).toEqual([false, true, false, false]);
  });

  test('are not sent together a fourth time when their subgraph gave no data for them three times', async () => {
    const compiled = federation().compile('{ first { left } second { right } }');
    const sent: string[] = [];
    const fetch = async ({ subgraph, body }: FetchRequest): Promise<SubgraphAnswer> => {
      if (subgraph === 'a') return { data: { first: { __typename: 'Left', id: '1' }, second: { __typename: 'Right', id: '2' } } };
      const isJoined = body.includes('representations0');
      sent.push(isJoined ? 'joined' : 'alone');
      return isJoined ? { data: null, errors: [{ message: 'too many aliases' }] } : { data: { _entities: [{}] } };
    };
    for (let n = 0; n < 4; n += 1) await compiled.execute({ variables: {}, coercedVariables: {}, fetch });
    expect(sent.filter((how) => how === 'joined')).toHaveLength(3);
    expect(sent.slice(-2)).toEqual(['alone', 'alone']);
  });

  test('are sent one by one when they are of many entities', async () => {
    const both = federation();
    const { data } = await both.run('{ many { left(by: 1) } second { right(by: 2) } }');
    expect(data).toMatchObject({ second: { right: 'right 2 2' } });
    expect(both.requests.map(({ variables }) => variables['representations']?.length)).toEqual([undefined, 300, 1]);
  });
});
