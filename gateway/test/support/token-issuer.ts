import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export const ISSUER = 'https://issuer.test';
export const AUDIENCE = 'gateway-tests';
/** Of the key that signs. */
export const KEY_ID = 'test-key';

export interface Claims {
  readonly userId?: string;
  readonly roles?: string[];
  /** The version of the user's state; default 1, null leaves it out. */
  readonly version?: number | null;
  /** Default: `session-of-<userId>`. */
  readonly sessionId?: string;
  readonly expiresInSeconds?: number;
  readonly type?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** Signed by a key that nobody published, under the published one's id. */
  readonly forged?: boolean;
}

export interface TokenIssuer {
  readonly jwksUrl: string;
  /** `Bearer <token>` for a user; `expiresInSeconds` may be negative, the rest makes a token that is not one of ours. */
  bearer(claims?: Claims): Promise<string>;
  stop(): Promise<void>;
}

/** Signs access tokens with a fresh ES256 key and publishes it on a real JWKS endpoint. */
export async function startTokenIssuer(): Promise<TokenIssuer> {
  // Imported late: jest cannot load this ES module for an import and for jwks-rsa's require() at the same time.
  const { exportJWK, generateKeyPair, SignJWT } = await import('jose');
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const stranger = await generateKeyPair('ES256');
  const key = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'ES256', use: 'sig' };
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [key] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    bearer: async ({ userId = 'ann', roles = ['READER'], version = 1, sessionId = `session-of-${userId}`, expiresInSeconds = 300, type = 'at+jwt', issuer = ISSUER, audience = AUDIENCE, forged = false } = {}) => {
      const now = Math.floor(Date.now() / 1_000);
      const token = await new SignJWT({ sid: sessionId, ...(version !== null && { ver: version }), roles, assurance: 'full' })
        .setProtectedHeader({ alg: 'ES256', typ: type, kid: KEY_ID })
        .setSubject(userId)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(now - 600)
        .setExpirationTime(now + expiresInSeconds)
        .sign(forged ? stranger.privateKey : privateKey);
      return `Bearer ${token}`;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
