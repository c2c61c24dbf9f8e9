import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { ACCESS_TOKEN_TYPE, TOKEN_ALGORITHM } from '@ates/service-kit/token-format';
import { SignJWT } from 'jose';
import { v7 as uuidv7 } from 'uuid';
import type { SigningKeys } from './keys.ts';
import { recordRevocations } from './revocations.ts';
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

/** What an access token says besides whose it is. */
export interface Assertion {
  readonly sessionId: string;
  /** `low` after a second-class credential. */
  readonly assurance: 'full' | 'low';
}

export interface Sessions {
  /** Opens a session, in the caller's transaction. */
  open(sql: Sql, user: UserRow, assurance: Assertion['assurance']): Promise<SessionTokens>;
  /**
   * Uses a refresh token up and gives the next one. For 10 s the same client gets the same one again, in case the answer was lost.
   * @throws DomainError UNAUTHENTICATED; a used token that comes from elsewhere, or later, ends its whole session
   */
  refresh(refreshToken: string, client: ClientOrigin): Promise<SessionTokens>;
  /** Ends the session that the token belongs to; an unknown token is no error. */
  logout(refreshToken: string): Promise<void>;
  /** An access token of no session: it can't be renewed. */
  accessToken(user: UserRow, assertion: Assertion): Promise<{ readonly accessToken: string; readonly expiresAt: Date }>;
}

export type EndReason = 'LOGOUT' | 'REUSE' | 'PASSWORD_CHANGED' | 'USER_INACTIVE';

const ACCESS_TOKEN_MS = 5 * 60_000;
const REFRESH_TOKEN_MS = 30 * 24 * 60 * 60_000;
/** However often it is renewed. */
const SESSION_MS = 90 * 24 * 60 * 60_000;
const GRACE_MS = 10_000;
const REFRESH_TOKEN_BYTES = 32;

/** Renews what is neither used, nor expired, nor of an ended session. The session is locked first: whoever ends it is either before this, or sees when it was renewed. */
const USE = `
  with session as (
    select sessions.id, user_id, assurance from sessions join refresh_tokens on session_id = sessions.id
    where token_hash = $1 and ended_at is null and opened_at > $5 for update of sessions
  ), used as (
    update refresh_tokens set used_at = $2, used_by = $3, successor_salt = $4 from session
    where token_hash = $1 and used_at is null and expires_at > $2 and session_id = session.id
    returning session_id, user_id, assurance
  ), renewed as (
    update sessions set renewed_at = $2 from used where id = session_id
  )
  select * from used`;

/** Opens, renews and ends sessions. */
export function createSessions(options: SessionOptions): Sessions {
  const { database, clock } = options;
  return {
    open: async (sql, user, assurance) => {
      const now = clock();
      const refreshToken = randomBytes(REFRESH_TOKEN_BYTES).toString('base64url');
      const sessionId = uuidv7();
      await sql('insert into sessions (id, user_id, assurance, opened_at, renewed_at) values ($1, $2, $3, $4, $4)', [sessionId, user.id, assurance, now]);
      await insertRefreshToken(sql, { refreshToken, sessionId, now });
      return { ...(await sign(options, user, { sessionId, assurance })), refreshToken, user };
    },
    refresh: (refreshToken, client) => refresh(options, refreshToken, client),
    logout: (refreshToken) =>
      database.transaction(async (_em, sql) => {
        const [known] = await sql<{ session_id: string }>('select session_id from refresh_tokens where token_hash = $1', [hashOf(refreshToken)]);
        if (known !== undefined) await endSessions(sql, { sessionId: known.session_id }, 'LOGOUT', clock());
      }),
    accessToken: (user, assertion) => sign(options, user, assertion),
  };
}

/** Deletes what nobody can use any more. */
export async function forgetSessions(sql: Sql, now: Date): Promise<void> {
  await sql('delete from refresh_tokens where expires_at < $1', [now]);
  await sql('delete from sessions where renewed_at < $1', [new Date(now.getTime() - SESSION_MS)]);
}

/** Which sessions end: one, or all of a user's, but for one. */
export type EndedSessions = { readonly sessionId: string } | { readonly userId: string; readonly except?: string };

