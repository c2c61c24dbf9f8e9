import { describe, expect, test } from '@jest/globals';
import { createPushQueue } from './push-queue.ts';

const queue = (limit = 3) => {
  const ends: string[] = [];
  return { queue: createPushQueue<number>(limit, () => new Error('too slow'), () => void ends.push('end')), ends };
};

describe('a queue of pushed values', () => {
  test('delivers in order, whether the listener waits or the values do', async () => {
    const { queue: values } = queue();
    const waiting = values.next();
    for (const value of [1, 2, 3]) values.push(value);
    expect([await waiting, await values.next(), await values.next()].map(({ value }) => value)).toEqual([1, 2, 3]);
  });

  test('ends with an error when the listener falls too far behind, and holds nothing more', async () => {
    const { queue: values, ends } = queue();
    for (const value of [1, 2, 3, 4, 5]) values.push(value);
    await expect(values.next()).rejects.toThrow('too slow');
    expect(await values.next()).toEqual({ value: undefined, done: true });
    expect(ends).toEqual(['end']);
  });

  test('tells when its listener leaves, once, also while it waits', async () => {
    const { queue: values, ends } = queue();
    const waiting = values.next();
    await values.return?.();
    await values.return?.();
    values.push(1);
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(ends).toEqual(['end']);
  });
});
