import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import type { LibrarySubgraph } from './support/library.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await startStack();
});
afterAll(() => stack.stop());
beforeEach(() => {
  for (const subgraph of Object.values(stack.subgraphs)) {
    subgraph.requests.length = 0;
    subgraph.subscribed.length = 0;
    subgraph.beforeAnswer = undefined;
  }
});

const REVIEW = { id: 'v1', stars: 4, text: 'fine', book: { id: 'b1' }, reader: { id: 'ann' } };
const emit = (field: string, payload: unknown) => stack.subgraphs.reviews.events.emit(field, payload);
const underWay = (field: string, count: number) => eventually(`${count} subscriptions to ${field} at the subgraph`, () => stack.subgraphs.reviews.events.listenerCount(field) === count);
const requestsTo = (name: LibrarySubgraph) => stack.subgraphs[name].requests.length;

describe('A subscription over the socket', () => {
  test('gets events whose fields come from three subgraphs', async () => {
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { text book { title author { name } } reader { name email } } }' });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', REVIEW);
    expect(await subscriber.result(1)).toEqual({
      data: { reviewAdded: { text: 'fine', book: { title: 'The Parrot', author: { name: 'Ada' } }, reader: { name: 'name of ann', email: 'ann@library.test' } } },
    });
    expect([requestsTo('books'), requestsTo('readers')]).toEqual([1, 1]);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('asks no other subgraph when none is needed', async () => {
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { id stars } }' });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', REVIEW);
    expect(await subscriber.result(1)).toEqual({ data: { reviewAdded: { id: 'v1', stars: 4 } } });
    expect([requestsTo('books'), requestsTo('readers')]).toEqual([0, 0]);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('is shaped as it was selected: aliases, fragments, __typename, @skip and @include, and nothing else', async () => {
    const query = `
      subscription Watch($with: Boolean!, $without: Boolean! = true, $book: ID, $unused: Int = 3) {
        added: reviewAdded(bookId: $book, minimumStars: $unused) {
          kind: __typename
          ...Opinion
          ... on Review { volume: book { __typename name: title again: title pages @include(if: $with) } }
          reader @skip(if: $without) { name }
        }
      }
      fragment Opinion on Review { verdict: stars book { rating } }`;
    const subscriber = subscribe(await stack.socketClient(), { query, operationName: 'Watch', variables: { with: true, book: 'b1' } });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', REVIEW);
    expect(await subscriber.result(1)).toEqual({
      data: {
        added: {
          kind: 'Review',
          verdict: 4,
          book: { rating: 4.5 },
          volume: { __typename: 'Book', name: 'The Parrot', again: 'The Parrot', pages: 100 },
        },
      },
    });
    expect(requestsTo('readers')).toBe(0);
    expect(stack.subgraphs.reviews.subscribed).toEqual([{ bookId: 'b1', minimumStars: 3 }]);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('with other variables takes the other way through the same plan', async () => {
    const query = 'subscription Watch($with: Boolean!) { reviewAdded { id reader @include(if: $with) { name } } }';
    const client = await stack.socketClient();
    const without = subscribe(client, { query, variables: { with: false } });
    const within = subscribe(client, { query, variables: { with: true } });
    await underWay('reviewAdded', 2);
    emit('reviewAdded', REVIEW);
    expect(await without.result(1)).toEqual({ data: { reviewAdded: { id: 'v1' } } });
    expect(await within.result(1)).toEqual({ data: { reviewAdded: { id: 'v1', reader: { name: 'name of ann' } } } });
    without.unsubscribe();
    within.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('keeps the data of an event when another subgraph refuses some of it', async () => {
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { book { title rating } who: reader { name mail: email } } }' });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', { ...REVIEW, reader: { id: 'bob' } });
    expect(await subscriber.result(1)).toEqual({
      data: { reviewAdded: { book: { title: 'The Parrot', rating: 4.5 }, who: { name: 'name of bob', mail: null } } },
      errors: [{ message: expect.stringContaining('somebody else'), path: ['reviewAdded', 'who', 'mail'], extensions: { code: 'FORBIDDEN' } }],
    });
    emit('reviewAdded', REVIEW);
    expect(await subscriber.result(2)).toEqual({ data: expect.objectContaining({}) });
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('keeps the data of an event when the subgraph of the event fails in a part of it', async () => {
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { stars book { rating title } } }' });
    await underWay('reviewAdded', 1);
    emit('reviewAdded', { ...REVIEW, book: { id: 'b2' } });
    const result = await subscriber.result(1);
    expect(result.data).toEqual({ reviewAdded: { stars: 4, book: { rating: null, title: 'The Beak' } } });
    expect(result.errors).toEqual([{ message: expect.any(String), path: ['reviewAdded', 'book', 'rating'], extensions: { code: 'INTERNAL', requestId: expect.any(String) } }]);
    expect(JSON.stringify(result)).not.toMatch(/10\.0\.0\.7|serviceName|stacktrace/);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('that its subgraph refuses ends with the subgraph’s error', async () => {
    const client = await stack.socketClient();
    const refused = subscribe(client, { query: 'subscription { gone: reviewRemoved { id } }' });
    expect(await refused.failure()).toEqual([{ message: expect.stringContaining('LIBRARIAN'), path: ['gone'], extensions: { code: 'FORBIDDEN' } }]);
    const allowed = subscribe(await stack.socketClient({ authorization: await stack.issuer.bearer({ userId: 'lee', roles: ['LIBRARIAN'] }) }), {
      query: 'subscription { reviewRemoved { id } }',
    });
    await underWay('reviewRemoved', 1);
    allowed.unsubscribe();
    await underWay('reviewRemoved', 0);
  });

  test('delivers events in their order, also when later ones are completed sooner', async () => {
    const waits: (() => void)[] = [];
    stack.subgraphs.readers.beforeAnswer = (id) => (id === 'slow' ? new Promise((resolve) => waits.push(resolve)) : Promise.resolve());
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { id reader { name } } }' });
    await underWay('reviewAdded', 1);
    for (const [n, reader] of ['slow', 'quick', 'slow', 'quick', 'quick', 'quick', 'quick', 'quick'].entries()) emit('reviewAdded', { ...REVIEW, id: `v${n}`, reader: { id: reader } });
    await eventually('both slow events being completed', () => waits.length === 2);
    expect(subscriber.results).toHaveLength(0);
    for (const go of waits.toReversed()) go();
    await subscriber.result(8);
    expect(subscriber.results.map(({ data }) => data.reviewAdded.id)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7']);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('ends with an error when more than 256 events wait for their delivery', async () => {
    const gate = Promise.withResolvers<void>();
    stack.subgraphs.readers.beforeAnswer = () => gate.promise;
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { reader { name } } }' });
    await underWay('reviewAdded', 1);
    for (let n = 0; n < 300; n += 1) emit('reviewAdded', REVIEW);
    await underWay('reviewAdded', 0);
    gate.resolve();
    expect(await subscriber.failure()).toEqual([{ message: expect.stringContaining('256'), extensions: { code: 'RATE_LIMITED' } }]);
    expect(subscriber.results).toHaveLength(256);
  });

  test.each([
    ['a variable', 'subscription S($no: Boolean!) { counted @skip(if: $no) }'],
    ['a literal', 'subscription { counted @include(if: true) }'],
    ['nothing', 'subscription { counted @include }'],
    ['a fragment', 'subscription S($no: Boolean!) { ...F } fragment F on Subscription { ...F counted @skip(if: $no) }'],
  ])('whose root field depends on %s is refused, over the socket and over HTTP', async (_what, query) => {
    const variables = { no: true };
    const refused = [{ message: expect.stringContaining('@skip or @include'), locations: expect.anything(), extensions: { code: 'BAD_USER_INPUT', reason: 'GRAPHQL_VALIDATION_FAILED' } }];
    expect(await subscribe(await stack.socketClient(), { query, variables }).failure()).toEqual(refused);
    const answer = await stack.query(query, { variables });
    expect([answer.status, answer.errors]).toEqual([400, refused]);
  });

  test('travels with its user’s token and trace, over one socket for all clients', async () => {
    const before = stack.subgraphs.reviews.upgrades.length;
    const tokens = await Promise.all(['u1', 'u2', 'u3', 'u4'].map((userId) => stack.issuer.bearer({ userId })));
    const clients = await Promise.all(tokens.map((authorization) => stack.socketClient({ authorization })));
    const subscribers = clients.map((client) => subscribe(client, { query: 'subscription { reviewAdded { reader { email } } }' }));
    await underWay('reviewAdded', 4);
    expect(stack.subgraphs.reviews.upgrades.length - before).toBeLessThanOrEqual(1);
    expect(stack.subgraphs.reviews.upgrades.at(-1)).toMatchObject({ 'x-gateway-secret': 'secret-of-the-reviews' });
    expect(stack.subgraphs.reviews.upgrades.at(-1)).not.toHaveProperty('authorization');
    emit('reviewAdded', { ...REVIEW, reader: { id: 'u2' } });
    const results = await Promise.all(subscribers.map((subscriber) => subscriber.result(1)));
    expect(results.map(({ data }) => data.reviewAdded.reader.email)).toEqual([null, 'u2@library.test', null, null]);
    expect(results[0].errors[0].extensions).toEqual({ code: 'FORBIDDEN' });
    const sent = stack.subgraphs.readers.requests.map(({ headers }) => headers.authorization);
    expect(new Set(sent)).toEqual(new Set(tokens));
    expect(sent).toHaveLength(4);
    for (const subscriber of subscribers) subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('is given up at the subgraph when the client’s socket goes', async () => {
    const client = await stack.socketClient();
    subscribe(client, { query: 'subscription { counted }' });
    await underWay('counted', 1);
    client.terminate();
    await underWay('counted', 0);
  });

  test('goes on after its subgraph was restarted, whatever was refused before', async () => {
    await subscribe(await stack.socketClient(), { query: 'subscription { reviewRemoved { id } }' }).failure();
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { id book { title } } }' });
    const counter = subscribe(await stack.socketClient(), { query: 'subscription { counted }' });
    await underWay('reviewAdded', 1);
    await underWay('counted', 1);
    emit('reviewAdded', REVIEW);
    await subscriber.result(1);
    await stack.subgraphs.reviews.stop();
    await underWay('reviewAdded', 0);
    await stack.subgraphs.reviews.start();
    await underWay('reviewAdded', 1);
    await underWay('counted', 1);
    emit('reviewAdded', { ...REVIEW, id: 'after' });
    emit('counted', 7);
    expect(await subscriber.result(2)).toEqual({ data: { reviewAdded: { id: 'after', book: { title: 'The Parrot' } } } });
    expect(await counter.result(1)).toEqual({ data: { counted: 7 } });
    expect(subscriber.error).toBeUndefined();
    subscriber.unsubscribe();
    counter.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('gets an error for the fields of a subgraph that is down, and the rest', async () => {
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { reviewAdded { id book { pages } reader { email } } }' });
    await underWay('reviewAdded', 1);
    await stack.subgraphs.readers.stop();
    emit('reviewAdded', REVIEW);
    const result = await subscriber.result(1);
    await stack.subgraphs.readers.start();
    expect(result.data).toEqual({ reviewAdded: { id: 'v1', book: { pages: 100 }, reader: { email: null } } });
    expect(result.errors).toEqual([{ message: expect.any(String), path: ['reviewAdded', 'reader', 'email'], extensions: { code: 'SERVICE_UNAVAILABLE', requestId: expect.any(String) } }]);
    subscriber.unsubscribe();
    await underWay('reviewAdded', 0);
  });

  test('to a subgraph that stays away is refused after five seconds', async () => {
    await stack.subgraphs.reviews.stop();
    const subscriber = subscribe(await stack.socketClient(), { query: 'subscription { counted }' });
    expect(await subscriber.failure()).toMatchObject([{ extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
    await stack.subgraphs.reviews.start();
  });
});

describe('Queries and mutations over the socket', () => {
  test('are answered as over HTTP', async () => {
    const client = await stack.socketClient();
    const query = subscribe(client, { query: 'query Q($id: ID!) { whoami book(id: $id) { title reviews { reader { name } } } }', variables: { id: 'b2' } });
    expect(await query.result(1)).toEqual({ data: { whoami: 'ann', book: { title: 'The Beak', reviews: [{ reader: { name: 'name of r1' } }] } } });
    await eventually('the query being complete', () => query.completed);
    const mutation = subscribe(client, { query: 'mutation { rename(id: "b1", title: "New") { title } }' });
    expect(await mutation.result(1)).toEqual({ data: { rename: { title: 'New' } } });
  });

  test('have the same errors', async () => {
    const query = subscribe(await stack.socketClient(), { query: '{ forbidden broken whoami }' });
    const result = await query.result(1);
    expect(result.data).toEqual({ forbidden: null, broken: null, whoami: 'ann' });
    expect(result.errors.map(({ path, extensions }: { path: string[]; extensions: { code: string } }) => [path[0], extensions.code])).toEqual([
      ['forbidden', 'FORBIDDEN'],
      ['broken', 'INTERNAL'],
    ]);
  });
});
