import { describe, expect, test } from '@jest/globals';
import { createShop } from './shop.ts';

describe('fetches of an operation', () => {
  test('complete entities from other subgraphs, also those that require fields of a third', async () => {
    const shop = createShop();
    expect(await shop.run('{ products { name inStock shipping score } }')).toEqual({
      data: {
        products: [
          { name: 'Chair', inStock: true, shipping: 8, score: 4.5 },
          { name: 'Table', inStock: false, shipping: 0, score: 4.5 },
        ],
      },
    });
    const stock = shop.requests.find(({ subgraph }) => subgraph === 'stock');
    expect(stock?.variables['representations']).toEqual([
      { __typename: 'Product', upc: 'p1', price: 10, weight: 4 },
      { __typename: 'Product', upc: 'p2', price: 2000, weight: 30 },
    ]);
  });

  test('represent an entity once, wherever it is', async () => {
    const shop = createShop();
    const { data } = await shop.run('{ reviews { product { name } author { name } } }');
    expect(data).toEqual({
      reviews: [
        { product: { name: 'Chair' }, author: { name: 'Ann' } },
        { product: { name: 'Table' }, author: { name: 'Bob' } },
        { product: { name: 'Chair' }, author: { name: 'Ann' } },
      ],
    });
    expect(shop.requests.find(({ subgraph }) => subgraph === 'users')?.variables['representations']).toEqual([
      { __typename: 'User', id: 'u1' },
      { __typename: 'User', id: 'u2' },
    ]);
  });

  test('represent an entity for each of the required values that it has', async () => {
    const shop = createShop();
    const products = [10, 2000, 10].map((price) => ({ __typename: 'Product', upc: 'p1', price, weight: 4 }));
    const { data } = await shop.run('{ products { shipping } }', { answering: ({ subgraph }) => (subgraph === 'products' ? { data: { products } } : undefined) });
    expect(data).toEqual({ products: [{ shipping: 8 }, { shipping: 0 }, { shipping: 8 }] });
  });

  test('take what a field provides from the subgraph that is asked anyway', async () => {
    const shop = createShop();
    expect((await shop.run('{ reviews { author { nick } } }')).data).toEqual({ reviews: ['u1', 'u2', 'u1'].map((id) => ({ author: { nick: `nick-${id}` } })) });
    expect(shop.requests.map(({ subgraph }) => subgraph)).toEqual(['reviews']);
  });

  test('get only the variables that they use, and only those that are given', async () => {
    const query = 'query ($upc: ID!, $fast: Boolean) { product(upc: $upc) { shipping(fast: $fast) } }';
    const [given, notGiven] = [createShop(), createShop()];
    await given.run(query, { variables: { upc: 'p1', fast: true } });
    await notGiven.run(query, { variables: { upc: 'p1' } });
    expect(given.requests.map(({ variables }) => Object.keys(variables))).toEqual([['upc'], ['fast', 'representations']]);
    expect(notGiven.requests.map(({ variables }) => Object.keys(variables))).toEqual([['upc'], ['representations']]);
  });

  test('keep a variable of the client apart from their own', async () => {
    const query = 'query ($representations: Boolean) { product(upc: "p1") { shipping(fast: $representations) } }';
    expect(await createShop().run(query, { variables: { representations: true } })).toEqual({ data: { product: { shipping: 16 } } });
  });

  test('are left out, or leave a part out, as the variables skip and include', async () => {
    const shop = createShop();
    const query = 'query ($with: Boolean!) { products { name @skip(if: $with) inStock @include(if: $with) } }';
    expect((await shop.run(query, { variables: { with: false } })).data).toEqual({ products: [{ name: 'Chair' }, { name: 'Table' }] });
    expect(shop.requests.map(({ subgraph }) => subgraph)).toEqual(['products']);
    expect((await shop.run(query, { variables: { with: true } })).data).toEqual({ products: [{ inStock: true }, { inStock: false }] });
  });

  test('are not sent for objects that are null or were not found', async () => {
    const shop = createShop();
    expect(await shop.run('{ product(upc: "none") { inStock score } }')).toEqual({ data: { product: null } });
    expect(shop.requests).toHaveLength(1);
  });

  test('of a mutation follow each other in the order of its fields', async () => {
    const shop = createShop();
    const { data } = await shop.run('mutation { a: rename(upc: "p1", name: "Stool") { name inStock } order(upc: "p1") b: rename(upc: "p2", name: "Desk") { name } }');
    expect(data).toEqual({ a: { name: 'Stool', inStock: true }, order: 7, b: { name: 'Desk' } });
    expect(shop.requests.map(({ subgraph, kind }) => `${kind} ${subgraph}`)).toEqual(['mutation products', 'query stock', 'mutation stock', 'mutation products']);
  });

  test('begin no more once the signal is aborted', async () => {
    const shop = createShop();
    const { signal, abort } = (() => {
      const controller = new AbortController();
      return { signal: controller.signal, abort: () => controller.abort() };
    })();
    const { data } = await shop.run('{ products { name inStock } }', {
      signal,
      answering: () => {
        abort();
        return undefined;
      },
    });
    expect(shop.requests).toHaveLength(1);
    expect(data).toEqual({ products: [{ name: 'Chair', inStock: null }, { name: 'Table', inStock: null }] });
  });

  test('of executions at the same time have nothing to do with each other', async () => {
    const shop = createShop();
    const upcs = ['p1', 'p2', 'p1', 'none'];
    const results = await Promise.all(upcs.map((upc) => shop.run('query ($upc: ID!) { product(upc: $upc) { name inStock } }', { variables: { upc } })));
    expect(results.map(({ data }) => data?.['product'])).toEqual([{ name: 'Chair', inStock: true }, { name: 'Table', inStock: false }, { name: 'Chair', inStock: true }, null]);
  });

  test('of a subscription complete what the subgraph delivered', async () => {
    const shop = createShop();
    const query = 'subscription Changes { productChanged { upc name inStock } }';
    const { primary, kind } = shop.compile(query);
    expect({ kind, primary }).toEqual({
      kind: 'subscription',
      primary: { subgraph: 'products', document: expect.stringContaining('subscription Changes'), operationName: 'Changes__products__0', variableNames: [] },
    });
    const event = { data: { productChanged: { __typename: 'Product', upc: 'p1', name: 'New' } } };
    expect(await shop.runEvent(query, event)).toEqual({ data: { productChanged: { upc: 'p1', name: 'New', inStock: true } } });
  });

  test('tell what is wrong with an event', async () => {
    const shop = createShop();
    const event = { data: { productChanged: null }, errors: [{ message: 'gone', path: ['productChanged'] }] };
    expect(await shop.runEvent('subscription { productChanged { name inStock } }', event)).toEqual({
      data: { productChanged: null },
      errors: [{ message: 'gone', path: ['productChanged'], subgraph: 'products' }],
    });
    expect(shop.requests).toEqual([]);
  });
});
