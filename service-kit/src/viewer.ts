import { LRUCache } from 'lru-cache';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { DomainError } from './domain-error.ts';
import type { Logger } from './logger.ts';
import { publishedKeys, SigningKeysUnavailable, type PublishedKeys } from './published-keys.ts';
import type { RevocableToken } from './revocation-list.ts';
import type { RevocationFeed } from './revocations.ts';
import { watchTokens } from './token-watch.ts';
import { ACCESS_TOKEN_TYPE, TOKEN_ALGORITHM } from './token-format.ts';

/** Who asks: what a verified access token says, and whether that still holds. */
export interface Viewer extends RevocableToken {
  readonly roles: readonly string[];
  /**
   * `low` for sessions opened with a second-class credential. They may read tasks, create and complete them, read their own
   * account and watch their own balance: nothing that a role gives.
   */
  readonly assurance: 'full' | 'low';
  readonly expiresAt: Date;
  /** Whether it is certain that the roles were not taken away: false while revocations are not heard. */
  readonly rolesAreCurrent: boolean;
}

export interface Authenticator {
  /**
   * Verifies an `Authorization` value (`Bearer <access token>`) and that it was not revoked. No value at all is nobody: null.
   * @throws DomainError UNAUTHENTICATED when there is a value and it can't be trusted (any more; `reason: 'REVOKED'` when it was
   * revoked); SERVICE_UNAVAILABLE when the signing keys can't be had.
   */
  authenticate(authorization: string | undefined): Promise<Viewer | null>;
  /**
   * The same at once for a value that was verified before; undefined for any other.
   * @throws DomainError UNAUTHENTICATED when it was, and has expired or was revoked since
   */
  authenticateKnown(authorization: string): Viewer | undefined;
  /**
   * For what outlives a request, sockets and subscriptions: calls `end` once, with the refusal (UNAUTHENTICATED), as soon as the
   * viewer's token has expired or is known to be revoked, at the earliest after this has returned.
   * @returns how to stop watching
   */
  watch(viewer: Viewer, end: (refusal: DomainError) => void): () => void;
}

export interface AuthenticatorOptions {
  readonly jwksUrl: string;
  /** A file in which fetched keys are kept, so that a start while the issuer is down finds them; at most a day old. */
  readonly jwksFile?: string | undefined;
  readonly issuer: string;
  readonly audience: string;
  readonly revocations: RevocationFeed;
  /** Hears of keys that can't be fetched or kept. */
  readonly logger?: Logger | undefined;
  /** Milliseconds since the epoch; tests pass their own. */
  readonly now?: () => number;
}

const VERIFIED_TOKENS_MAX = 10_000;
const TOKEN_LENGTH_MAX = 4_096;
const EXPIRED = 'The access token has expired';
const INVALID = 'The access token is not valid';

interface TokenRequest {
  readonly headers: { readonly authorization: string };
}

/**
 * Verifies access tokens with passport-jwt against the issuer's published keys: signature by one explicit algorithm,
 * issuer, audience, expiry and type. Tokens once verified are remembered until they expire (at most 10,000); whether they were
 * revoked is asked each time.
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { revocations, now = Date.now } = options;
  const verified = new LRUCache<string, Viewer>({ max: VERIFIED_TOKENS_MAX });
  const keys = publishedKeys(options);
  const verify = tokenVerifier(options, keys);
  const refusalOf = (viewer: Viewer): DomainError | null => {
    if (viewer.expiresAt.getTime() <= now()) return unauthenticated(EXPIRED);
    if (keys.isWithdrawn(viewer.keyId)) return unauthenticated(INVALID);
    return revocations.isRevoked(viewer) ? revoked() : null;
  };
  /** @throws the reason for which it holds no more */
  const stillGood = (authorization: string, viewer: Viewer): Viewer => {
    const refusal = refusalOf(viewer);
    if (refusal !== null) {
      verified.delete(authorization);
      throw refusal;
    }
    return revocations.isCurrent() ? viewer : { ...viewer, rolesAreCurrent: false };
  };
  const authenticateKnown = (authorization: string): Viewer | undefined => {
    const known = verified.get(authorization);
    return known && stillGood(authorization, known);
  };

  return {
    authenticateKnown,
    authenticate: async (authorization) => {
      if (authorization === undefined || authorization === '') return null;
      if (authorization.length > TOKEN_LENGTH_MAX) throw unauthenticated('The access token is too long');
      const known = authenticateKnown(authorization);
      if (known !== undefined) return known;
      const viewer = await verify(authorization);
      const good = stillGood(authorization, viewer);
      verified.set(authorization, viewer);
      return good;
    },
    watch: watchTokens({ refusalOf, revocations, now }),
  };
}

/**
 * The viewer, or a refusal when nobody is signed in.
 * @throws DomainError UNAUTHENTICATED
 */
export function signedIn(viewer: Viewer | null): Viewer {
  if (viewer === null) throw unauthenticated('This needs a signed-in user');
  return viewer;
}

