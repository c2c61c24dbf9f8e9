import { createHash, randomBytes } from 'node:crypto';
import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { currentTrace, traceOf } from '@ates/service-kit/trace-context';
import { ACCESS_TOKEN_TYPE, TOKEN_ALGORITHM } from '@ates/service-kit/viewer';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { userAuthenticatedV1, userDeniedV1 } from '@ates/shared-events/user-events';
import { SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import type { SigningKeys } from './keys.ts';
import { passwordMatches } from './password.ts';
import { emailKeyOf, PASSWORD_MAX_LENGTH } from './user.ts';
import { UserEntity, type UserRow } from './user.entity.ts';

export interface SessionOptions {
  readonly database: Database;
  readonly keys: SigningKeys;
  readonly issuer: string;
  readonly audience: string;
  readonly clock: () => Date;
}

export interface SessionTokens {
  readonly accessToken: string;
  readonly expiresAt: Date;
  readonly refreshToken: string;
  readonly user: UserRow;
}

export interface Sessions {
  /** @throws DomainError UNAUTHENTICATED, the same whether the e-mail or the password is wrong. */
  login(email: string, password: string): Promise<SessionTokens>;
  /** Uses a refresh token up. @throws DomainError UNAUTHENTICATED; a token used before ends its whole session. */
  refresh(refreshToken: string): Promise<SessionTokens>;
  /** Ends the session that the token belongs to; an unknown token is no error. */
  logout(refreshToken: string): Promise<boolean>;
}

const ACCESS_TOKEN_MS = 5 * 60_000;
const REFRESH_TOKEN_MS = 30 * 24 * 60 * 60_000;
const REFRESH_TOKEN_BYTES = 32;

type Denial = 'UNKNOWN_USER' | 'WRONG_CREDENTIAL' | 'NOT_ACTIVE';

/** Opens, renews and ends sessions; every attempt to open one is recorded as an event. */
export function createSessions(options: SessionOptions): Sessions {
  const { database, clock } = options;
  return {
    login: async (email, password) => {
      const user = await database.fork().findOne(UserEntity, { emailKey: emailKeyOf(email) });
      const matches = await passwordMatches(password.slice(0, PASSWORD_MAX_LENGTH + 1), user?.passwordHash ?? null);
      if (user === null || !matches || user.status !== 'ACTIVE') {
        const denial = user === null ? 'UNKNOWN_USER' : matches ? 'NOT_ACTIVE' : 'WRONG_CREDENTIAL';
        await database.transaction((_em, sql) => recordDenied(sql, user, denial, clock()));
        throw new DomainError('UNAUTHENTICATED', 'E-mail or password is wrong: check both and try again');
      }
      return database.transaction(async (_em, sql) => {
        await recordAuthenticated(sql, user, clock());
        return issue(options, sql, user, uuidv7());
      });
    },
    refresh: (refreshToken) => refresh(options, refreshToken),
    logout: async (refreshToken) => {
      await database.sql(
        `update refresh_tokens set revoked_at = $2 where revoked_at is null
           and session_id = (select session_id from refresh_tokens where token_hash = $1)`,
        [hashOf(refreshToken), clock()],
      );
      return true;
    },
  };
}

async function refresh(options: SessionOptions, refreshToken: string): Promise<SessionTokens> {
  const { database, clock } = options;
  const tokenHash = hashOf(refreshToken);
  const renewed = await database.transaction(async (em, sql) => {
    const [used] = await sql<{ session_id: string; user_id: string }>(
      `update refresh_tokens set used_at = $2 where token_hash = $1 and used_at is null and revoked_at is null and expires_at > $2
       returning session_id, user_id`,
      [tokenHash, clock()],
    );
    if (used === undefined) return null;
    const user = await em.findOne(UserEntity, { id: used.user_id, status: 'ACTIVE' });
    return user === null ? null : issue(options, sql, user, used.session_id);
  });
  if (renewed !== null) return renewed;
  // A token that comes twice was copied: whoever holds a newer one of the session may be the thief.
  await database.sql(
    `update refresh_tokens set revoked_at = $2 where revoked_at is null
       and session_id = (select session_id from refresh_tokens where token_hash = $1 and used_at is not null)`,
    [tokenHash, clock()],
  );
  throw new DomainError('UNAUTHENTICATED', 'This refresh token is unknown, expired or used: sign in again');
}

async function issue({ keys, issuer, audience, clock }: SessionOptions, sql: Sql, user: UserRow, sessionId: string): Promise<SessionTokens> {
  const now = clock();
  const expiresAt = new Date(now.getTime() + ACCESS_TOKEN_MS);
  const refreshToken = randomBytes(REFRESH_TOKEN_BYTES).toString('base64url');
  await sql('insert into refresh_tokens (token_hash, session_id, user_id, issued_at, expires_at) values ($1, $2, $3, $4, $5)', [
    hashOf(refreshToken),
    sessionId,
    user.id,
    now,
    new Date(now.getTime() + REFRESH_TOKEN_MS),
  ]);
  const accessToken = await new SignJWT({ sid: sessionId, roles: user.roles, assurance: 'full' })
    .setProtectedHeader({ alg: TOKEN_ALGORITHM, kid: keys.kid, typ: ACCESS_TOKEN_TYPE })
    .setSubject(user.id)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(expiresAt)
    .sign(keys.privateKey);
  return { accessToken, expiresAt: new Date(Math.floor(expiresAt.getTime() / 1_000) * 1_000), refreshToken, user };
}

async function recordAuthenticated(sql: Sql, user: UserRow, now: Date): Promise<void> {
  const attempt = { version: 1, method: 'PASSWORD' as const, attemptedAt: now.toISOString(), userId: user.id };
  await recordEvents(sql, [newEvent(userAuthenticatedV1, uuidv7(), attempt, occurrence(now))]);
}

async function recordDenied(sql: Sql, user: UserRow | null, reason: Denial, now: Date): Promise<void> {
  const attempt = { version: 1, method: 'PASSWORD' as const, attemptedAt: now.toISOString(), userId: user?.id ?? null, reason };
  await recordEvents(sql, [newEvent(userDeniedV1, uuidv7(), attempt, occurrence(now))]);
}

function occurrence(time: Date): { time: Date; traceparent: string } {
  return { time, traceparent: (currentTrace() ?? traceOf(undefined)).traceparent };
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
