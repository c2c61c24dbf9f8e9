import { describe, expect, test } from '@jest/globals';
import { joinTicket, splitTicket } from './task-events.ts';

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

  test('is put together again as it was', () => {
    expect(splitTicket(joinTicket('POPUG-12', 'Feed the parrot'))).toEqual({ ticket: 'POPUG-12', title: 'Feed the parrot' });
    expect(joinTicket(null, 'Feed the parrot')).toBe('Feed the parrot');
  });
});