/**
 * The viewer, for what needs no role but is too much for a second-class credential.
 * @throws DomainError UNAUTHENTICATED when nobody is signed in, FORBIDDEN (`reason: 'LOW_ASSURANCE'`) in a low-assurance session
 */
export function withFullAssurance(viewer: Viewer | null): Viewer {
  const known = signedIn(viewer);
  if (known.assurance !== 'full') {
    throw new DomainError('FORBIDDEN', 'This needs a session that was opened with the password: sign in with the login mutation', { reason: 'LOW_ASSURANCE' });
  }
  return known;
}

/**
 * The viewer if they have one of `roles`, in a session of full assurance, and it is certain that they still have it.
 * @throws DomainError UNAUTHENTICATED when nobody is signed in; FORBIDDEN without the role, or with `reason: 'LOW_ASSURANCE'`;
 * SERVICE_UNAVAILABLE (`reason: 'RIGHTS_UNCHECKED'`) while revocations are not heard
 */
export function withRole(viewer: Viewer | null, ...roles: readonly string[]): Viewer {
  const known = signedIn(viewer);
  if (!roles.some((role) => known.roles.includes(role))) {
    throw new DomainError('FORBIDDEN', `This needs the role ${roles.join(' or ')}; ask an admin for it`);
  }
  withFullAssurance(known);
  if (!known.rolesAreCurrent) {
    throw new DomainError('SERVICE_UNAVAILABLE', "Whether your rights still hold can't be checked right now: try again in a few seconds", { reason: 'RIGHTS_UNCHECKED' });
  }
  return known;
}

/**
 * Whether the viewer has one of `roles` and `withRole` would let them use it: never in a session of low assurance, nor while
 * revocations are not heard. For showing more or less; where it decides about a refusal, `withRole` knows the right one.
 */
export function hasRole(viewer: Viewer | null, ...roles: readonly string[]): boolean {
  return viewer !== null && viewer.assurance === 'full' && viewer.rolesAreCurrent && roles.some((role) => viewer.roles.includes(role));
}

function unauthenticated(problem: string): DomainError {
  return new DomainError('UNAUTHENTICATED', `${problem}: sign in with the login mutation and send "Authorization: Bearer <accessToken>"`);
}

function revoked(): DomainError {
  const message = 'This session was ended, or your rights have changed: get a new access token with the refreshSession mutation, or sign in with the login mutation';
  return new DomainError('UNAUTHENTICATED', message, { reason: 'REVOKED' });
}

function tokenVerifier(options: AuthenticatorOptions, keys: PublishedKeys): (authorization: string) => Promise<Viewer> {
  const strategy = new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: keys.keyOf,
      algorithms: [TOKEN_ALGORITHM],
      issuer: options.issuer,
      audience: options.audience,
      passReqToCallback: true,
    },
    (request: TokenRequest, claims: unknown, done: (error: unknown, viewer?: unknown) => void) => {
      const { typ, kid } = tokenHeader(request.headers.authorization);
      done(null, typ === ACCESS_TOKEN_TYPE && typeof kid === 'string' ? (viewerOf(claims, kid) ?? false) : false);
    },
  );

  return (authorization) =>
    new Promise((resolve, reject) => {
      // A passport strategy reports through methods that its framework adds to a copy of it, one copy a request.
      const attempt = Object.assign(Object.create(strategy) as typeof strategy, {
        success: resolve,
        error: reject,
        fail: (cause: unknown) => {
          if (cause instanceof SigningKeysUnavailable) {
            reject(new DomainError('SERVICE_UNAVAILABLE', 'The signing keys cannot be read right now: try again in a few seconds'));
          } else {
            const expired = cause instanceof Error && cause.name === 'TokenExpiredError';
            reject(unauthenticated(expired ? EXPIRED : INVALID));
          }
        },
      });
      attempt.authenticate({ headers: { authorization } } as never);
    });
}

function tokenHeader(authorization: string): { readonly typ?: unknown; readonly kid?: unknown } {
  try {
    const header = authorization.replace(/^bearer /i, '').split('.')[0] ?? '';
    return JSON.parse(Buffer.from(header, 'base64url').toString()) as { typ?: unknown; kid?: unknown };
  } catch {
    return {};
  }
}

function viewerOf(claims: unknown, keyId: string): Viewer | null {
  const { sub, sid, ver, roles, assurance, exp } = claims as Record<string, unknown>;
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof exp !== 'number' || !Array.isArray(roles)) return null;
  if (!Number.isSafeInteger(ver) || !roles.every((role) => typeof role === 'string')) return null;
  if (assurance !== 'full' && assurance !== 'low') return null;
  return {
    userId: sub,
    sessionId: sid,
    userVersion: ver as number,
    keyId,
    roles,
    assurance,
    expiresAt: new Date(exp * 1_000),
    rolesAreCurrent: true,
  };
}
