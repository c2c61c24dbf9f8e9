import { expect, test } from '@jest/globals';
import { createRevocationList, FORGET_AFTER_MS } from './revocation-list.ts';

const token = { userId: 'ann', sessionId: 's1', userVersion: 3, keyId: 'k1' };
const KEYS = ['k1', 'k2'];

function listAt(): { list: ReturnType<typeof createRevocationList>; pass: (ms: number) => void } {
  let nowMs = 1_000;
  return { list: createRevocationList(() => nowMs), pass: (ms) => void (nowMs += ms) };
}

test('a token is refused when its user has a newer version, not when it is of that version', () => {
  const { list } = listAt();
  list.apply([{ seq: 1, userId: 'ann', belowVersion: 3 }], KEYS);
  expect(list.reasonAgainst(token)).toBeNull();
  list.apply([{ seq: 2, userId: 'ann', belowVersion: 4 }], KEYS);
  expect(list.reasonAgainst(token)).toBe('user');
  expect(list.reasonAgainst({ ...token, userVersion: 4 })).toBeNull();
  expect(list.reasonAgainst({ ...token, userId: 'bob' })).toBeNull();
});

test('an older entry that comes later takes nothing back', () => {
  const { list } = listAt();
  list.apply([{ seq: 2, userId: 'ann', belowVersion: 4 }], KEYS);
  list.apply([{ seq: 1, userId: 'ann', belowVersion: 2 }], KEYS);
  expect(list.reasonAgainst(token)).toBe('user');
});

test('an ended session refuses its tokens, whatever their version', () => {
  const { list } = listAt();
  list.apply([{ seq: 1, sessionId: 's1' }], KEYS);
  expect(list.reasonAgainst({ ...token, userVersion: 99 })).toBe('session');
  expect(list.reasonAgainst({ ...token, sessionId: 's2' })).toBeNull();
});

test('every key passes until it was told which may sign; then those alone', () => {
  const { list } = listAt();
  expect(list.reasonAgainst({ ...token, keyId: 'any' })).toBeNull();
  list.apply([], KEYS);
  expect(list.reasonAgainst({ ...token, keyId: 'any' })).toBe('key');
  expect(list.reasonAgainst({ ...token, keyId: 'k2' })).toBeNull();
  list.apply([], ['k2', 'k3']);
  expect(list.reasonAgainst(token)).toBe('key');
  list.apply([], []);
  expect(list.reasonAgainst({ ...token, keyId: 'k3' })).toBe('key');
});

test('it tells whether something was new', () => {
  const { list } = listAt();
  const entries = [{ seq: 1, userId: 'ann', belowVersion: 4 }, { seq: 2, sessionId: 's1' }];
  expect(list.apply([], KEYS)).toBe(true);
  expect(list.apply([], ['k2', 'k1'])).toBe(false);
  expect(list.apply(entries, KEYS)).toBe(true);
  expect(list.apply(entries, KEYS)).toBe(false);
  expect(list.apply([{ seq: 1, userId: 'ann', belowVersion: 3 }], KEYS)).toBe(false);
  expect(list.apply([], ['k1'])).toBe(true);
});

test('entries are forgotten 11 minutes after they were heard last, keys are not', () => {
  const { list, pass } = listAt();
  const entries = [{ seq: 1, userId: 'ann', belowVersion: 4 }, { seq: 2, sessionId: 's2' }];
  list.apply(entries, KEYS);
  pass(FORGET_AFTER_MS);
  list.forget();
  expect(list.size()).toBe(2);
  expect(list.reasonAgainst(token)).toBe('user');
  list.apply(entries.slice(1), KEYS);
  pass(1);
  list.forget();
  expect(list.size()).toBe(1);
  expect(list.reasonAgainst(token)).toBeNull();
  expect(list.reasonAgainst({ ...token, sessionId: 's2' })).toBe('session');
  expect(list.reasonAgainst({ ...token, keyId: 'any' })).toBe('key');
});
