import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { DomainError } from './domain-error.ts';
import { watchTokens } from './token-watch.ts';

const REFUSAL = new DomainError('UNAUTHENTICATED', 'no more');
const NOT_SOON_MS = 60_000;
const token = (inMs: number = NOT_SOON_MS) => ({ expiresAt: new Date(Date.now() + inMs) });

/** Tokens that are refused when a test says so, or when they have expired. */
function watching() {
  const refused = new Set<object>();
  const told: object[] = [];
  const asked: object[] = [];
  let tell = (): void => {};
  const watch = watchTokens<{ expiresAt: Date }>({
    refusalOf: (watched) => {
      asked.push(watched);
      return refused.has(watched) || watched.expiresAt.getTime() <= Date.now() ? REFUSAL : null;
    },
    revocations: { onRevoked: (listener) => ((tell = listener), () => {}) },
    now: Date.now,
  });
  return { refused, told, asked, tell: () => tell(), watch: (watched: { expiresAt: Date }) => watch(watched, (refusal) => void told.push(watched, refusal)) };
}

test('who is revoked is told so, once, and nobody else is', () => {
  const { refused, told, tell, watch } = watching();
  const [ann, bob] = [token(), token()];
  for (const watched of [ann, bob]) watch(watched);
  tell();
  expect(told).toEqual([]);
  refused.add(ann);
  tell();
  tell();
  expect(told).toEqual([ann, REFUSAL]);
});

test('who was revoked before is told right after the watching began', async () => {
  const { refused, told, watch } = watching();
  const ann = token();
  refused.add(ann);
  watch(ann);
  expect(told).toEqual([]);
  await Promise.resolve();
  expect(told).toEqual([ann, REFUSAL]);
});

test('a token that expires is told so, without any revocation', async () => {
  const { told, watch } = watching();
  const ann = token(30);
  watch(ann);
  while (told.length === 0) await delay(1);
  expect(Date.now()).toBeGreaterThanOrEqual(ann.expiresAt.getTime());
  expect(told).toEqual([ann, REFUSAL]);
});

test('a token that expires in a year does not expire at once, nor is it looked at all the time', async () => {
  const { told, asked, watch } = watching();
  const stop = watch(token(365 * 24 * 60 * 60_000));
  await delay(20);
  expect(told).toEqual([]);
  expect(asked).toHaveLength(1);
  stop();
});

test('who is watched no more is not told', async () => {
  const { refused, told, tell, watch } = watching();
  const ann = token(5);
  refused.add(ann);
  watch(ann)();
  tell();
  await delay(10);
  expect(told).toEqual([]);
});
