import { describe, expect, test } from '@jest/globals';
import { createBoundedCache } from '../src/bounded-cache.ts';

const kept = (cache: ReturnType<typeof createBoundedCache<number>>, keys: readonly string[]): string[] => keys.filter((key) => cache.get(key) !== undefined);

describe('A bounded cache', () => {
  test('keeps as many entries as it may, those that were used last', () => {
    const cache = createBoundedCache<number>(2);
    cache.set('a', 1);
    cache.set('b', 2);
    cache.get('a');
    cache.set('c', 3);
    expect(kept(cache, ['a', 'b', 'c'])).toEqual(['a', 'c']);
  });

  test('keeps no longer keys than it may, all together', () => {
    const cache = createBoundedCache<number>(10, 5);
    for (const key of ['aaa', 'bb', 'c', 'dddddd']) cache.set(key, 1);
    expect(kept(cache, ['aaa', 'bb', 'c', 'dddddd'])).toEqual(['bb', 'c']);
    cache.set('bb', 2);
    cache.set('ee', 1);
    expect(kept(cache, ['bb', 'c', 'ee'])).toEqual(['bb', 'c', 'ee']);
  });
});
