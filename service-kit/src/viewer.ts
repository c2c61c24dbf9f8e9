import { passportJwtSecret } from 'jwks-rsa';
import { LRUCache } from 'lru-cache';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { DomainError } from './domain-error.ts';

/** Who asks: what a verified access token says. */
export interface Viewer {
  readonly userId: string;
  readonly sessionId: string;
  readonly roles: readonly string[];
  /** `low` for sessions opened with a second-class credential. */
  readonly assurance: 'full' | 'low';
  readonly expiresAt: Date;
}

export interface Authenticator {
  /**
   * Verifies an `Authorization` value (`Bearer <access token>`). No value at all is nobody: null.
   * @throws DomainError UNAUTHENTICATED when there is a value and it can't be trusted; SERVICE_UNAVAILABLE when
   * the signing keys can't be had.
   */
  authenticate(authorization: string | undefined): Promise<Viewer | null>;
}

export interface AuthenticatorOptions {
  readonly jwksUrl: string;
  readonly issuer: string;
  readonly audience: string;
  /** Milliseconds since the epoch; tests pass their own. */
  readonly now?: () => number;
}

/** The one signature algorithm that is accepted. */
export const TOKEN_ALGORITHM = 'ES256';
/** Header `typ` of access tokens (RFC 9068): no other kind of token passes for one. */
export const ACCESS_TOKEN_TYPE = 'at+jwt';

const VERIFIED_TOKENS_MAX = 10_000;
const KEYS_MAX_AGE_MS = 10 * 60_000;
const KEYS_STALE_MAX_AGE_MS = 24 * 60 * 60_000;
const KEYS_TIMEOUT_MS = 3_000;
const TOKEN_LENGTH_MAX = 4_096;

interface TokenRequest {
  readonly headers: { readonly authorization: string };
}

/**
 * Verifies access tokens with passport-jwt against the issuer's published keys: signature by one explicit algorithm,
 * issuer, audience, expiry and type. Tokens once verified are remembered until they expire (at most 10,000).
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const now = options.now ?? Date.now;
  const verified = new LRUCache<string, Viewer>({ max: VERIFIED_TOKENS_MAX });
  const verify = tokenVerifier(options);

  return {
    authenticate: async (authorization) => {
      if (authorization === undefined || authorization === '') return null;
      if (authorization.length > TOKEN_LENGTH_MAX) throw unauthenticated('The access token is too long');
      const known = verified.get(authorization);
      if (known !== undefined) {
        if (known.expiresAt.getTime() > now()) return known;
        verified.delete(authorization);
        throw unauthenticated('The access token has expired');
      }
      const viewer = await verify(authorization);
      verified.set(authorization, viewer);
      return viewer;
    },
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
 * The viewer if they have one of `roles`.
 * @throws DomainError UNAUTHENTICATED when nobody is signed in, FORBIDDEN without the role.
 */
export function withRole(viewer: Viewer | null, ...roles: readonly string[]): Viewer {
  const known = signedIn(viewer);
  if (!hasRole(known, ...roles)) {
    throw new DomainError('FORBIDDEN', `This needs the role ${roles.join(' or ')}; ask an admin for it`);
  }
  return known;
}

/** Whether the viewer has one of `roles`. */
export function hasRole(viewer: Viewer | null, ...roles: readonly string[]): boolean {
  return viewer !== null && roles.some((role) => viewer.roles.includes(role));
}

function unauthenticated(problem: string): DomainError {
  return new DomainError('UNAUTHENTICATED', `${problem}: sign in with the login mutation and send "Authorization: Bearer <accessToken>"`);
}

class SigningKeysUnavailable extends Error {}

function tokenVerifier(options: AuthenticatorOptions): (authorization: string) => Promise<Viewer> {
  const keys = passportJwtSecret({
    jwksUri: options.jwksUrl,
    cache: true,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cacheMaxAgeFallback: KEYS_STALE_MAX_AGE_MS,
    rateLimit: true,
    jwksRequestsPerMinute: 30,
    timeout: KEYS_TIMEOUT_MS,
    handleSigningKeyError: (error, done) => {
      done(error === null || error.name === 'SigningKeyNotFoundError' ? error : new SigningKeysUnavailable(error.message, { cause: error }));
    },
  });
  const strategy = new Strategy(
    {
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      secretOrKeyProvider: keys,
      algorithms: [TOKEN_ALGORITHM],
      issuer: options.issuer,
      audience: options.audience,
      passReqToCallback: true,
    },
    (request: TokenRequest, claims: unknown, done: (error: unknown, viewer?: unknown) => void) => {
      const viewer = tokenType(request.headers.authorization) === ACCESS_TOKEN_TYPE ? viewerOf(claims) : null;
      done(null, viewer ?? false);
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
            reject(unauthenticated(expired ? 'The access token has expired' : 'The access token is not valid'));
          }
        },
      });
      attempt.authenticate({ headers: { authorization } } as never);
    });
}

function tokenType(authorization: string): unknown {
  try {
    const header = authorization.replace(/^bearer /i, '').split('.')[0] ?? '';
    return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { typ?: unknown }).typ;
  } catch {
    return undefined;
  }
}

function viewerOf(claims: unknown): Viewer | null {
  const { sub, sid, roles, assurance, exp } = claims as Record<string, unknown>;
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof exp !== 'number' || !Array.isArray(roles)) return null;
  if (!roles.every((role) => typeof role === 'string')) return null;
  return { userId: sub, sessionId: sid, roles, assurance: assurance === 'low' ? 'low' : 'full', expiresAt: new Date(exp * 1_000) };
}
