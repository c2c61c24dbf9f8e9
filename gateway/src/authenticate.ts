import { DomainError } from '@ates/service-kit/domain-error';
import type { Authenticator, Viewer } from '@ates/service-kit/viewer';

/** Who sends an operation: the value that is forwarded, and what it says once verified. */
export interface Identity {
  readonly authorization: string | undefined;
  readonly viewer: Viewer | null;
}

/**
 * Verifies the token of an HTTP request. Without a header the request is nobody's, and the subgraphs decide what nobody
 * may do (sign in, for one).
 * @throws DomainError UNAUTHENTICATED for a token that can't be trusted, SERVICE_UNAVAILABLE when the keys can't be had.
 */
export async function authenticateRequest(authenticator: Authenticator, authorization: string | undefined): Promise<Identity> {
  if (authorization === undefined) return { authorization: undefined, viewer: null };
  const viewer = await authenticator.authenticate(authorization);
  if (viewer === null) throw new DomainError('UNAUTHENTICATED', 'The Authorization header is empty: leave it out, or send "Bearer <accessToken>"');
  return { authorization, viewer };
}

/**
 * Verifies the token of a socket, from its `connection_init` payload: `{ authorization: "Bearer …" }`, the same with a
 * capital A, or either inside `headers`, as Apollo Sandbox sends it. A socket needs one.
 * @throws DomainError UNAUTHENTICATED without a token or for one that can't be trusted, SERVICE_UNAVAILABLE when the keys
 * can't be had.
 */
export async function authenticateSocket(
  authenticator: Authenticator,
  connectionParams: Readonly<Record<string, unknown>> | undefined,
): Promise<{ readonly authorization: string; readonly viewer: Viewer }> {
  const authorization = authorizationIn(connectionParams) ?? authorizationIn(connectionParams?.['headers']);
  const viewer = authorization === undefined ? null : await authenticator.authenticate(authorization);
  if (authorization === undefined || viewer === null) {
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
