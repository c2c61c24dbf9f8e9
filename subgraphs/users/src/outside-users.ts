import { createHash } from 'node:crypto';
import type { Database } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { RoleSchema, type Role } from '@ates/shared-events/user-events';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Sessions } from './sessions.ts';
import type { UserCommands } from './user-commands.ts';
import { UserEntity, type UserRow } from './user.entity.ts';

/** An identity provider whose tokens are accepted beside our own. */
export interface IdentityProvider {
  /** `iss` of its tokens; its discovery document is below it. */
  readonly issuer: string;
  /** `aud` of the tokens that are meant for this system. */
  readonly audience: string;
  /** The claim that lists a user's roles there. */
  readonly rolesClaim: string;
  /** What its roles are called here; one that is not listed is taken if it has one of our names. */
  readonly roleNames: ReadonlyMap<string, string>;
}

export interface OutsideUsers {
  /**
   * Gives one of our access tokens for one of the provider's, valid no longer than that. Whoever is seen for the first time is
   * made a user of what the token, or the provider's user info, says; from then on their roles are what this system says.
   * @throws DomainError UNAUTHENTICATED for a token that can't be trusted or a user who may not sign in; CONFLICT when their e-mail
   * is another user's; SERVICE_UNAVAILABLE when the provider does not answer
   */
  exchange(token: string): Promise<{ readonly accessToken: string; readonly expiresAt: Date }>;
}

interface OutsideUsersParts {
  readonly provider: IdentityProvider;
  readonly database: Database;
  readonly commands: UserCommands;
  readonly sessions: Sessions;
  readonly logger: Logger;
}

interface Discovered {
  readonly keys: JWTVerifyGetKey;
  readonly userInfoUrl: string | undefined;
}

const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const CLOCK_TOLERANCE_SECONDS = 5;
const TIMEOUT_MS = 3_000;
/** Who acts when a user comes by themselves. */
const FIRST_SIGHT = 'first-sight';
const ROLES: readonly string[] = RoleSchema.anyOf.map((role) => role.const);

export function createOutsideUsers(parts: OutsideUsersParts): OutsideUsers {
  const { provider, sessions, logger } = parts;
  let discovered: Promise<Discovered> | undefined;
  const discovery = (): Promise<Discovered> =>
    (discovered ??= discover(provider.issuer).catch((error: unknown) => {
      discovered = undefined;
      logger.warn({ err: error, issuer: provider.issuer }, 'the identity provider does not tell its keys');
      throw new DomainError('SERVICE_UNAVAILABLE', 'The identity provider does not answer: try again in a few seconds');
    }));
  return {
    exchange: async (token) => {
      const { keys, userInfoUrl } = await discovery();
      const claims = await verify(token, keys, provider);
      const user = (await knownUser(parts, claims)) ?? (await firstSight(parts, { ...claims, ...(await userInfo(userInfoUrl, token, claims)) }));
      if (user.status !== 'ACTIVE') throw untrusted('This user may not sign in here: ask an admin');
      const issued = await sessions.accessToken(user, { sessionId: sessionIdOf(token), assurance: 'full' });
      return { ...issued, expiresAt: new Date(Math.min(issued.expiresAt.getTime(), (claims.exp as number) * 1_000)) };
    },
  };
}

async function discover(issuer: string): Promise<Discovered> {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown; userinfo_endpoint?: unknown };
  if (found.issuer !== issuer || typeof found.jwks_uri !== 'string') throw new Error(`The discovery document is of ${String(found.issuer)}, not of ${issuer}`);
  return {
    keys: createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: TIMEOUT_MS }),
    userInfoUrl: typeof found.userinfo_endpoint === 'string' ? found.userinfo_endpoint : undefined,
  };
}

async function verify(token: string, keys: JWTVerifyGetKey, { issuer, audience }: IdentityProvider): Promise<JWTPayload & { readonly sub: string }> {
  try {
    const options = { issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_SECONDS, requiredClaims: ['sub', 'exp'] };
    const { payload } = await jwtVerify(token, keys, options);
    if (typeof payload.sub !== 'string' || payload.sub === '') throw untrusted('The token does not say whose it is');
    return payload as JWTPayload & { readonly sub: string };
  } catch (error) {
    if (error instanceof DomainError) throw error;
    const isAboutToken = error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout);
    if (!isAboutToken) throw new DomainError('SERVICE_UNAVAILABLE', 'The keys of the identity provider cannot be read right now: try again in a few seconds');
    throw untrusted(error instanceof errors.JWTExpired ? 'The access token has expired' : 'The access token is not valid');
  }
}

async function knownUser({ database, provider }: OutsideUsersParts, { sub }: { readonly sub: string }): Promise<UserRow | null> {
  const [known] = await database.sql<{ user_id: string }>('select user_id from outside_identities where issuer = $1 and subject = $2', [provider.issuer, sub]);
  return known === undefined ? null : database.fork().findOne(UserEntity, { id: known.user_id });
}

async function firstSight(parts: OutsideUsersParts, claims: JWTPayload & { readonly sub: string }): Promise<UserRow> {
  const { commands, provider, logger } = parts;
  const { email, email_verified: isVerified, name, preferred_username: username } = claims;
  if (typeof email !== 'string' || isVerified === false) {
    throw untrusted('The identity provider gives no verified e-mail for this user: let an admin make them by importUser');
  }
  const shownName = [name, username, email.split('@')[0]].find((text): text is string => typeof text === 'string' && text.trim() !== '') ?? email;
  try {
    const user = await commands.importUser(FIRST_SIGHT, { issuer: provider.issuer, subject: claims.sub, name: shownName.slice(0, 100), email, roles: rolesIn(claims, provider) });
    logger.info({ user: user.id, issuer: provider.issuer }, 'a user of the identity provider was seen for the first time');
    return user;
  } catch (error) {
    // Two requests at once: the other one has made them.
    const made = await knownUser(parts, claims);
    if (made === null) throw error;
    return made;
  }
}

function rolesIn(claims: JWTPayload, { rolesClaim, roleNames }: IdentityProvider): Role[] {
  const told = claims[rolesClaim];
  const names = (Array.isArray(told) ? told : typeof told === 'string' ? told.split(' ') : []).map((role) => roleNames.get(String(role)) ?? String(role).toUpperCase());
  const roles = names.filter((role): role is Role => ROLES.includes(role));
  return roles.length > 0 ? roles : ['EMPLOYEE'];
}

/** What the provider tells of the bearer, where the token itself does not; about nobody else. */
async function userInfo(url: string | undefined, token: string, { sub, email }: JWTPayload): Promise<Record<string, unknown>> {
  if (typeof email === 'string' || url === undefined) return {};
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(TIMEOUT_MS) }).catch(() => null);
  const told = (response?.ok === true ? await response.json().catch(() => ({})) : {}) as Record<string, unknown>;
  return told['sub'] === sub ? told : {};
}

/** The same for each exchange of one token, in the form of our own. */
function sessionIdOf(token: string): string {
  const hex = createHash('sha256').update(token).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function untrusted(message: string): DomainError {
  return new DomainError('UNAUTHENTICATED', message);
}
