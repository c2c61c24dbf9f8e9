import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({}, { SINGLE_ROOT_FIELDS: 'login,refreshSession' });
});
afterAll(() => stack?.stop());

/** Each spreads the next one twice; the last one holds the field. */
const deep = (levels: number) => Array.from({ length: levels }, (_, n) => `fragment F${n} on Mutation { ...F${n + 1} ...F${n + 1} }`).join(' ');

const REFUSED: readonly (readonly [string, string])[] = [
  ['two logins under aliases', 'mutation { a: login(password: "1") b: login(password: "2") }'],
  ['a login and a renewal', 'mutation { login(password: "1") refreshSession(token: "2") }'],
  ['one in an inline fragment', 'mutation { login(password: "1") ... on Mutation { b: login(password: "2") } }'],
  ['one in an inline fragment in another', 'mutation { ... { ... @include(if: true) { a: login(password: "1") } } b: login(password: "2") }'],
  ['one in a fragment', 'mutation { login(password: "1") ...More } fragment More on Mutation { b: login(password: "2") }'],
  ['both in a fragment', 'mutation { ...More } fragment More on Mutation { a: login(password: "1") b: refreshSession(token: "2") }'],
  ['one in a fragment in a fragment', 'mutation { login ...A } fragment A on Mutation { ...B } fragment B on Mutation { b: login(password: "2") }'],
  ['one that would be skipped', 'mutation { login(password: "1") b: login(password: "2") @skip(if: true) }'],
  ['one in a fragment that is spread 32 times', `mutation { ...F0 } ${deep(5)} fragment F5 on Mutation { login }`],
  ['two in another operation of the document, which is not run', 'mutation One { login(password: "1") } mutation Two { a: login b: login }'],
];

describe('An operation with more than one of the root fields that must be single', () => {
  test.each(REFUSED)('%s is refused, and no subgraph hears of it', async (_what, query) => {
    stack.subgraphs.books.requests.length = 0;
    const answer = await stack.query(query, { authorization: null, ...(query.includes('One') && { operationName: 'One' }) });
    expect(answer.status).toBe(400);
    expect(answer.errors).toContainEqual(expect.objectContaining({
      message: 'An operation may hold one of login, refreshSession, once: send them one after the other',
      extensions: { code: 'BAD_USER_INPUT', reason: 'GRAPHQL_VALIDATION_FAILED' },
    }));
    expect(stack.subgraphs.books.requests).toHaveLength(0);
  });

  test('is refused over sockets too', async () => {
    const refused = subscribe(await stack.socketClient(), { query: REFUSED[0]?.[1] ?? '' });
    expect(await refused.failure()).toMatchObject([{ message: expect.stringContaining('one of login'), extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  test('spread a million times is refused as soon as there are too many root fields', async () => {
    const answer = await stack.query(`mutation { ...F0 } ${deep(20)} fragment F20 on Mutation { login }`);
    expect(answer).toMatchObject({ status: 400, errors: [{ message: expect.stringContaining('root fields') }] });
  });

  test('that spreads a fragment in itself is refused without an end of the process', async () => {
    const answer = await stack.query('mutation { ...A } fragment A on Mutation { login ...A }');
    expect(answer.status).toBe(400);
  });
});

test.each([
  ['one under an alias', 'mutation { a: login(password: "1") }', { a: '1' }],
  ['one in a fragment, beside another mutation', 'mutation { rename(id: "b1", title: "x") { title } ...A } fragment A on Mutation { login(password: "1") }', { rename: { title: 'x' }, login: '1' }],
  ['one in each of two operations, of which one is run', 'mutation One { login(password: "1") } mutation Two { login(password: "2") }', { login: '1' }],
])('%s is answered', async (_what, query, data) => {
  const answer = await stack.query(query, query.includes('One') ? { operationName: 'One' } : {});
  expect(answer).toMatchObject({ status: 200, data });
});
