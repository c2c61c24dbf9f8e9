import { afterEach, describe, expect, test } from '@jest/globals';
import { currentTrace, currentTraceparent, isSampled, runInTrace, sampleNewTraces, traceOf } from './trace-context.ts';

const TRACE_ID = '59647b583709902dc87168929ff812b5';
const withFlags = (flags: string): string => `00-${TRACE_ID}-00f067aa0ba902b7-${flags}`;

describe('a trace', () => {
  afterEach(() => sampleNewTraces(undefined));

  test('goes on as its traceparent says', () => {
    expect(traceOf(withFlags('01'))).toEqual({ traceId: TRACE_ID, traceparent: withFlags('01'), isNew: false });
  });

  test.each([undefined, '', 'nonsense', withFlags('1'), withFlags('01').toUpperCase()])('begins anew where there is none that can be read: %s', (traceparent) => {
    const trace = traceOf(traceparent);
    expect(trace).toMatchObject({ isNew: true, traceparent: expect.stringMatching(new RegExp(`^00-${trace.traceId}-[0-9a-f]{16}-01$`)) });
    expect(trace.traceId).toMatch(/^[0-9a-f]{32}$/);
  });

  test('is sampled when the last bit of its flags says so', () => {
    const digits = '0123456789abcdef'.split('');
    expect(digits.filter((digit) => isSampled(withFlags(`0${digit}`)))).toEqual('13579bdf'.split(''));
    expect(['', 'nonsense'].filter(isSampled)).toEqual([]);
  });

  test('that begins here is sampled as the sampler says; one that goes on keeps what it has', () => {
    sampleNewTraces(() => false);
    expect(isSampled(traceOf(undefined).traceparent)).toBe(false);
    expect(isSampled(currentTraceparent())).toBe(false);
    expect(isSampled(traceOf(withFlags('01')).traceparent)).toBe(true);
  });

  test('holds for what is done inside, and nowhere else', async () => {
    const trace = traceOf(withFlags('01'));
    const inside = await runInTrace(trace, async () => {
      await Promise.resolve();
      return [currentTrace(), currentTraceparent()];
    });
    expect(inside).toEqual([trace, trace.traceparent]);
    expect(currentTrace()).toBeUndefined();
  });
});
