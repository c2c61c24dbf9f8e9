import { describe, expect, test } from '@jest/globals';
import { drawPrice } from './pricing.ts';

describe('the price of a task', () => {
  test('is drawn from $10.00 to $20.00 for the fee and from $20.00 to $40.00 for the reward, both ends included', () => {
    expect(drawPrice((min) => min)).toEqual({ fee: 10_00, reward: 20_00 });
    expect(drawPrice((_min, max) => max)).toEqual({ fee: 20_00, reward: 40_00 });
  });
});
