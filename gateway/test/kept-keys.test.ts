import { chmod, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@ates/service-kit/logger';
import type { RevocationFeed } from '@ates/service-kit/revocations';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { AUDIENCE, ISSUER, startTokenIssuer, type TokenIssuer } from './support/token-issuer.ts';

let folder: string;
let issuer: TokenIssuer;
let ann: string;
const file = (): string => join(folder, 'keys', 'jwks.json');
const revocations = { isRevoked: () => false, isCurrent: () => true, onRevoked: () => () => {} } as unknown as RevocationFeed;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-keys-'));
  issuer = await startTokenIssuer();
  ann = await issuer.bearer();
});
afterEach(async () => {
  await issuer.stop().catch(() => {});
  await chmod(folder, 0o700);
  await rm(folder, { recursive: true });
});

/** One who has just started and knows no keys yet. */
const started = (jwksFile: string | undefined = file(), lines: string[] = []) =>
  createAuthenticator({ jwksUrl: issuer.jwksUrl, jwksFile, issuer: ISSUER, audience: AUDIENCE, revocations, logger: createLogger('test', 'warn', { write: (line) => void lines.push(line) }) });

test('keys that were fetched are kept for their owner alone, and verify tokens after a start while the issuer is down', async () => {
  expect(await started().authenticate(ann)).toMatchObject({ userId: 'ann', keyId: 'test-key', userVersion: 1 });
  expect((await stat(file())).mode & 0o777).toBe(0o600);
  expect(await readdir(join(folder, 'keys'))).toEqual(['jwks.json']);
  await issuer.stop();
  const lines: string[] = [];
  expect(await started(file(), lines).authenticate(ann)).toMatchObject({ userId: 'ann' });
  expect(lines.join()).toContain('those of the file are used');
  await expect(started().authenticate(await issuer.bearer({ forged: true }))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('without a file, with one that is a day old, or with one that is none, there are no keys while the issuer is down', async () => {
  await started().authenticate(ann);
  await issuer.stop();
  const unavailable = { code: 'SERVICE_UNAVAILABLE' };
  await expect(started(join(folder, 'nowhere.json')).authenticate(ann)).rejects.toMatchObject(unavailable);
  const longAgo = new Date(Date.now() - 25 * 60 * 60_000);
  await utimes(file(), longAgo, longAgo);
  await expect(started().authenticate(ann)).rejects.toMatchObject(unavailable);
  for (const text of ['', '{}', '{"keys":[]}', 'null']) {
    await writeFile(file(), text);
    await expect(started().authenticate(ann)).rejects.toMatchObject(unavailable);
  }
});

test('a key that the file does not hold may be one that was made since: that says nothing against the token', async () => {
  await started().authenticate(ann);
  await writeFile(file(), (await readFile(file(), 'utf8')).replace('test-key', 'older-key'));
  await expect(started().authenticate(await issuer.bearer({ userId: 'bob' }))).resolves.toMatchObject({ userId: 'bob' });
  // They are kept a moment after they are known.
  await eventually('the keys are kept', async () => (await readFile(file(), 'utf8')).includes('test-key'));
  await writeFile(file(), (await readFile(file(), 'utf8')).replace('test-key', 'older-key'));
  await issuer.stop();
  await expect(started().authenticate(ann)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
});

test('keys that can not be kept verify tokens all the same, and that is logged', async () => {
  const lines: string[] = [];
  await writeFile(join(folder, 'keys'), 'a file where the folder should be');
  expect(await started(file(), lines).authenticate(ann)).toMatchObject({ userId: 'ann' });
  expect(lines.join()).toContain('cannot be kept');
});
