import { LockMode } from '@mikro-orm/postgresql';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import type { Logger } from '@ates/service-kit/logger';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { userAuthenticatedV1, userDeniedV1 } from '@ates/shared-events/user-events';
import { v7 as uuidv7 } from 'uuid';
import { beakPrintOf, isSameBeak, SIDE } from './beak.ts';
import { readBeakPhoto } from './beak-photo.ts';
import { hashPassword, passwordMatches } from './password.ts';
import { endSessions, type Sessions, type SessionTokens } from './sessions.ts';
import type { SignInLimits } from './sign-in-limits.ts';
import { emailKeyOf, requireGoodPassword } from './user.ts';
import { UserEntity, type UserRow } from './user.entity.ts';

export interface SignInOptions {
  readonly database: Database;
  readonly sessions: Sessions;
  readonly limits: SignInLimits;
  readonly passwordMinLength: number;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** Hears how each attempt ended: let in, why denied, or that it was one too many. */
  readonly onAttempt: (method: SignInMethod, outcome: 'AUTHENTICATED' | 'RATE_LIMITED' | Denial) => void;
}

export type SignInMethod = 'PASSWORD' | 'BEAK';
export type Denial = 'UNKNOWN_USER' | 'WRONG_CREDENTIAL' | 'NOT_ACTIVE';

export interface SignIn {
  /** @throws DomainError UNAUTHENTICATED, the same whether the e-mail or the password is wrong; RATE_LIMITED */
  withPassword(email: string, password: string, client: ClientOrigin): Promise<SessionTokens>;
  /**
   * Opens a session of low assurance. @param photo base64 of a PNG or JPEG
   * @throws DomainError as withPassword; BAD_USER_INPUT for what is no such photo
   */
  withBeak(email: string, photo: string, client: ClientOrigin): Promise<SessionTokens>;
  /** Keeps the print of a user's beak, in place of the one before. @throws DomainError BAD_USER_INPUT */
  enrollBeak(userId: string, photo: string): Promise<UserRow>;
  /** Ends the user's other sessions. @throws DomainError BAD_USER_INPUT, FORBIDDEN for a wrong current one, RATE_LIMITED */
  changePassword(who: { readonly userId: string; readonly sessionId: string }, passwords: { readonly current: string; readonly next: string }, client: ClientOrigin): Promise<void>;
}

interface Credential {
  readonly method: SignInMethod;
  /** Whether it is this user's; with null false, after the same time. */
  matches(user: UserRow | null): Promise<boolean>;
}

/** What is shown where nobody is enrolled is compared with this, so that the answer takes as long as for another beak. */
const NOBODYS_BEAK = beakPrintOf(Uint8Array.from({ length: SIDE * SIDE }, (_, at) => ((at % SIDE) ** 2 * 3 + Math.floor(at / SIDE) ** 2 * 5) & 255));

