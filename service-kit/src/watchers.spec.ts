import { describe, expect, test } from '@jest/globals';
import { createWatchers } from './watchers.ts';

const watching = () => {
  const state = { nobody: 0 };
  return { state, watchers: createWatchers<number>(() => void (state.nobody += 1)) };
};

describe('those who watch', () => {
  test('are told of what they watch, each of them, and of nothing else', async () => {
    const { watchers } = watching();
    const [one, other, elsewhere] = [watchers.watch('ann'), watchers.watch('ann'), watchers.watch('bob')];
    watchers.tell('ann', 1);
    watchers.tell('nobody', 2);
    watchers.tell('bob', 3);
    expect([await one.next(), await other.next(), await elsewhere.next()].map(({ value }) => value)).toEqual([1, 1, 3]);
  });

  test('may leave; when the last one has, that is noticed, and again after the next last one', async () => {
    const { watchers, state } = watching();
    const [one, other] = [watchers.watch('ann'), watchers.watch('bob')];
    await one.return?.();
    expect(state.nobody).toBe(0);
    await other.return?.();
    await other.return?.();
    expect(state.nobody).toBe(1);
    await watchers.watch('ann').return?.();
    expect(state.nobody).toBe(2);
  });

  test('are let go when they are too far behind, and told what to do; others go on', async () => {
    const { watchers, state } = watching();
    const slow = watchers.watch('ann');
    for (let item = 0; item <= 1_000; item++) watchers.tell('ann', item);
    await expect(slow.next()).rejects.toMatchObject({ code: 'RATE_LIMITED', message: expect.stringContaining('subscribe again') });
    expect(state.nobody).toBe(1);
  });

  test('are all ended with a failure, whether they wait or not, behind what they have been told', async () => {
    const { watchers, state } = watching();
    const [waiting, behind] = [watchers.watch('ann'), watchers.watch('bob')];
    const next = waiting.next();
    watchers.tell('bob', 1);
    watchers.end(() => new Error('look again'));
    await expect(next).rejects.toThrow('look again');
    expect(await behind.next()).toEqual({ value: 1, done: false });
    await expect(behind.next()).rejects.toThrow('look again');
    expect(await behind.next()).toEqual({ value: undefined, done: true });
    expect(state.nobody).toBe(1);
  });
});
