import { describe, expect, test } from '@jest/globals';
import { addCents, cents, negateCents } from './cents.ts';

describe('cents', () => {
  test('a whole number, also a database bigint in its text form, is an amount', () => {
    expect(cents(1_250)).toBe(1_250);
    expect(cents('-1250')).toBe(-1_250);
  });

  test.each([0.1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '9007199254740993', '', '12.5'])('%s is no amount', (value) => {
    expect(() => cents(value)).toThrow(RangeError);
  });

  test('a sum that leaves the safe range is refused, never rounded', () => {
    expect(() => addCents(cents(Number.MAX_SAFE_INTEGER), cents(1))).toThrow(RangeError);
  });

  test('there is no negative zero', () => {
    expect(Object.is(negateCents(cents(0)), 0)).toBe(true);
  });
});
