import { describe, expect, test } from '@jest/globals';
import { createShop } from './shop.ts';
import type { Answering } from './federation-in-memory.ts';

const UNAVAILABLE = { message: 'A part of the system does not answer right now: try again in a few seconds', extensions: { code: 'SERVICE_UNAVAILABLE' } };
const UNUSABLE = {
  message: 'A part of the system gave an answer that cannot be used: try again, and if it stays, report the request id',
  extensions: { code: 'INTERNAL' },
};

function down(name: string): Answering {
  return ({ subgraph }) => (subgraph === name ? { code: 'SERVICE_UNAVAILABLE', reason: 'refused' } : undefined);
}

describe('errors of an execution', () => {
  test('a subgraph that is down costs its fields and nothing else', async () => {
    expect(await createShop().run('{ products { name inStock shipping } }', { answering: down('stock') })).toEqual({
      data: { products: [{ name: 'Chair', inStock: null, shipping: null }, { name: 'Table', inStock: null, shipping: null }] },
      errors: [0, 1].flatMap((index) => ['inStock', 'shipping'].map((name) => ({ ...UNAVAILABLE, path: ['products', index, name], subgraph: 'stock' }))),
    });
  });

  test('a root field of a subgraph that is down is told at its alias', async () => {
    expect(await createShop().run('{ one: product(upc: "p1") { name } me { id } }', { answering: down('products') })).toEqual({
      data: { one: null, me: { id: 'u1' } },
      errors: [{ ...UNAVAILABLE, path: ['one'], subgraph: 'products' }],
    });
  });

  test('a null that a failure explains is told once', async () => {
    expect(await createShop().run('{ product(upc: "p1") { name score } }', { answering: down('reviews') })).toEqual({
      data: { product: null },
      errors: [{ ...UNAVAILABLE, path: ['product', 'score'], subgraph: 'reviews' }],
    });
  });

  test('an error of an entity is told at each of its places', async () => {
    const answering: Answering = ({ subgraph, variables }) => {
      if (subgraph !== 'users') return undefined;
      const entities = variables['representations'].map(({ id }: { id: string }) => (id === 'u1' ? null : { name: 'Bob' }));
      return { data: { _entities: entities }, errors: [{ message: 'no name', path: ['_entities', 0, 'name'], extensions: { code: 'FORBIDDEN' } }] };
    };
    const told = { message: 'no name', extensions: { code: 'FORBIDDEN' }, subgraph: 'users' };
    expect(await createShop().run('{ reviews { author { name } } }', { answering })).toEqual({
      data: { reviews: [{ author: null }, { author: { name: 'Bob' } }, { author: null }] },
      errors: [{ ...told, path: ['reviews', 0, 'author', 'name'] }, { ...told, path: ['reviews', 2, 'author', 'name'] }],
    });
  });

  test('an error without a place is told at each field that the fetch was to bring', async () => {
    const answering: Answering = ({ subgraph }) => (subgraph === 'stock' ? { data: null, errors: [{ message: 'no' }] } : undefined);
    expect(await createShop().run('{ products { s: shipping(fast: true) inStock } }', { answering })).toMatchObject({
      errors: [
        { message: 'no', path: ['products', 0, 's'], subgraph: 'stock' },
        { message: 'no', path: ['products', 0, 'inStock'] },
        { message: 'no', path: ['products', 1, 's'] },
        { message: 'no', path: ['products', 1, 'inStock'] },
      ],
    });
  });

  test.each([
    ['no data', { data: null }],
    ['no entities', { data: {} }],
    ['too few entities', { data: { _entities: [] } }],
  ])('an answer with %s and without errors cannot be used', async (_, answer) => {
    const answering: Answering = ({ subgraph }) => (subgraph === 'stock' ? answer : undefined);
    expect(await createShop().run('{ product(upc: "p1") { name inStock } }', { answering })).toEqual({
      data: { product: { name: 'Chair', inStock: null } },
      errors: [{ ...UNUSABLE, path: ['product', 'inStock'], subgraph: 'stock' }],
    });
  });

  test('an entity that a subgraph does not know leaves nulls, and an error where these may not be', async () => {
    const answering: Answering = ({ subgraph, variables }) =>
      subgraph === 'reviews' || subgraph === 'stock' ? { data: { _entities: variables['representations'].map(() => null) } } : undefined;
    expect(await createShop().run('{ product(upc: "p1") { name inStock } other: product(upc: "p1") { score } }', { answering })).toEqual({
      data: { product: { name: 'Chair', inStock: null }, other: null },
      errors: [{ message: 'Cannot return null for non-nullable Product.score', path: ['other', 'score'] }],
    });
  });

  test('a failure of many entities is told a hundred times at most, and explains the other nulls', async () => {
    const many = Array.from({ length: 150 }, (_, index) => ({ __typename: 'Product', upc: `p${index}` }));
    const answering: Answering = ({ subgraph }) =>
      subgraph === 'products' ? { data: { hits: structuredClone(many) } } : { code: 'SERVICE_UNAVAILABLE', reason: 'slow' };
    const { data, errors } = await createShop().run('{ hits { ... on Product { score } } }', { answering });
    expect(data).toEqual({ hits: many.map(() => null) });
    expect(errors).toHaveLength(100);
    expect(errors?.at(-1)?.path).toEqual(['hits', 99, 'score']);
  });

  test('a fetch that rejects is the failure of the whole execution', async () => {
    await expect(createShop().run('{ me { id } }', { answering: () => Promise.reject(new Error('broken')) })).rejects.toThrow('broken');
  });
});
