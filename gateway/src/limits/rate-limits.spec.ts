import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseRateLimit, type RateLimit } from '../option-values.ts';
import { createRateLimits, KEYS_MAX, type RateLimits } from './rate-limits.ts';

/** Limits with a clock of the test's own, in milliseconds. */
function startLimits(user: string, address = 'off'): { limits: RateLimits; clock: { now: number } } {
  const clock = { now: 1_000 };
  const rate = (text: string): RateLimit | undefined => {
    const parsed = parseRateLimit(text);
    return parsed === 'off' ? undefined : parsed;
  };
  return { clock, limits: createRateLimits({ rateLimitUser: rate(user), rateLimitAddress: rate(address) }, () => clock.now) };
}

/** How many go on one after the other, of so many. */
const passed = (limits: RateLimits, who: { userId?: string; address?: string }, tries: number): number =>
  Array.from({ length: tries }, () => limits.take(who)).filter((refused) => refused === null).length;

describe('A rate limit', () => {
  test('lets ten seconds’ worth go on at once, then what the rate allows', () => {
    const { limits, clock } = startLimits('10/s');
    expect(passed(limits, { userId: 'ann' }, 200)).toBe(100);
    clock.now += 100;
    expect(passed(limits, { userId: 'ann' }, 5)).toBe(1);
    clock.now += 1_000;
    expect(passed(limits, { userId: 'ann' }, 50)).toBe(10);
    clock.now += 60_000;
    expect(passed(limits, { userId: 'ann' }, 200)).toBe(100);
  });

  test('by the minute lets as many go on at once as it names', () => {
    const { limits, clock } = startLimits('600/m');
    expect(passed(limits, { userId: 'ann' }, 700)).toBe(600);
    clock.now += 1_000;
    expect(passed(limits, { userId: 'ann' }, 50)).toBe(10);
  });

  test('tells when to try again, and keeps that word', () => {
    const { limits, clock } = startLimits('6/m');
    passed(limits, { userId: 'ann' }, 6);
    const refused = limits.take({ userId: 'ann' });
    expect(refused).toEqual({ retryAfterSeconds: 10, message: 'You have sent too many operations: at most 6 a minute, 6 at once after a pause. Try again in 10 s' });
    clock.now += 9_000;
    expect(limits.take({ userId: 'ann' })?.retryAfterSeconds).toBe(1);
    clock.now += 1_000;
    expect(limits.take({ userId: 'ann' })).toBeNull();
  });

  test('counts each user, and each address, by itself; signed-in users on both', () => {
    const { limits } = startLimits('1/s', '2/s');
    expect(passed(limits, { userId: 'ann', address: '192.0.2.1' }, 30)).toBe(10);
    expect(passed(limits, { userId: 'bob', address: '192.0.2.1' }, 30)).toBe(10);
    expect(limits.take({ userId: 'cyd', address: '192.0.2.1' })?.message).toMatch(/^Your network address has/);
    expect(limits.take({ address: '192.0.2.1' })).not.toBeNull();
    expect(limits.take({ userId: 'cyd', address: '192.0.2.2' })).toBeNull();
  });

  test('takes from neither bucket when one of them refuses', () => {
    const { limits } = startLimits('1/s', '2/s');
    expect(passed(limits, { userId: 'ann', address: '192.0.2.1' }, 100)).toBe(10);
    expect(passed(limits, { address: '192.0.2.1' }, 100)).toBe(10);
  });

  test('takes the 64 bits of an IPv6 network for one address', () => {
    const { limits } = startLimits('off', '1/s');
    expect(passed(limits, { address: '2001:db8::1' }, 30)).toBe(10);
    expect(passed(limits, { address: '2001:0DB8:0:0:ffff::7' }, 30)).toBe(0);
    expect(passed(limits, { address: '2001:db8:0:1::1' }, 30)).toBe(10);
    expect(passed(limits, { address: '192.0.2.9' }, 30)).toBe(10);
    expect(passed(limits, { address: '::ffff:192.0.2.9' }, 30)).toBe(0);
  });

  test('that is off lets everything go on', () => {
    expect(passed(startLimits('off').limits, { userId: 'ann', address: '192.0.2.1' }, 10_000)).toBe(10_000);
  });

  test('refuses what costs more than there is, and takes a full bucket for what costs more than it holds', () => {
    const { limits } = startLimits('1/s');
    expect(limits.take({ userId: 'ann' }, 8)).toBeNull();
    expect(limits.take({ userId: 'ann' }, 3)?.retryAfterSeconds).toBe(1);
    expect(limits.take({ userId: 'ann' }, 2)).toBeNull();
    expect(limits.take({ userId: 'bob' }, 1_000)).toBeNull();
    expect(limits.take({ userId: 'bob' })).not.toBeNull();
  });
});

test('A bucket never lets more go on, in any span of time, than its burst and what came in', () => {
  const steps = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 3_000 }), tries: fc.integer({ min: 0, max: 20 }) }), { maxLength: 40 });
  fc.assert(
    fc.property(steps, (all) => {
      const { limits, clock } = startLimits('2/s');
      let tokens = 20;
      for (const { waitMs, tries } of all) {
        clock.now += waitMs;
        tokens = Math.min(20, tokens + (waitMs * 2) / 1_000);
        const expected = Math.min(tries, Math.floor(tokens + 1e-6));
        expect(passed(limits, { userId: 'ann' }, tries)).toBe(expected);
        tokens -= expected;
      }
    }),
  );
});

describe('A flood of new addresses', () => {
  test('does not free an address that has used up its operations', () => {
    const { limits } = startLimits('off', '2/m');
    passed(limits, { address: 'limited' }, 100);
    for (let n = 0; n < 3 * KEYS_MAX; n += 1) limits.take({ address: `flood ${n}` });
    expect(limits.take({ address: 'limited' })).not.toBeNull();
  });

  test('is forgotten as soon as its buckets are full again', () => {
    const { limits, clock } = startLimits('off', '1000/s');
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 500_000; n += 1) {
      clock.now += 0.01;
      limits.take({ address: `flood ${n}` });
    }
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100e6);
  });

  test('costs each request some microseconds', () => {
    const { limits } = startLimits('1000/s', '1/m');
    const before = process.cpuUsage();
    for (let n = 0; n < 200_000; n += 1) limits.take({ userId: 'ann', address: `flood ${n}` });
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 200_000).toBeLessThan(30);
  });
});
