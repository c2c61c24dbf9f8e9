import { DomainError } from '@ates/service-kit/domain-error';
import type { Authenticator, Viewer } from '@ates/service-kit/viewer';
import type { OutsideTokens } from './outside-tokens.ts';

/** Who sends an operation: the value that is forwarded, and what it says once verified. */
export interface Identity {
  readonly authorization: string | undefined;
  readonly viewer: Viewer | null;
}

/** Tells who brings an `Authorization` value, and what the subgraphs are to be told: ours, also where the value is another identity provider's. */
export interface GatewayAuthenticator extends Pick<Authenticator, 'watch'> {
  /** @throws DomainError UNAUTHENTICATED for a token that can't be trusted; SERVICE_UNAVAILABLE when that can't be found out */
  identify(authorization: string): Promise<{ readonly authorization: string; readonly viewer: Viewer | null }>;
}

/** @param outside undefined where no other identity provider's tokens are accepted */
export function createGatewayAuthenticator(authenticator: Authenticator, outside: OutsideTokens | undefined): GatewayAuthenticator {
  const exchanged = async (given: string, tokens: OutsideTokens) => {
    const authorization = await tokens.exchange(given);
    return { authorization, viewer: await authenticator.authenticate(authorization) };
  };
  return {
    watch: authenticator.watch,
    identify: async (authorization) => {
      if (outside?.isOutside(authorization) !== true) return { authorization, viewer: await authenticator.authenticate(authorization) };
      try {
        return await exchanged(authorization, outside);
      } catch (error) {
        if (!(error instanceof DomainError) || error.code !== 'UNAUTHENTICATED') throw error;
        // Their roles may have changed since: Users knows which they are now, and whether they may come in at all.
        outside.forget(authorization);
        return exchanged(authorization, outside);
      }
    },
  };
}

/**
 * Verifies the token of an HTTP request. Without a header the request is nobody's, and the subgraphs decide what nobody
 * may do (sign in, for one).
 * @throws DomainError UNAUTHENTICATED for a token that can't be trusted, SERVICE_UNAVAILABLE when the keys can't be had.
 */
export async function authenticateRequest(authenticator: GatewayAuthenticator, authorization: string | undefined): Promise<Identity> {
  if (authorization === undefined) return { authorization: undefined, viewer: null };
  const identity = await authenticator.identify(authorization);
  if (identity.viewer === null) throw new DomainError('UNAUTHENTICATED', 'The Authorization header is empty: leave it out, or send "Bearer <accessToken>"');
  return identity;
}

/**
 * Verifies the token of a socket, from its `connection_init` payload: `{ authorization: "Bearer …" }`, the same with a
 * capital A, or either inside `headers`, as Apollo Sandbox sends it. A socket needs one.
 * @throws DomainError UNAUTHENTICATED without a token or for one that can't be trusted, SERVICE_UNAVAILABLE when the keys
 * can't be had.
 */
export async function authenticateSocket(
  authenticator: GatewayAuthenticator,
  connectionParams: Readonly<Record<string, unknown>> | undefined,
): Promise<{ readonly authorization: string; readonly viewer: Viewer }> {
  const given = authorizationIn(connectionParams) ?? authorizationIn(connectionParams?.['headers']);
  const { authorization, viewer } = given === undefined ? { authorization: '', viewer: null } : await authenticator.identify(given);
  if (viewer === null) {
    throw new DomainError('UNAUTHENTICATED', 'No token: send connectionParams { authorization: "Bearer <accessToken>" }');
  }
  return { authorization, viewer };
}

function authorizationIn(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null) return undefined;
  const { authorization, Authorization } = params as Record<string, unknown>;
  const value = authorization ?? Authorization;
  return typeof value === 'string' ? value : undefined;
}
