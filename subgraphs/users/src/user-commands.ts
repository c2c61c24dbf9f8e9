import { UniqueConstraintViolationException } from '@mikro-orm/core';
import type { Database } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { once } from '@ates/service-kit/idempotency';
import { currentTrace, traceOf } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { userCreatedV1 } from '@ates/shared-events/user-events';
import { v7 as uuidv7 } from 'uuid';
import { hashPassword, passwordMatches } from './password.ts';
import { emailKeyOf, registerUser, type NewUser } from './user.ts';
import { UserEntity, type UserRow } from './user.entity.ts';

export interface UserCommandOptions {
  readonly database: Database;
  readonly passwordMinLength: number;
  readonly clock: () => Date;
}

export interface UserCommands {
  /**
   * Makes a user; who may is decided by the caller.
   * @throws DomainError BAD_USER_INPUT; CONFLICT when the e-mail is taken or the key was used for something else
   */
  createUser(actorId: string, input: NewUser, idempotencyKey?: string | null): Promise<UserRow>;
  /** Makes the first admin of an installation; does nothing where there is a user already. */
  createFirstAdmin(email: string, password: string): Promise<void>;
}

/** Replicas that start at once make one first admin. */
const FIRST_ADMIN_LOCK = 7_061_004;

export function createUserCommands({ database, passwordMinLength, clock }: UserCommandOptions): UserCommands {
  const insertUser = async (em: Parameters<Parameters<Database['transaction']>[0]>[0], sql: Database['sql'], input: NewUser): Promise<string> => {
    const state = registerUser(input, passwordMinLength);
    const id = uuidv7();
    const now = clock();
    em.create(UserEntity, {
      ...state,
      id,
      emailKey: emailKeyOf(state.email),
      passwordHash: await hashPassword(input.password),
      createdAt: now,
    });
    await em.flush();
    const traceparent = (currentTrace() ?? traceOf(undefined)).traceparent;
    await recordEvents(sql, [newEvent(userCreatedV1, id, state, { time: now, traceparent })]);
    return id;
  };

  return {
    createUser: async (actorId, input, idempotencyKey) => {
      // The password stays out of what is remembered of the call: a plain hash of it could be guessed.
      const { password, ...remembered } = input;
      const id = await database
        .transaction((em, sql) =>
          once(sql, { scope: `createUser:${actorId}`, key: idempotencyKey, input: remembered }, () => insertUser(em, sql, input)),
        )
        .catch((error: unknown) => {
          if (error instanceof UniqueConstraintViolationException) {
            throw new DomainError('CONFLICT', `Another user has the e-mail ${input.email}: use another one, or find that user with users`);
          }
          throw error;
        });
      const user = await database.fork().findOneOrFail(UserEntity, { id });
      if (idempotencyKey != null && !(await passwordMatches(password, user.passwordHash))) {
        throw new DomainError('CONFLICT', 'This idempotencyKey was used with another input: use a new key for a new request');
      }
      return user;
    },
    createFirstAdmin: (email, password) =>
      database.transaction(async (em, sql) => {
        await sql('select pg_advisory_xact_lock($1)', [FIRST_ADMIN_LOCK]);
        if ((await em.count(UserEntity)) > 0) return;
        await insertUser(em, sql, { name: 'Admin', email, password, roles: ['ADMIN'] });
      }),
  };
}