/** Ends sessions, in the caller's transaction: nothing of them is renewed any more, and their access tokens are refused. To be called last. */
export async function endSessions(sql: Sql, which: EndedSessions, reason: EndReason, now: Date): Promise<void> {
  const [sessionId, userId, except] = 'sessionId' in which ? [which.sessionId, null, null] : [null, which.userId, which.except ?? null];
  const ended = await sql<{ id: string; renewed_at: Date }>(
    `update sessions set ended_at = $1, end_reason = $2
     where ended_at is null and (id = $3 or user_id = $4) and id is distinct from $5 returning id, renewed_at`,
    [now, reason, sessionId, userId, except],
  );
  // Of the others no access token is alive.
  const alive = ended.filter(({ renewed_at }) => renewed_at.getTime() > now.getTime() - 2 * ACCESS_TOKEN_MS);
  await recordRevocations(sql, alive.map(({ id }) => ({ sessionId: id })));
}

async function refresh(options: SessionOptions, refreshToken: string, client: ClientOrigin): Promise<SessionTokens> {
  const now = options.clock();
  const usedBy = createHash('sha256').update(JSON.stringify([client.clientAddress, client.clientAgent])).digest();
  const renewed = await options.database.transaction(async (em, sql) => {
    const salt = randomBytes(REFRESH_TOKEN_BYTES);
    const oldest = new Date(now.getTime() - SESSION_MS);
    const [used] = await sql<SessionOfToken>(USE, [hashOf(refreshToken), now, usedBy, salt, oldest]);
    const session = used ?? (await usedByTheSame(sql, { refreshToken, usedBy, now }));
    if (session === null) return null;
    const user = await em.findOne(UserEntity, { id: session.user_id, status: 'ACTIVE' });
    if (user === null) return null;
    const successor = successorOf(refreshToken, used === undefined ? (session.successor_salt as Buffer) : salt);
    if (used !== undefined) await insertRefreshToken(sql, { refreshToken: successor, sessionId: session.session_id, now });
    return { ...(await sign(options, user, { sessionId: session.session_id, assurance: session.assurance })), refreshToken: successor, user };
  });
  if (renewed === null) throw new DomainError('UNAUTHENTICATED', 'This refresh token is unknown, expired or used, or its session has ended: sign in again');
  return renewed;
}

interface SessionOfToken {
  readonly session_id: string;
  readonly user_id: string;
  readonly assurance: Assertion['assurance'];
  readonly successor_salt?: Buffer | null;
}

/**
 * The session of a token that was used a moment ago by this very client. Any other use of a used one means that two have it, and
 * one of them is a thief: the session ends.
 */
async function usedByTheSame(sql: Sql, { refreshToken, usedBy, now }: { readonly refreshToken: string; readonly usedBy: Buffer; readonly now: Date }): Promise<SessionOfToken | null> {
  const [known] = await sql<SessionOfToken & { used_at: Date | null; used_by: Buffer; ended_at: Date | null }>(
    `select session_id, user_id, assurance, successor_salt, used_at, used_by, ended_at
     from refresh_tokens join sessions on sessions.id = session_id where token_hash = $1`,
    [hashOf(refreshToken)],
  );
  if (known === undefined || known.used_at === null || known.ended_at !== null) return null;
  if (known.successor_salt !== null && known.used_at.getTime() > now.getTime() - GRACE_MS && usedBy.equals(known.used_by)) return known;
  await endSessions(sql, { sessionId: known.session_id }, 'REUSE', now);
  return null;
}

/** The same one each time, though nobody can tell it from the database or from the token alone. */
function successorOf(refreshToken: string, salt: Buffer): string {
  return createHmac('sha256', refreshToken).update(salt).digest('base64url');
}

async function insertRefreshToken(sql: Sql, { refreshToken, sessionId, now }: { readonly refreshToken: string; readonly sessionId: string; readonly now: Date }): Promise<void> {
  const expiresAt = new Date(now.getTime() + REFRESH_TOKEN_MS);
  await sql('insert into refresh_tokens (token_hash, session_id, issued_at, expires_at) values ($1, $2, $3, $4)', [hashOf(refreshToken), sessionId, now, expiresAt]);
}

async function sign({ keys, issuer, audience, clock }: SessionOptions, user: UserRow, { sessionId, assurance }: Assertion): Promise<{ accessToken: string; expiresAt: Date }> {
  const now = clock();
  const { kid, privateKey } = keys.current();
  const expiresAt = new Date(Math.floor((now.getTime() + ACCESS_TOKEN_MS) / 1_000) * 1_000);
  const accessToken = await new SignJWT({ sid: sessionId, roles: user.roles, ver: user.version, assurance })
    .setProtectedHeader({ alg: TOKEN_ALGORITHM, kid, typ: ACCESS_TOKEN_TYPE })
    .setSubject(user.id)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(expiresAt)
    .sign(privateKey);
  return { accessToken, expiresAt };
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
