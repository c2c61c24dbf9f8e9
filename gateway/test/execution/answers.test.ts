import { describe, expect, test } from '@jest/globals';
import { createShop } from './shop.ts';
import type { Answering } from './federation-in-memory.ts';

/** The subgraph of the products answers with this. */
function products(data: Record<string, unknown> | null): Answering {
  return ({ subgraph }) => (subgraph === 'products' ? { data: structuredClone(data) } : undefined);
}

describe('the answer of an operation', () => {
  test('has its members in the order of the operation, merged by response name, under aliases', async () => {
    const shop = createShop();
    const query = `{ list: products { score ...F n: name ... on Product { cover { size } name } } hit { __typename } }
      fragment F on Product { upc name tags }`;
    expect(JSON.stringify(await shop.run(query))).toBe(
      '{"data":{"list":[{"score":4.5,"upc":"p1","name":"Chair","tags":["wood","old"],"n":"Chair","cover":null},{"score":4.5,"upc":"p2","name":"Table","tags":[],"n":"Table","cover":null}],"hit":{"__typename":"Page"}}}',
    );
  });

  test('has fields in the order in which the variables let them in', async () => {
    const shop = createShop();
    const query = 'query ($late: Boolean!) { products { name @skip(if: $late) upc name } }';
    expect(JSON.stringify((await shop.run(query, { variables: { late: true } })).data)).toContain('{"upc":"p1","name":"Chair"}');
    expect(JSON.stringify((await shop.run(query, { variables: { late: false } })).data)).toContain('{"name":"Chair","upc":"p1"}');
  });

  test('has what the variables let in, whatever others have asked of the same operation', async () => {
    const compiled = createShop().compile('query ($late: Boolean!) { products { upc name @skip(if: $late) } }');
    const names = async (late: boolean) => {
      const fetch = async () => ({ data: { products: [{ upc: 'p1', name: 'Chair' }] } });
      return (await compiled.execute({ variables: { late }, coercedVariables: { late }, fetch })).data;
    };
    expect([await names(true), await names(false), await names(true)]).toEqual([{ products: [{ upc: 'p1' }] }, { products: [{ upc: 'p1', name: 'Chair' }] }, { products: [{ upc: 'p1' }] }]);
  });

  test('takes from abstract types what the type of an object selects, and hides types that clients may not see', async () => {
    const shop = createShop();
    expect(await shop.run('{ hits { __typename ... on Page { title } ... on Product { title: name inStock } } }')).toEqual({
      data: { hits: [{ __typename: 'Page', title: 'About' }, { __typename: 'Product', title: 'Table', inStock: false }, null] },
      errors: [{ message: 'An object of another type than Hit came for Query.hits', path: ['hits', 2] }],
    });
  });

  test('tells the type where it is known without asking', async () => {
    const shop = createShop();
    expect(await shop.run('{ __typename products { t: __typename upc } }')).toEqual({
      data: { __typename: 'Query', products: [{ t: 'Product', upc: 'p1' }, { t: 'Product', upc: 'p2' }] },
    });
    expect((await createShop().run('{ __typename }')).data).toEqual({ __typename: 'Query' });
  });

  test('describes the schema that clients see, beside other fields', async () => {
    const shop = createShop();
    const query = 'query ($name: String!) { kind: __type(name: $name) { enumValues { name } } products { upc } ... { __schema { queryType { name } } } hidden: __type(name: "Hidden") { name } }';
    expect(await shop.run(query, { variables: { name: 'Kind' } })).toEqual({
      data: {
        kind: { enumValues: [{ name: 'SEAT' }, { name: 'FLAT' }] },
        products: [{ upc: 'p1' }, { upc: 'p2' }],
        __schema: { queryType: { name: 'Query' } },
        hidden: null,
      },
    });
    expect(shop.requests).toHaveLength(1);
  });

  test('passes custom scalars as they are', async () => {
    expect((await createShop().run('{ product(upc: "p1") { made } }')).data).toEqual({ product: { made: { of: ['wood', 1, null] } } });
  });

  test('gives ids as strings, and null with an error for values of another type', async () => {
    const shop = createShop();
    const data = { product: { upc: 7, price: 1.5, weight: 3e9, tags: ['a'], kind: 'SECRET', name: 'x', __typename: 'Product' } };
    expect(await shop.run('{ product(upc: "p1") { upc price weight tags kind name } }', { answering: products(data) })).toEqual({
      data: { product: { upc: '7', price: null, weight: null, tags: ['a'], kind: null, name: 'x' } },
      errors: [
        { message: 'A value that is no Int came for Product.price', path: ['product', 'price'] },
        { message: 'A value that is no Int came for Product.weight', path: ['product', 'weight'] },
        { message: 'A value that is no Kind came for Product.kind', path: ['product', 'kind'] },
      ],
    });
  });

  test.each([
    ['a list for an object', { product: [] }, ['product']],
    ['text for an object', { product: 'text' }, ['product']],
    ['an object of another type', { product: { __typename: 'Page', upc: 'p1' } }, ['product']],
  ])('refuses %s', async (_, data, path) => {
    expect(await createShop().run('{ product(upc: "p1") { upc } }', { answering: products(data) })).toEqual({
      data: { product: null },
      errors: [{ message: expect.any(String), path }],
    });
  });

  test('counts what is missing as null, and takes a null up to what may be null, with one error', async () => {
    const shop = createShop();
    expect(await shop.run('{ product(upc: "p1") { upc cover { size } tags } }', { answering: products({ product: { upc: 'p1', cover: {}, tags: ['a', null] } }) })).toEqual({
      data: { product: { upc: 'p1', cover: null, tags: null } },
      errors: [
        { message: 'Cannot return null for non-nullable Cover.size', path: ['product', 'cover', 'size'] },
        { message: 'Cannot return null for non-nullable Product.tags', path: ['product', 'tags', 1] },
      ],
    });
  });

  test('is null as a whole when nothing on the way may be null', async () => {
    expect(await createShop().run('{ products { upc name } }', { answering: products({ products: [{ upc: 'p1', name: 'a' }, { upc: 'p2', name: null }] }) })).toEqual({
      data: null,
      errors: [{ message: 'Cannot return null for non-nullable Product.name', path: ['products', 1, 'name'] }],
    });
  });

  test('keeps names that every object has, and aliases that other names hide behind', async () => {
    const shop = createShop();
    const query = 'query ($representations: ID!) { product(upc: $representations) { constructor: name __proto__: price toString: tags upc: name __typename: weight inStock } }';
    const { data } = await shop.run(query, { variables: { representations: 'p1' } });
    expect(JSON.stringify(data)).toBe('{"product":{"constructor":"Chair","__proto__":10,"toString":["wood","old"],"upc":"Chair","__typename":4,"inStock":true}}');
    expect(({} as Record<string, unknown>)['size']).toBeUndefined();
  });

  test('is not poisoned by members that a subgraph adds', async () => {
    const shop = createShop();
    const poisoned = JSON.parse('{"product":{"__typename":"Product","upc":"p1","__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}},"__proto__":{"polluted":true}}');
    const { data } = await shop.run('{ product(upc: "p1") { upc inStock } }', { answering: ({ subgraph }) => (subgraph === 'products' ? { data: poisoned } : undefined) });
    expect(data).toEqual({ product: { upc: 'p1', inStock: true } });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
