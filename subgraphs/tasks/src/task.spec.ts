import { describe, expect, test } from '@jest/globals';
import { DomainError } from '@ates/service-kit/domain-error';
import { randomInt } from 'node:crypto';
import { assign, complete, drawAssignees, pickAssignee, remove, requireVersion, taskText, update, type TaskState } from './task.ts';

const OPEN: TaskState = { version: 2, status: 'OPEN', assigneeId: 'ann', assignmentNumber: 1 };
const DONE: TaskState = { ...OPEN, status: 'DONE' };
const refusal = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
    throw error;
  }
  return 'none';
};

describe('a task', () => {
  test('is completed by its current assignee', () => {
    expect(complete(OPEN, 'ann')).toEqual({ ...OPEN, status: 'DONE', version: 3 });
  });
  test('is completed by nobody else', () => {
    expect(refusal(() => complete(OPEN, 'bob'))).toBe('FORBIDDEN');
    expect(refusal(() => complete({ ...OPEN, assigneeId: null }, 'bob'))).toBe('FORBIDDEN');
  });
  test('is completed once', () => {
    expect(refusal(() => complete(DONE, 'ann'))).toBe('CONFLICT');
  });
  test('may be assigned to whoever has it: that is an assignment too', () => {
    expect(assign(OPEN, 'ann')).toEqual({ ...OPEN, version: 3, assignmentNumber: 2 });
  });
  test('is not assigned once it is done', () => {
    expect(refusal(() => assign(DONE, 'bob'))).toBe('CONFLICT');
  });
});

describe('a task that somebody edits', () => {
  test('goes on by one version, also when it is done', () => {
    expect(update(OPEN)).toEqual({ ...OPEN, version: 3 });
    expect(update(DONE)).toEqual({ ...DONE, version: 3 });
  });
  test('is deleted while it is open, and keeps who has it: they get their fee back', () => {
    expect(remove(OPEN)).toEqual({ ...OPEN, status: 'DELETED', version: 3 });
    expect(refusal(() => remove(DONE))).toBe('CONFLICT');
    expect(refusal(() => remove({ ...OPEN, status: 'DELETED' }))).toBe('CONFLICT');
  });
  test('is neither edited nor assigned nor completed once it is deleted', () => {
    const deleted: TaskState = { ...OPEN, status: 'DELETED' };
    for (const act of [() => update(deleted), () => assign(deleted, 'bob'), () => complete(deleted, 'ann')]) expect(refusal(act)).toBe('CONFLICT');
  });
  test('is at the version that the editor has seen, where they say so', () => {
    for (const expected of [3, null, undefined]) expect(refusal(() => requireVersion(3, expected))).toBe('none');
    for (const expected of [2, 4]) expect(refusal(() => requireVersion(3, expected))).toBe('CONFLICT');
  });
});

describe('the random assignee', () => {
  test('is the one that the random index names', () => {
    expect(pickAssignee(['ann', 'bob', 'cleo'], (limit) => limit - 1)).toBe('cleo');
  });
  test('is nobody where there is no employee', () => {
    expect(pickAssignee([], () => 0)).toBeNull();
  });
  test('of each task is drawn for itself', () => {
    const draws = [2, 0, 1, 1];
    expect(drawAssignees(4, 3, () => draws.shift() ?? -1)).toEqual([2, 0, 1, 1]);
    expect(drawAssignees(0, 3, () => 0)).toEqual([]);
  });
  test('is each employee equally often, and so is each pair of neighbours, by a chi-squared test', () => {
    // With 29 degrees of freedom 1 of 1,000,000 fair draws exceeds 79, with 99 it is 175: this fails by chance once in half a million runs.
    const draws = drawAssignees(30_000, 30, randomInt);
    expect(chiSquared(draws, 30)).toBeLessThan(79);
    const ones = drawAssignees(40_000, 10, randomInt);
    const pairs = ones.flatMap((draw, index) => (index % 2 === 0 ? [draw * 10 + (ones[index + 1] ?? 0)] : []));
    expect(chiSquared(pairs, 100)).toBeLessThan(175);
  });
  test('would fail that test if a remainder favoured the first ones', () => {
    const biased = drawAssignees(30_000, 30, (limit) => randomInt(256) % limit);
    expect(chiSquared(biased, 30)).toBeGreaterThan(79);
  });
});

/** How far the counts of 0 to `kinds` − 1 are from equal. */
function chiSquared(draws: readonly number[], kinds: number): number {
  const counts = Array.from({ length: kinds }, () => 0);
  for (const draw of draws) counts[draw] = (counts[draw] ?? Number.NaN) + 1;
  const expected = draws.length / kinds;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('a task’s text', () => {
  test('is cleaned, and an old-style title is split', () => {
    expect(taskText({ title: ' [POPUG-12]  Feed\u0000 the\n parrot ', description: ' twice\na day ' })).toEqual({ ticket: 'POPUG-12', title: 'Feed the parrot', description: 'twice\na day' });
  });
  test('has one way to end a line, no characters that are not seen, and keeps pictures and scripts that join', () => {
    const { title, description } = taskText({ title: '\u202eFeed\u200b the\tparrot\ufeff', description: 'one\r\ntwo\u2028three\rfour\n\tfive 👩\u200d🌾 \ud800' });
    expect({ title, description }).toEqual({ title: 'Feed the parrot', description: 'one\ntwo\nthree\nfour\n\tfive 👩\u200d🌾 \ufffd' });
  });
  test.each([
    ['a title of what is not seen', { title: '\u200b\u2060\ufeff', description: '' }],
    ['an empty title', { title: '  ', description: '' }],
    ['a ticket without a title', { title: '[POPUG-12]', description: '' }],
    ['square brackets inside the title', { title: 'Feed [the] parrot', description: '' }],
    ['a second ticket', { title: '[A] [B] Feed', description: '' }],
    ['a title of 201 characters', { title: 'x'.repeat(201), description: '' }],
    ['a ticket of 41 characters', { title: `[${'x'.repeat(41)}] Feed`, description: '' }],
    ['a description of 10,001 characters', { title: 'Feed', description: 'x'.repeat(10_001) }],
  ])('%s is refused', (_what, input) => {
    expect(refusal(() => taskText(input))).toBe('BAD_USER_INPUT');
  });
});
