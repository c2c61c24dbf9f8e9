import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { assertContract } from './event.ts';
import { splitTicket, taskCreatedV2, taskCreatedV2From } from './task-events.ts';

describe('an old-style title', () => {
  test.each([
    ['[POPUG-12] Feed the parrot', 'POPUG-12', 'Feed the parrot'],
    ['  [ POPUG-12 ]Feed the parrot', 'POPUG-12', 'Feed the parrot'],
    ['Feed the parrot', null, 'Feed the parrot'],
    ['Feed [the] parrot', null, 'Feed [the] parrot'],
    ['[] Feed the parrot', null, '[] Feed the parrot'],
  ])('%s is split into ticket and title', (titled, ticket, title) => {
    expect(splitTicket(titled)).toEqual({ ticket, title });
  });
});

describe('a task.created.v1 as a v2', () => {
  const V1 = { version: 1, number: 17, title: '', description: 'Twice a day', status: 'OPEN' as const, creatorId: crypto.randomUUID(), createdAt: '2026-11-20T10:15:00.000Z' };

  test.each([
    ['[POPUG-12] Feed the parrot', 'POPUG-12', 'Feed the parrot'],
    ['Feed the parrot', null, 'Feed the parrot'],
    ['[POPUG-12] Feed [the] parrot', 'POPUG-12', 'Feed the parrot'],
  ])('%s has its ticket and its title apart, the rest as it was', (title, ticket, plainTitle) => {
    expect(taskCreatedV2From({ ...V1, title })).toEqual({ ...V1, ticket, title: plainTitle });
  });

  test('fits v2, whatever the title', () => {
    const title = fc.array(fc.oneof(fc.constantFrom('[', ']', ' ', '\n'), fc.string())).map((parts) => parts.join(''));
    fc.assert(fc.property(title, (each) => assertContract(taskCreatedV2, taskCreatedV2From({ ...V1, title: each }))));
  });
});
