import { UniqueConstraintViolationException } from '@mikro-orm/core';
import { LockMode, type EntityManager } from '@mikro-orm/postgresql';
import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { once } from '@ates/service-kit/idempotency';
import { notFound, requireId } from '@ates/service-kit/identifiers';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { userCreatedV1, userDeactivatedV1, userDeletedV1, userReactivatedV1, userRoleChangedV1, userUpdatedV1 } from '@ates/shared-events/user-events';
import { v7 as uuidv7 } from 'uuid';
import { hashPassword, passwordMatches } from './password.ts';
import { recordRevocations } from './revocations.ts';
import { endSessions } from './sessions.ts';
import {
  changeUser,
  deactivateUser,
  deleteUser,
  emailKeyOf,
  isActiveAdmin,
  losesTokens,
  reactivateUser,
  registerUser,
  requireGoodPassword,
  sameRoles,
  type NewUser,
  type UserChanges,
  type UserState,
} from './user.ts';
import { UserEntity, type UserRow } from './user.entity.ts';

export interface UserCommandOptions {
  readonly database: Database;
  readonly passwordMinLength: number;
  readonly clock: () => Date;
}

/** A user of another identity provider: who issues their tokens, and as whom it knows them. */
export interface OutsideIdentity {
  readonly issuer: string;
  readonly subject: string;
}

/** Changes of users; who may is decided by the caller. Every one is an event with the user's whole state. */
export interface UserCommands {
  /** @throws DomainError BAD_USER_INPUT; CONFLICT when the e-mail is taken or the key was used for something else */
  createUser(actorId: string, input: NewUser & { readonly password: string }, idempotencyKey?: string | null): Promise<UserRow>;
  /** Makes a user who signs in at another identity provider. @throws DomainError as createUser */
  importUser(actorId: string, input: NewUser & OutsideIdentity, idempotencyKey?: string | null): Promise<UserRow>;
  /** @throws DomainError NOT_FOUND, BAD_USER_INPUT, CONFLICT: the e-mail is taken, the user deleted, or the last active admin would be none any more */
  updateUser(id: string, changes: UserChanges): Promise<UserRow>;
  /** Ends their sessions. @throws DomainError NOT_FOUND, CONFLICT */
  deactivateUser(id: string): Promise<UserRow>;
  /** @throws DomainError NOT_FOUND, CONFLICT */
  reactivateUser(id: string): Promise<UserRow>;
  /** Ends their sessions, and leaves nothing that tells who they were. @throws DomainError NOT_FOUND, CONFLICT */
  deleteUser(id: string): Promise<UserRow>;
  /** Makes the first admin of an installation. @returns whether it did: nothing is done where there is an active admin already. @throws DomainError as createUser */
  createFirstAdmin(email: string, password: string): Promise<boolean>;
}

/** Whoever makes or unmakes admins takes turns: two who take it from each other at once would leave none. */
const ADMINS_LOCK = 7_061_004;

const EVENT_OF_STATUS = { ACTIVE: userReactivatedV1, DEACTIVATED: userDeactivatedV1, DELETED: userDeletedV1 };

export function createUserCommands(options: UserCommandOptions): UserCommands {
  const { database } = options;
  const change = (id: string, decide: (user: UserRow) => UserState) => changeState(options, id, decide);
  return {
    createUser: async (actorId, input, idempotencyKey) => {
      // The password stays out of what is remembered of the call: a plain hash of it could be guessed.
      const { password, ...remembered } = input;
      const call = { scope: `createUser:${actorId}`, key: idempotencyKey, input: remembered };
      const id = await database.transaction((em, sql) => once(sql, call, () => insertWithPassword(options, em, sql, input))).catch(conflict(input.email));
      const user = await database.fork().findOneOrFail(UserEntity, { id });
      if (idempotencyKey != null && !(await passwordMatches(password, user.passwordHash ?? null))) {
        throw new DomainError('CONFLICT', 'This idempotencyKey was used with another input: use a new key for a new request');
      }
      return user;
    },
    importUser: async (actorId, { issuer, subject, ...input }, idempotencyKey) => {
      const call = { scope: `importUser:${actorId}`, key: idempotencyKey, input: { issuer, subject, ...input } };
      const insertImported = async (em: EntityManager, sql: Sql): Promise<string> => {
        const id = await insertUser(em, sql, { ...input, passwordHash: null, at: options.clock() });
        await sql('insert into outside_identities (issuer, subject, user_id) values ($1, $2, $3)', [issuer, subject, id]);
        return id;
      };
      const id = await database.transaction((em, sql) => once(sql, call, () => insertImported(em, sql))).catch(conflict(input.email));
      return database.fork().findOneOrFail(UserEntity, { id });
    },
    updateUser: (id, changes) => change(id, (user) => changeUser(stateOf(user), changes)).catch(conflict(changes.email ?? '')),
    deactivateUser: (id) => change(id, (user) => deactivateUser(stateOf(user))),
    reactivateUser: (id) => change(id, (user) => reactivateUser(stateOf(user))),
    deleteUser: (id) => change(id, (user) => deleteUser({ id: user.id, ...stateOf(user) })),
    createFirstAdmin: (email, password) =>
      database.transaction(async (em, sql) => {
        await sql('select pg_advisory_xact_lock($1)', [ADMINS_LOCK]);
        if (await hasActiveAdmin(sql)) return false;
        await insertWithPassword(options, em, sql, { name: 'Admin', email, password, roles: ['ADMIN'] });
        return true;
      }),
  };
}

