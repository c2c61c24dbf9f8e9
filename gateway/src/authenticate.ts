import { DomainError } from '@ates/service-kit/domain-error';
import type { Authenticator, Viewer } from '@ates/service-kit/viewer';
import type { TokenExchange } from './token-exchange.ts';

/** Who sends an operation: the value that is forwarded, and what it says once verified. */
export interface Identity {
  readonly authorization: string | undefined;
  /** Null for nobody, and for everybody where no token is verified. */
  readonly viewer: Viewer | null;
}

/** Tells who brings an `Authorization` value, and what the subgraphs are to be told: a trusted token, also where the value is another issuer's. */
export interface GatewayAuthenticator {
  /** Whether tokens are verified; else each value is passed on as it is, and sockets need none. */
  readonly verifies: boolean;
  /**
   * At once for a token that was verified before.
   * @throws DomainError (or rejects with it) UNAUTHENTICATED for a token that can't be trusted; SERVICE_UNAVAILABLE when that can't be found out
   */
  identify(authorization: string): Identity | Promise<Identity>;
  /** As the authenticator of tokens does; nobody's token never ends. */
  watch(viewer: Viewer | null, end: (refusal: DomainError) => void): () => void;
}

/** Verifies no token: who is asked by the gateway decides whom to believe. */
export const trustingAuthenticator: GatewayAuthenticator = {
  verifies: false,
  identify: (authorization) => ({ authorization, viewer: null }),
  watch: () => () => {},
};

/** @param exchange undefined where no other issuer's tokens are accepted */
export function createGatewayAuthenticator(authenticator: Authenticator, exchange: TokenExchange | undefined): GatewayAuthenticator {
  const verified = async (authorization: string): Promise<Identity> => ({ authorization, viewer: await authenticator.authenticate(authorization) });
  const exchanged = async (given: string, tokens: TokenExchange): Promise<Identity> => {
    try {
      return await verified(await tokens.exchange(given));
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'UNAUTHENTICATED') throw error;
      // What it says may have changed since: who gives out the tokens knows what holds now, and whether its bearer may come in at all.
      tokens.forget(given);
      return verified(await tokens.exchange(given));
    }
  };
  return {
    verifies: true,
    identify: (authorization) => {
      const viewer = authenticator.authenticateKnown(authorization);
      if (viewer !== undefined) return { authorization, viewer };
      return exchange?.isForeign(authorization) === true ? exchanged(authorization, exchange) : verified(authorization);
    },
    watch: (viewer, end) => (viewer === null ? () => {} : authenticator.watch(viewer, end)),
  };
}

/**
 * Verifies the token of an HTTP request, at once where it was verified before. Without a header the request is nobody's, and
 * the subgraphs decide what nobody may do.
 * @throws DomainError (or rejects with it) UNAUTHENTICATED for a token that can't be trusted, SERVICE_UNAVAILABLE when the keys can't be had.
 */
export function authenticateRequest(authenticator: GatewayAuthenticator, authorization: string | undefined): Identity | Promise<Identity> {
  if (authorization === undefined) return NOBODY;
  if (authorization === '' && authenticator.verifies) {
    throw new DomainError('UNAUTHENTICATED', 'The Authorization header is empty: leave it out, or send "Bearer <accessToken>"');
  }
  return authenticator.identify(authorization);
}

const NOBODY: Identity = { authorization: undefined, viewer: null };

/**
 * Verifies the token of a socket, from its `connection_init` payload: `{ authorization: "Bearer …" }`, the same with a
 * capital A, or either inside `headers`, as Apollo Sandbox sends it. A socket needs one where tokens are verified.
 * @throws DomainError UNAUTHENTICATED without a token or for one that can't be trusted, SERVICE_UNAVAILABLE when the keys
 * can't be had.
 */
export async function authenticateSocket(
  authenticator: GatewayAuthenticator,
  connectionParams: Readonly<Record<string, unknown>> | undefined,
): Promise<Identity> {
  const given = authorizationIn(connectionParams) ?? authorizationIn(connectionParams?.['headers']);
  if (given !== undefined && (given !== '' || !authenticator.verifies)) return authenticator.identify(given);
  if (!authenticator.verifies) return NOBODY;
  throw new DomainError('UNAUTHENTICATED', 'No token: send connectionParams { authorization: "Bearer <accessToken>" }');
}

function authorizationIn(params: unknown): string | undefined {
  if (typeof params !== 'object' || params === null) return undefined;
  const { authorization, Authorization } = params as Record<string, unknown>;
  const value = authorization ?? Authorization;
  return typeof value === 'string' ? value : undefined;
}
