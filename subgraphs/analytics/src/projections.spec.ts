import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { CATALOG, readEvent, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { project } from './projections.ts';

const stored = (dataschema: string): PublishedAtesEvent => readEvent(readFileSync(new URL(`../../../shared-events/fixtures/${dataschema}.json`, import.meta.url), 'utf8'));
const ALL = CATALOG.map(({ dataschema }) => stored(dataschema));

describe('the read model', () => {
  test('counts assignments and completions by their business day', () => {
    const { days } = project([stored('task.assigned.v1'), stored('task.assigned.v1'), stored('task.completed.v1')]);
    expect(days.get('2026-11-20')).toMatchObject({ assigned: 2, completed: 1 });
  });

  test('the company earns what employees are charged and loses what they are paid', () => {
    const { days } = project([stored('account.charged.v1'), stored('account.rewarded.v1')]);
    expect(days.get('2026-11-20')?.companyEarnings).toBe(12_50 - 31_00);
  });

  test('the company loses what it gives back, and the audit log tells it', () => {
    const { days, auditEntries } = project([stored('account.charged.v1'), stored('account.reversed.v1')]);
    expect(days.get('2026-11-20')?.companyEarnings).toBe(12_50 - 15_00);
    expect(auditEntries.map(({ kind }) => kind)).toEqual(['FEE', 'REVERSAL']);
  });

  test('a task is called as it was called last', () => {
    expect(project([stored('task.created.v2'), stored('task.updated.v1')]).tasks.at(-1)).toMatchObject({ number: 17, title: 'Feed the old parrot' });
  });

  test('every charge and reward is a line of the audit log with its employee', () => {
    const charged = stored('account.charged.v1');
    expect(project([charged]).auditEntries).toEqual([expect.objectContaining({ kind: 'FEE', amount: -12_50, employeeId: (charged.data as { ownerId: string }).ownerId })]);
  });

  test('an attempt to sign in is counted as what it was', () => {
    expect(project([stored('user.authenticated.v1'), stored('user.denied.v1')]).attempts.map(({ denied }) => denied)).toEqual([false, true]);
  });

  test('the order of events changes nothing in the end result', () => {
    const forwards = project(ALL);
    const backwards = project([...ALL].reverse());
    expect(backwards.days).toEqual(forwards.days);
    expect(new Set(backwards.auditEntries)).toEqual(new Set(forwards.auditEntries));
  });

  test('every event of the catalogue has a meaning here, if only to be passed over', () => {
    expect(() => project(ALL)).not.toThrow();
  });
});
