import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startStack, type Stack } from './support/stack.ts';
import { AUDIENCE, ISSUER } from './support/token-issuer.ts';

interface SigningKey {
  readonly published: Record<string, unknown>;
  bearer(): Promise<string>;
}

let stack: Stack;
let issuer: Server;
let published: readonly SigningKey[] = [];
const keys: SigningKey[] = [];

async function makeKey(kid: string): Promise<SigningKey> {
  // Imported late: jest cannot load this ES module for an import and for jwks-rsa's require() at the same time.
  const { exportJWK, generateKeyPair, SignJWT } = await import('jose');
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const token = new SignJWT({ sid: 'session', ver: 1, roles: [], assurance: 'full' }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid });
  return {
    published: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' },
    bearer: async () => `Bearer ${await token.setSubject('ann').setIssuer(ISSUER).setAudience(AUDIENCE).setIssuedAt().setExpirationTime('5m').sign(privateKey)}`,
  };
}

beforeAll(async () => {
  keys.push(await makeKey('first'), await makeKey('second'));
  published = keys.slice(0, 1);
  issuer = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: published.map((key) => key.published) })));
  await once(issuer.listen(0, '127.0.0.1'), 'listening');
  // Nobody tells of revocations there: which keys are good is known from the issuer alone.
  stack = await startStack({}, { JWKS_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`, NATS_URL: 'nats://gateway:password@127.0.0.1:1' });
});
afterAll(async () => {
  await stack?.stop();
  issuer?.closeAllConnections();
  issuer?.close();
});

test('a key that the issuer publishes anew verifies tokens at once, and one that it has withdrawn verifies none', async () => {
  const [first, second] = await Promise.all(keys.map((key) => key.bearer()));
  const statusFor = async (authorization: string | undefined) => (await stack.query('{ __typename }', { authorization: authorization ?? null })).status;
  expect([await statusFor(first), await statusFor(second)]).toEqual([200, 401]);
  published = keys;
  expect([await statusFor(first), await statusFor(second)]).toEqual([200, 200]);
  // What it has withdrawn is known when the keys are asked for again: at the latest after 10 minutes, or for a key that is not known.
  published = keys.slice(1);
  expect(await statusFor(await (await makeKey('third')).bearer())).toBe(401);
  expect([await statusFor(first), await statusFor(second)]).toEqual([401, 200]);
});