/** Decides who is let in; every decision is recorded, with its event. */
export function createSignIn(options: SignInOptions): SignIn {
  const { database, limits, passwordMinLength, clock } = options;
  return {
    withPassword: (email, password, client) => signIn(options, { method: 'PASSWORD', matches: (user) => passwordMatches(password, user?.passwordHash ?? null) }, { email, client }),
    withBeak: async (email, photo, client) => {
      const print = await readBeakPhoto(photo);
      return signIn(options, { method: 'BEAK', matches: async (user) => isSameBeak(user?.beakPrint ?? NOBODYS_BEAK, print) && user?.beakPrint != null }, { email, client });
    },
    enrollBeak: async (userId, photo) => {
      const print = await readBeakPhoto(photo);
      return database.transaction(async (em) => {
        const user = await em.findOne(UserEntity, { id: userId, status: 'ACTIVE' }, { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (user === null) throw new DomainError('UNAUTHENTICATED', 'This user is not active any more');
        user.beakPrint = Buffer.from(print);
        await em.flush();
        return user;
      });
    },
    changePassword: async ({ userId, sessionId }, { current, next }, { clientAddress }) => {
      const user = await database.fork().findOneOrFail(UserEntity, { id: userId });
      const attempt = { emailKey: user.emailKey, clientAddress };
      await limits.begin(attempt);
      if (!(await passwordMatches(current, user.passwordHash ?? null))) {
        const message = user.passwordHash == null ? 'You sign in at another identity provider: change your password there' : 'The current password is wrong: check it and try again';
        throw new DomainError('FORBIDDEN', message, { field: 'current' });
      }
      await limits.succeeded(attempt);
      requireGoodPassword(next, { minLength: passwordMinLength, owner: user, field: 'next' });
      if (next === current) throw new DomainError('BAD_USER_INPUT', 'next is the password that you have: choose another one', { field: 'next' });
      const passwordHash = await hashPassword(next);
      await database.transaction(async (_em, sql) => {
        // Not over one that was changed meanwhile by somebody who knew it too.
        const changed = await sql('update users set password_hash = $2 where id = $1 and password_hash = $3 returning id', [userId, passwordHash, user.passwordHash]);
        if (changed.length === 0) throw new DomainError('CONFLICT', 'The password was changed a moment ago: sign in with the new one');
        await endSessions(sql, { userId, except: sessionId }, 'PASSWORD_CHANGED', clock());
      });
    },
  };
}

async function signIn({ database, sessions, limits, clock, logger, onAttempt }: SignInOptions, credential: Credential, { email, client }: { readonly email: string; readonly client: ClientOrigin }): Promise<SessionTokens> {
  const emailKey = emailKeyOf(email);
  const attempt = { emailKey, clientAddress: client.clientAddress };
  const { method } = credential;
  await limits.begin(attempt).catch((error: unknown) => {
    onAttempt(method, 'RATE_LIMITED');
    throw error;
  });
  const user = await database.fork().findOne(UserEntity, { emailKey });
  const matches = await credential.matches(user);
  if (user === null || !matches || user.status !== 'ACTIVE') {
    const denial = user === null ? 'UNKNOWN_USER' : matches ? 'NOT_ACTIVE' : 'WRONG_CREDENTIAL';
    await database.transaction((_em, sql) => recordAttempt(sql, { userId: user?.id ?? null, method, denial, client, at: clock() }));
    logger.info({ method, denial, user: user?.id, clientAddress: client.clientAddress }, 'a sign-in was denied');
    onAttempt(method, denial);
    throw new DomainError('UNAUTHENTICATED', refusalOf(method));
  }
  const opened = await database.transaction(async (em, sql) => {
    // Whoever deactivates them waits for this, and ends what was opened here; or has been before, and nothing is opened.
    const now = await em.findOne(UserEntity, { id: user.id, status: 'ACTIVE' }, { lockMode: LockMode.PESSIMISTIC_READ });
    if (now === null) throw new DomainError('UNAUTHENTICATED', refusalOf(method));
    await recordAttempt(sql, { userId: user.id, method, denial: null, client, at: clock() });
    return sessions.open(sql, now, method === 'BEAK' ? 'low' : 'full');
  });
  await limits.succeeded(attempt);
  onAttempt(method, 'AUTHENTICATED');
  return opened;
}

function refusalOf(method: SignInMethod): string {
  return method === 'PASSWORD'
    ? 'E-mail or password is wrong: check both and try again'
    : 'Nobody with this e-mail has this beak: try a clearer photo, or sign in with the password';
}

interface DecidedAttempt {
  readonly userId: string | null;
  readonly method: SignInMethod;
  readonly denial: Denial | null;
  readonly client: ClientOrigin;
  readonly at: Date;
}

async function recordAttempt(sql: Sql, { userId, method, denial, client, at }: DecidedAttempt): Promise<void> {
  const id = uuidv7();
  await sql('insert into sign_in_attempts (id, user_id, method, denied_because, attempted_at, client_address) values ($1, $2, $3, $4, $5, $6)', [
    id,
    userId,
    method,
    denial,
    at,
    client.clientAddress,
  ]);
  const attempt = { version: 1, method, attemptedAt: at.toISOString() };
  const occurrence = { time: at, traceparent: currentTraceparent() };
  const event =
    denial === null
      ? newEvent(userAuthenticatedV1, id, { ...attempt, userId: userId as string }, occurrence)
      : newEvent(userDeniedV1, id, { ...attempt, userId, reason: denial }, occurrence);
  await recordEvents(sql, [event]);
}
