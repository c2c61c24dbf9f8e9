import { expect, test } from '@jest/globals';
import { hashPassword, passwordMatches } from './password.ts';

test('a password is known by its hash, another one and no hash at all are not', async () => {
  const hash = await hashPassword('feathers');
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await passwordMatches('feathers', hash)).toBe(true);
  expect(await passwordMatches('Feathers', hash)).toBe(false);
  expect(await passwordMatches('feathers', null)).toBe(false);
});

test('two are hashed at a time and 64 wait; whoever comes beyond that is told to come again', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => passwordMatches('feathers', null)));
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
  expect(outcomes.length - refused.length).toBe(66);
  expect(refused[0]).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterSeconds: 1 } });
}, 30_000);
