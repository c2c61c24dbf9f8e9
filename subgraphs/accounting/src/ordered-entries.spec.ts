import { describe, expect, test } from '@jest/globals';
import { cents } from '@ates/shared-events/cents';
import { createPushQueue } from '@ates/service-kit/push-queue';
import { inOrder, MISSED_PAGE_ENTRIES } from './ordered-entries.ts';
import type { PostedEntry } from './posting.ts';

const entry = (number: number): PostedEntry => ({
  id: `entry ${number}`, accountId: 'account', ownerId: 'ann', number, kind: 'FEE', amount: cents(-1), balanceAfter: cents(-number),
  description: '', taskId: null, businessDay: '2026-11-20', lateFor: null, postedAt: new Date(0),
});

/** An account whose ledger the database knows up to `posted`, watched by somebody who knows it up to `after`. */
function watched({ posted = 0, after = 0 }: { posted?: number; after?: number }) {
  const ledger = { posted };
  const reads: number[] = [];
  let left = 0;
  const live = createPushQueue<PostedEntry>(1_000, () => new Error('too far behind'), () => (left += 1));
  const entries = inOrder(live, after, async (number, limit) => {
    reads.push(number);
    return Array.from({ length: Math.max(0, Math.min(limit, ledger.posted - number)) }, (_, index) => entry(number + index + 1));
  });
  const take = async (count: number): Promise<number[]> => {
    const numbers: number[] = [];
    while (numbers.length < count) numbers.push((await entries.next()).value.number);
    return numbers;
  };
  return { live, entries, ledger, reads, take, left: () => left };
}

describe('Who watches an account', () => {
  test('gets what they missed first, then what is posted, each once', async () => {
    const { live, take, ledger } = watched({ posted: 5, after: 3 });
    expect(await take(2)).toEqual([4, 5]);
    ledger.posted = 7;
    for (const number of [6, 7]) live.push(entry(number));
    expect(await take(2)).toEqual([6, 7]);
  });

  test('gets nothing twice that was posted while they read what they missed', async () => {
    const { live, take } = watched({ posted: 3, after: 1 });
    for (const number of [2, 3, 4]) live.push(entry(number));
    expect(await take(3)).toEqual([2, 3, 4]);
  });

  test('gets what nobody told from the database, in its place', async () => {
    const { live, take, ledger } = watched({ posted: 1, after: 1 });
    ledger.posted = 5;
    live.push(entry(5));
    live.push(entry(4));
    live.push(entry(6));
    expect(await take(5)).toEqual([2, 3, 4, 5, 6]);
  });

  test('gets thousands that they missed page by page', async () => {
    const { take, reads } = watched({ posted: 2 * MISSED_PAGE_ENTRIES + 1, after: 0 });
    expect((await take(2 * MISSED_PAGE_ENTRIES + 1)).at(-1)).toBe(2 * MISSED_PAGE_ENTRIES + 1);
    expect(reads).toEqual([0, MISSED_PAGE_ENTRIES, 2 * MISSED_PAGE_ENTRIES]);
  });

  test('can leave while nothing happens', async () => {
    const { entries, left } = watched({});
    const next = entries.next();
    await entries.return?.();
    expect(await next).toMatchObject({ done: true });
    expect(left()).toBe(1);
  });

  test('is told when the source fails', async () => {
    const { entries, live } = watched({});
    const next = entries.next();
    live.fail(new Error('the service stops'));
    await expect(next).rejects.toThrow('the service stops');
  });
});
