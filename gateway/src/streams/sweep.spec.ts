import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createSweep } from './sweep.ts';

const PERIOD_MS = 4_800;

describe('A sweep', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test.each([1, 7, 48, 1_000])('visits each of %i members once in a period', (count) => {
    const visits = new Map<number, number>();
    const sweep = createSweep<number>(PERIOD_MS, (member) => visits.set(member, (visits.get(member) ?? 0) + 1));
    for (let member = 0; member < count; member += 1) sweep.add(member);
    jest.advanceTimersByTime(PERIOD_MS * 10);
    expect(visits.size).toBe(count);
    for (const times of visits.values()) expect(Math.abs(times - 10)).toBeLessThanOrEqual(1);
    sweep.stop();
  });

  test('spreads its visits over the period', () => {
    let visits = 0;
    const sweep = createSweep<number>(PERIOD_MS, () => (visits += 1));
    for (let member = 0; member < 4_800; member += 1) sweep.add(member);
    let most = 0;
    for (let moment = 0; moment < 48; moment += 1) {
      const before = visits;
      jest.advanceTimersByTime(PERIOD_MS / 48);
      most = Math.max(most, visits - before);
    }
    expect([visits, most]).toEqual([4_800, 100]);
    sweep.stop();
  });

  test('lets go of members that leave, also while they are visited', () => {
    const visited: string[] = [];
    const sweep = createSweep<string>(PERIOD_MS, (member) => {
      visited.push(member);
      sweep.remove(member);
    });
    for (const member of ['a', 'b', 'c']) sweep.add(member);
    sweep.remove('b');
    jest.advanceTimersByTime(PERIOD_MS * 4);
    expect([visited.toSorted(), sweep.size]).toEqual([['a', 'c'], 0]);
    sweep.stop();
  });
});
