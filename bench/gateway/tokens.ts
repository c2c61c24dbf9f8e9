import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** Access tokens that our gateway believes, and where it finds the key. */
export interface BenchTokens {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
  /** `Authorization` values of as many users. */
  readonly authorizations: readonly string[];
  stop(): Promise<void>;
}

const ISSUER = 'https://bench.invalid';
const AUDIENCE = 'gateway-bench';
const KEY_ID = 'bench-key';

/** @param count of users, each with a token of their own that is good for a day */
export async function makeTokens(count: number): Promise<BenchTokens> {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const key = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'ES256', use: 'sig' };
  const server = createServer((_request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [key] })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sign = (index: number): Promise<string> =>
    new SignJWT({ sid: `session-${index}`, ver: 1, roles: ['SHOPPER'], assurance: 'full' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: KEY_ID })
      .setSubject(`user-${index}`)
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('1d')
      .sign(privateKey);
  const tokens = await Promise.all(Array.from({ length: count }, (_, index) => sign(index)));
  return {
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    issuer: ISSUER,
    audience: AUDIENCE,
    authorizations: tokens.map((token) => `Bearer ${token}`),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