function changeState({ database, clock }: UserCommandOptions, id: string, decide: (user: UserRow) => UserState): Promise<UserRow> {
  return database.transaction(async (em, sql) => {
    await sql('select pg_advisory_xact_lock($1)', [ADMINS_LOCK]);
    const user = await em.findOne(UserEntity, { id: requireId('user', id) }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (user === null) throw notFound('user', id);
    const before = stateOf(user);
    const after = decide(user);
    if (after.version === before.version) return user;
    if (isActiveAdmin(before) && !isActiveAdmin(after)) await requireAnotherAdmin(sql, id);
    await applyState(em, sql, { user, before, after, now: clock() });
    return user;
  });
}

async function insertWithPassword({ passwordMinLength, clock }: UserCommandOptions, em: EntityManager, sql: Sql, { password, ...input }: NewUser & { readonly password: string }): Promise<string> {
  requireGoodPassword(password, { minLength: passwordMinLength, owner: registerUser(input) });
  return insertUser(em, sql, { ...input, passwordHash: await hashPassword(password), at: clock() });
}

async function insertUser(em: EntityManager, sql: Sql, { passwordHash, at, ...input }: NewUser & { readonly passwordHash: string | null; readonly at: Date }): Promise<string> {
  const state = registerUser(input);
  const id = uuidv7();
  em.create(UserEntity, { ...state, id, emailKey: emailKeyOf(state.email), passwordHash, beakPrint: null, createdAt: at });
  await em.flush();
  await recordEvents(sql, [newEvent(userCreatedV1, id, state, occurrence(at))]);
  return id;
}

function stateOf({ version, name, email, roles, status }: UserRow): UserState {
  return { version, name, email, roles, status };
}

/** Writes the new state with its events, and takes away what rested on the old one. */
async function applyState(em: EntityManager, sql: Sql, { user, before, after, now }: { user: UserRow; before: UserState; after: UserState; now: Date }): Promise<void> {
  const events = [];
  if (after.status !== before.status) {
    events.push(newEvent(EVENT_OF_STATUS[after.status], user.id, after, occurrence(now)));
  } else {
    events.push(newEvent(userUpdatedV1, user.id, after, occurrence(now)));
    if (!sameRoles(before.roles, after.roles)) {
      const state = { ...after, version: after.version + 1 };
      events.push(newEvent(userRoleChangedV1, user.id, { ...state, previousRoles: before.roles }, occurrence(now)));
    }
  }
  const version = events.at(-1)?.data.version ?? after.version;
  Object.assign(user, { ...after, version, emailKey: emailKeyOf(after.email) });
  if (after.status === 'DELETED') Object.assign(user, { passwordHash: null, beakPrint: null });
  await em.flush();
  await recordEvents(sql, events);
  if (after.status === 'DELETED') await forgetWhoItWas(sql, user.id);
  if (after.status !== 'ACTIVE') await endSessions(sql, { userId: user.id }, 'USER_INACTIVE', now);
  if (losesTokens(before, after)) await recordRevocations(sql, [{ userId: user.id, belowVersion: version }]);
}

async function forgetWhoItWas(sql: Sql, userId: string): Promise<void> {
  await sql('delete from outside_identities where user_id = $1', [userId]);
  await sql('update sign_in_attempts set client_address = null where user_id = $1', [userId]);
}

/** @param besides a user who does not count */
async function hasActiveAdmin(sql: Sql, besides: string | null = null): Promise<boolean> {
  const admins = await sql(`select from users where status = 'ACTIVE' and roles @> array['ADMIN'] and id is distinct from $1 limit 1`, [besides]);
  return admins.length > 0;
}

async function requireAnotherAdmin(sql: Sql, id: string): Promise<void> {
  if (await hasActiveAdmin(sql, id)) return;
  throw new DomainError('CONFLICT', 'This is the last active admin: make another user an admin first');
}

function conflict(email: string): (error: unknown) => never {
  return (error) => {
    const { constraint } = ((error as { cause?: unknown }).cause ?? error) as { constraint?: string };
    if (constraint === 'outside_identities_pkey') throw new DomainError('CONFLICT', 'There is a user for this subject of the identity provider already: find them with users');
    if (!(error instanceof UniqueConstraintViolationException)) throw error;
    throw new DomainError('CONFLICT', `Another user has the e-mail ${email}: use another one, or find that user with users`);
  };
}

function occurrence(time: Date): { time: Date; traceparent: string } {
  return { time, traceparent: currentTraceparent() };
}
