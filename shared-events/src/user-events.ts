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

export const userUpdatedV1 = defineEvent('users', 'user.updated.v1', 'A user’s name, e-mail or roles are others now. The subject is the user.', userState);

export const userRoleChangedV1 = defineEvent(
  'users',
  'user.role_changed.v1',
  'A user’s roles are others now; comes right after the user.updated that says the same. The subject is the user.',
  { ...userState, previousRoles: Type.Array(RoleSchema, { minItems: 1 }) },
);

export const userDeactivatedV1 = defineEvent('users', 'user.deactivated.v1', 'A user may not sign in any more, and gets no tasks. The subject is the user.', userState);

export const userReactivatedV1 = defineEvent('users', 'user.reactivated.v1', 'A user who was deactivated may sign in again. The subject is the user.', userState);

export const userDeletedV1 = defineEvent(
  'users',
  'user.deleted.v1',
  'A user is gone for good. Name and e-mail stand for nobody from here on: whoever keeps copies keeps these. The subject is the user.',
  userState,
);

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
