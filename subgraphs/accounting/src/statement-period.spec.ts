import { describe, expect, test } from '@jest/globals';
import { periodOf, statementPeriod } from './statement-period.ts';

describe('The period of a statement', () => {
  test.each([
    ['2026-11-20', '2026-11-20', '2026-11-20'],
    ['2026-11', '2026-11-01', '2026-11-30'],
    ['2026-12', '2026-12-01', '2026-12-31'],
    ['2028-02', '2028-02-01', '2028-02-29'],
    ['2027-02', '2027-02-01', '2027-02-28'],
  ])('%s is from %s to %s', (label, firstDay, lastDay) => expect(periodOf(label)).toEqual({ label, firstDay, lastDay }));

  test.each(['', '2026', '2026-00', '2026-13', '2026-11-31', '2027-02-29', '2026-1', '20261120', '2026-11-20 ', '0000-01', '２０２６-11'])('%j is none', (label) =>
    expect(periodOf(label)).toBeNull(),
  );

  test('is a day or a month, exactly one of them', () => {
    expect(statementPeriod('2026-11-20', null).label).toBe('2026-11-20');
    expect(statementPeriod(undefined, '2026-11').label).toBe('2026-11');
    for (const [day, month] of [[null, undefined], ['2026-11-20', '2026-11']] as const) {
      expect(() => statementPeriod(day, month)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', message: expect.stringContaining('give one of them') }));
    }
  });

  test('says how a day and how a month are written', () => {
    expect(() => statementPeriod(null, '2026-13')).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', message: 'A month is one like 2026-11, not "2026-13"' }));
    expect(() => statementPeriod(null, '2026-11-20')).toThrow('A month is one like 2026-11, not "2026-11-20"');
    expect(() => statementPeriod('2026-11', null)).toThrow('A day is one like 2026-11-20, not "2026-11"');
  });
});
