import { describe, expect, test } from '@jest/globals';
import { DomainError } from '@ates/service-kit/domain-error';
import { assign, complete, pickAssignee, taskText, type TaskState } from './task.ts';

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

describe('the random assignee', () => {
  test('is the one that the random index names', () => {
    expect(pickAssignee(['ann', 'bob', 'cleo'], (limit) => limit - 1)).toBe('cleo');
  });
  test('is nobody where there is no employee', () => {
    expect(pickAssignee([], () => 0)).toBeNull();
  });
});

describe('a task’s text', () => {
  test('is cleaned, and an old-style title is split', () => {
    expect(taskText({ title: ' [POPUG-12]  Feed\u0000 the\n parrot ', description: ' twice\na day ' })).toEqual({ ticket: 'POPUG-12', title: 'Feed the parrot', description: 'twice\na day' });
  });
  test.each([
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
