import { describe, expect, test } from '@jest/globals';
import { createRevocationNumbering } from './revocation-numbering.ts';

const STALE_AFTER_MS = 5_000;

function numberingAt() {
  let nowMs = 0;
  const numbering = createRevocationNumbering(STALE_AFTER_MS, () => nowMs);
  return { numbering, pass: (ms: number) => void (nowMs += ms) };
}

/** One that knows everything up to this number. */
function knowing(last: number) {
  const made = numberingAt();
  made.numbering.asked(0);
  made.numbering.answered(0, last);
  return made;
}

test('at first everything is missing, and nothing was heard', () => {
  const { numbering } = numberingAt();
  expect(numbering.isComplete()).toBe(false);
  expect(numbering.ageMs()).toBe(Number.POSITIVE_INFINITY);
  expect(numbering.heard(7, 7)).toBe(0);
  expect(numbering.isComplete()).toBe(false);
});

test('the answer to the first question makes it complete', () => {
  const { numbering, pass } = knowing(7);
  expect(numbering.isComplete()).toBe(true);
  pass(20);
  expect(numbering.ageMs()).toBe(20);
});

test.each([
  ['a heartbeat', 7, 7],
  ['what is new', 7, 9],
  ['what is known in part, from another sender', 5, 8],
  ['what is known already', 3, 7],
])('%s continues what is known', (_what, after, last) => {
  const { numbering, pass } = knowing(7);
  pass(500);
  expect(numbering.heard(after, last)).toBeNull();
  expect(numbering.ageMs()).toBe(0);
  expect(numbering.heard(last, last)).toBeNull();
});

describe('A gap', () => {
  test('has to be asked for from what is known, and is closed by the answer', () => {
    const { numbering } = knowing(7);
    expect(numbering.heard(9, 10)).toBe(7);
    expect(numbering.isComplete()).toBe(false);
    numbering.asked(7);
    expect(numbering.answered(7, 10)).toBe(true);
    expect(numbering.isComplete()).toBe(true);
    expect(numbering.heard(10, 10)).toBeNull();
  });

  test('is not closed by an answer from before its end', () => {
    const { numbering } = knowing(7);
    numbering.heard(9, 10);
    numbering.asked(7);
    expect(numbering.answered(7, 8)).toBe(false);
    expect(numbering.isComplete()).toBe(false);
    expect(numbering.answered(7, 9)).toBe(true);
  });

  test('that is heard of while it is asked for widens it', () => {
    const { numbering } = numberingAt();
    numbering.asked(0);
    numbering.heard(12, 13);
    expect(numbering.answered(0, 10)).toBe(false);
    numbering.asked(0);
    expect(numbering.answered(0, 13)).toBe(true);
  });

  test('is what a lost connection leaves', () => {
    const { numbering } = knowing(7);
    numbering.lost();
    expect(numbering.isComplete()).toBe(false);
    numbering.heard(7, 7);
    expect(numbering.isComplete()).toBe(false);
    numbering.asked(0);
    expect(numbering.answered(0, 7)).toBe(true);
  });
});

describe('A message from behind', () => {
  test('is no sign of life, and has everything asked for', () => {
    const { numbering, pass } = knowing(7);
    pass(100);
    expect(numbering.heard(4, 6)).toBe(0);
    expect(numbering.ageMs()).toBe(100);
    expect(numbering.isComplete()).toBe(true);
  });

  test('of a sender that was overtaken changes nothing', () => {
    const { numbering } = knowing(7);
    numbering.heard(4, 6);
    numbering.asked(0);
    expect(numbering.answered(0, 7)).toBe(true);
    expect(numbering.heard(7, 8)).toBeNull();
  });

  test('of a restored database: the numbers go on from there', () => {
    const { numbering } = knowing(70);
    numbering.heard(40, 40);
    numbering.asked(0);
    expect(numbering.answered(0, 40)).toBe(true);
    expect(numbering.heard(40, 41)).toBeNull();
    expect(numbering.heard(42, 43)).toBe(41);
  });

  test('does not wait for a gap of before the restore', () => {
    const { numbering } = knowing(70);
    numbering.heard(90, 91);
    expect(numbering.heard(40, 40)).toBe(0);
    numbering.asked(0);
    expect(numbering.answered(0, 40)).toBe(true);
  });
});

test('after a silence everything has to be asked for, also where the numbers fit', () => {
  const { numbering, pass } = knowing(7);
  pass(STALE_AFTER_MS);
  expect(numbering.heard(7, 7)).toBeNull();
  pass(STALE_AFTER_MS + 1);
  expect(numbering.heard(7, 8)).toBe(0);
  expect(numbering.isComplete()).toBe(false);
  numbering.asked(0);
  expect(numbering.answered(0, 8)).toBe(true);
  expect(numbering.ageMs()).toBe(0);
});
