import { describe, expect, test } from '@jest/globals';
import { DateScalar, DateTimeScalar, safeIntegerScalar } from './scalars.ts';

const Cents = safeIntegerScalar('Cents');

describe('scalars', () => {
  test.each(['2026-02-30', '2026-13-01', '20261120', '2026-11-20T00:00:00Z', 20_261_120, null])('%s is no Date', (value) => {
    expect(() => DateScalar.parseValue(value)).toThrow(/A Date is a day like 2026-11-20/);
  });
  test('a leap day is a Date in its year only', () => {
    expect(DateScalar.parseValue('2028-02-29')).toBe('2028-02-29');
    expect(() => DateScalar.parseValue('2026-02-29')).toThrow('A Date is a day');
  });
  test.each(['2026-11-20', '2026-11-20T10:15:00', 'tomorrow', 5])('%s is no DateTime', (value) => {
    expect(() => DateTimeScalar.parseValue(value)).toThrow('A DateTime is a moment');
  });
  test('a DateTime is a moment, whatever its offset', () => {
    expect(DateTimeScalar.parseValue('2026-11-20T12:15:00+02:00')).toEqual(new Date('2026-11-20T10:15:00Z'));
    expect(DateTimeScalar.serialize(new Date('2026-11-20T10:15:00Z'))).toBe('2026-11-20T10:15:00.000Z');
  });
  test.each([12.5, '1250', 2 ** 53, Number.NaN])('%s is no amount of cents', (value) => {
    expect(() => Cents.parseValue(value)).toThrow('Cents is a whole number');
  });
  test('a negative amount is one', () => {
    expect(Cents.parseValue(-1_250)).toBe(-1_250);
  });
});
