import { rename, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { SCHEMAS } from './support/library.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack;
let original: string;
beforeAll(async () => {
  stack = await startStack();
  original = await stack.compose();
});
afterAll(() => stack.stop());
beforeEach(() => {
  stack.logs.length = 0;
});
afterEach(async () => {
  stack.logs.length = 0;
  await writeFile(stack.supergraphFile, `${original}\n# ${Date.now()}`);
  await logged('the supergraph file changed and was loaded');
});

const logged = (message: string) => eventually(`the log line "${message}"`, () => stack.logs.find(({ msg }) => String(msg).startsWith(message)));
const withoutPages = () => stack.compose({ books: SCHEMAS.books.replace('pages: Int', '') });

describe('A changed supergraph file', () => {
  test('is loaded, also when it was put there by a rename', async () => {
    expect((await stack.query('{ book(id: "b1") { pages } }')).data).toEqual({ book: { pages: 100 } });
    await writeFile(`${stack.supergraphFile}.new`, await withoutPages());
    await rename(`${stack.supergraphFile}.new`, stack.supergraphFile);
    await logged('the supergraph file changed and was loaded');
    expect((await stack.query('{ book(id: "b1") { pages } }')).status).toBe(400);
    expect((await stack.query('{ book(id: "b1") { title } }')).data).toEqual({ book: { title: 'The Parrot' } });
  });

  test('is the one that new subscriptions are planned by, and those under way that fit it go on', async () => {
    const client = await stack.socketClient();
    const before = subscribe(client, { query: 'subscription { reviewAdded { book { title } } }' });
    await eventually('the subscription at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('reviewAdded') === 1);
    await writeFile(stack.supergraphFile, await withoutPages());
    await logged('the supergraph file changed and was loaded');
    expect(await subscribe(client, { query: 'subscription { reviewAdded { book { title pages } } }' }).failure()).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    stack.subgraphs.reviews.events.emit('reviewAdded', { id: 'v1', book: { id: 'b2' }, reader: { id: 'ann' } });
    expect(await before.result(1)).toEqual({ data: { reviewAdded: { book: { title: 'The Beak' } } } });
    before.unsubscribe();
  });

  test('ends subscriptions under way that do not fit it any more, with what to do', async () => {
    const before = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { book { title pages } } }' });
    await eventually('the subscription at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('reviewAdded') === 1);
    await writeFile(stack.supergraphFile, await withoutPages());
    expect(await before.failure()).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', reason: 'SCHEMA_CHANGED' } }]);
    await logged('the supergraph file changed and was loaded');
  });

  test('costs no request that is under way, nor one that comes meanwhile', async () => {
    const query = '{ book(id: "b1") { title reviews { stars } } }';
    let isLoaded = false;
    const loading = (async () => {
      await writeFile(stack.supergraphFile, await withoutPages());
      await logged('the supergraph file changed and was loaded');
      isLoaded = true;
    })();
    const answers: number[] = [];
    while (!isLoaded) answers.push((await stack.query(query)).data?.book.reviews.length ?? 0);
    await loading;
    answers.push((await stack.query(query)).data?.book.reviews.length ?? 0);
    expect(new Set(answers)).toEqual(new Set([1]));
  });

  test.each([
    ['no GraphQL', async () => 'type Query {'],
    ['a schema without subgraphs', async () => 'type Query { hello: String }'],
    ['empty', async () => ''],
    ['a supergraph with a broken join', async () => original.replaceAll('graph: BOOKS', 'graph: NOWHERE')],
    ['a broken one of fewer subgraphs', async () => 'enum join__Graph { BOOKS @join__graph(name: "books", url: "") } type Query { hello: String }'],
    ['one with a subgraph that has no secret', async () => stack.compose({ fines: 'type Query { fines: Int }' })],
  ])('that is %s is refused with a log line, and the one before stays', async (_what, content) => {
    await writeFile(stack.supergraphFile, await content());
    expect(await logged('the supergraph file changed and cannot be used')).toMatchObject({ level: 'error' });
    expect((await stack.query('{ book(id: "b1") { pages reviews { stars } } }')).data).toEqual({ book: { pages: 100, reviews: [{ stars: 5 }] } });
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { counted }' });
    await eventually('the subscription at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('counted') === 1);
    subscriber.unsubscribe();
    await eventually('no subscription at the subgraph', () => stack.subgraphs.reviews.events.listenerCount('counted') === 0);
  });
});
