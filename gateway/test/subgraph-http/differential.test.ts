import { describe, expect, test } from '@jest/globals';
import { judge, startComparison } from './beside-undici.ts';

const SEED = 20_261_122;
const CASES = 1_000;

describe('The client of subgraphs, beside undici', () => {
  test(`reads of ${CASES} drawn responses, whole and broken, what undici reads, or refuses them`, async () => {
    const comparison = await startComparison(SEED);
    const tally: Partial<Record<ReturnType<typeof judge>, number>> = {};
    const faults: unknown[] = [];
    for (let number = 0; number < CASES; number += 1) {
      const compared = await comparison.compare(number);
      const verdict = judge(compared);
      tally[verdict] = (tally[verdict] ?? 0) + 1;
      if (verdict === 'FAULT') faults.push({ number, ...compared });
    }
    await comparison.stop();
    expect(faults).toEqual([]);
    // Enough of each that the comparison says something.
    expect(tally['both answer']).toBeGreaterThan(CASES / 4);
    expect(tally['both refuse']).toBeGreaterThan(CASES / 4);
    expect(tally.stricter).toBeLessThan(CASES / 4);
  }, 60_000);

  test('would be caught when it took a response for whole that undici refuses, or read another body', () => {
    const answer = { status: 200, body: '{}' };
    expect(judge({ bytes: 'HTTP/1.1 200 OK\r\n\r\n', own: answer, undici: { problem: 'x' } })).toBe('FAULT');
    expect(judge({ bytes: '', own: answer, undici: { ...answer, body: '{' } })).toBe('FAULT');
    expect(judge({ bytes: '', own: answer, undici: { ...answer, status: 201 } })).toBe('FAULT');
    expect(judge({ bytes: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', own: answer, undici: { problem: 'x' } })).toBe('skips 100 (Continue)');
  });
});
