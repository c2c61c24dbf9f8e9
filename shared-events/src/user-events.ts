import Type, { type Static } from 'typebox';
import { defineEvent } from './event.ts';

export const RoleSchema = Type.Union([
  Type.Literal('EMPLOYEE'),
  Type.Literal('MANAGER'),
  Type.Literal('ACCOUNTANT'),
  Type.Literal('ADMIN'),
]);
export type Role = Static<typeof RoleSchema>;

export const UserStatusSchema = Type.Union([Type.Literal('ACTIVE'), Type.Literal('DEACTIVATED'), Type.Literal('DELETED')]);
export type UserStatus = Static<typeof UserStatusSchema>;

/** As every event about a user carries it. */
const userState = {
  name: Type.String(),
  email: Type.String(),
  roles: Type.Array(RoleSchema, { minItems: 1 }),
  status: UserStatusSchema,
};

export const userCreatedV1 = defineEvent('users', 'user.created.v1', 'A new user: their whole public state. The subject is the user.', userState);

const signInAttempt = {
  method: Type.Union([Type.Literal('PASSWORD'), Type.Literal('BEAK')]),
  attemptedAt: Type.String({ format: 'date-time' }),
};

// The subject is the attempt, not the user: attempts are never ordered against each other.

export const userAuthenticatedV1 = defineEvent('users', 'user.authenticated.v1', 'Somebody signed in. The subject is the attempt.', {
  ...signInAttempt,
  userId: Type.String({ format: 'uuid' }),
});

export const userDeniedV1 = defineEvent('users', 'user.denied.v1', 'Somebody tried to sign in and was refused. The subject is the attempt.', {
  ...signInAttempt,
  userId: Type.Union([Type.String({ format: 'uuid' }), Type.Null()], { description: 'Null when nobody has the e-mail that was tried.' }),
  reason: Type.Union([Type.Literal('UNKNOWN_USER'), Type.Literal('WRONG_CREDENTIAL'), Type.Literal('NOT_ACTIVE')]),
});

/** Whether such a user gets tasks, owns an account and is paid: active, and neither manager nor admin. */
export function isAssignable(user: { readonly roles: readonly Role[]; readonly status: UserStatus }): boolean {
  return user.status === 'ACTIVE' && !user.roles.includes('MANAGER') && !user.roles.includes('ADMIN');
}
