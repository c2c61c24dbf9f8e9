import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { CATALOG, readEvent, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { employeesTold, monthOf, project, sumOfDays } from './projections.ts';

const stored = (dataschema: string, data: object = {}): PublishedAtesEvent => {
  const event = readEvent(readFileSync(new URL(`../../../shared-events/fixtures/${dataschema}.json`, import.meta.url), 'utf8'));
  return { ...event, data: { ...event.data, ...data } } as PublishedAtesEvent;
};
const ALL = CATALOG.map(({ dataschema }) => stored(dataschema));

describe('what events mean for the read model', () => {
  test('assignments are counted by their business day', () => {
    expect(project([stored('task.assigned.v1'), stored('task.assigned.v1')]).assignments).toEqual(new Map([['2026-11-20', 2]]));
  });

  test('a task is called as it was called last', () => {
    const { tasks } = project([stored('task.created.v2'), stored('task.updated.v1')]);
    expect([...tasks.values()].at(-1)).toMatchObject({ number: 17, title: 'Feed the old parrot' });
  });

  test('a user is called as they were called last, when they are deleted too', () => {
    const { users } = project([stored('user.created.v1'), stored('user.deleted.v1')]);
    const { data } = stored('user.deleted.v1') as { data: { name?: string } };
    expect([...users.values()].at(-1)).toBe(data.name);
  });

  test('every charge, reward, reversal and payout is a line of the audit log with its employee', () => {
    const events = [stored('account.charged.v1'), stored('account.rewarded.v1'), stored('account.reversed.v1'), stored('account.paid.v1')];
    const { entries } = project(events);
    expect(entries.map(({ kind }) => kind)).toEqual(['FEE', 'REWARD', 'REVERSAL', 'PAYOUT']);
    expect(entries.map(({ employeeId }) => employeeId)).toEqual(events.map(({ data }) => (data as { ownerId: string }).ownerId));
  });

  test('a price and a completion of one task come to the same in either order, and told twice', () => {
    const [priced, completed] = [stored('task.priced.v1'), { ...stored('task.completed.v1'), subject: stored('task.priced.v1').subject } as PublishedAtesEvent];
    const forwards = project([priced, completed, priced]).taskFacts;
    expect(project([completed, priced, completed]).taskFacts).toEqual(forwards);
    expect([...forwards.values()]).toEqual([expect.objectContaining({ taskId: priced.subject, completedDay: '2026-11-20', reward: expect.any(Number) })]);
  });

  test('an employee is known from the first day on that anything is told of, a balance carried over included', () => {
    const { ownerId, entry } = stored('account.charged.v1').data as { ownerId: string; entry: object };
    const charged = stored('account.charged.v1', { entry: { ...entry, businessDay: '2026-11-22' } });
    const carried = stored('account.carried_over.v1', { ownerId, businessDay: '2026-11-21' });
    expect(employeesTold(project([charged, carried, charged]))).toEqual(new Map([[ownerId, '2026-11-21']]));
  });

  test('an attempt to sign in is told as what it was', () => {
    expect(project([stored('user.authenticated.v1'), stored('user.denied.v1')]).attempts.map(({ denied }) => denied)).toEqual([false, true]);
  });

  test('the close of a day is kept as Accounting tells it', () => {
    const closed = stored('day.closed.v1');
    expect(project([closed]).closings).toEqual([closed.data]);
  });

  test('the order of events changes nothing in sums and facts', () => {
    const [forwards, backwards] = [project(ALL), project([...ALL].reverse())];
    expect(backwards.assignments).toEqual(forwards.assignments);
    expect(backwards.taskFacts).toEqual(forwards.taskFacts);
    expect(new Set(backwards.entries)).toEqual(new Set(forwards.entries));
  });
});

describe('the changes of days', () => {
  test('are summed by day, and those that come to nothing are left out', () => {
    const days = sumOfDays([
      ['2026-11-20', { companyEarnings: cents(12_50), assigned: 1 }],
      ['2026-11-20', { companyEarnings: cents(-31_00), completed: 1 }],
      ['2026-11-21', { redChange: 1 }],
      ['2026-11-21', { redChange: -1 }],
    ]);
    expect([...days]).toEqual([['2026-11-20', { companyEarnings: -18_50, assigned: 1, completed: 1, paidOut: 0, paidEmployees: 0, signIns: 0, deniedSignIns: 0, redChange: 0 }]]);
  });

  test('belong to the month of the day', () => {
    expect([monthOf('2026-12-31'), monthOf('2027-01-01'), monthOf('2028-02-29')]).toEqual(['2026-12-01', '2027-01-01', '2028-02-01']);
  });
});
