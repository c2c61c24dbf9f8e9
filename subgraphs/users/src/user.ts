import { DomainError } from '@ates/service-kit/domain-error';
import type { Role, UserStatus } from '@ates/shared-events/user-events';

/** What an admin gives to make a user. */
export interface NewUser {
  readonly name: string;
  readonly email: string;
  readonly roles: readonly Role[];
}

/** What of a user is to be another; what is left out, or null, stays. */
export interface UserChanges {
  readonly name?: string | null;
  readonly email?: string | null;
  readonly roles?: readonly Role[] | null;
}

/** The public state of a user, as its events carry it. */
export interface UserState {
  readonly version: number;
  readonly name: string;
  readonly email: string;
  readonly roles: Role[];
  readonly status: UserStatus;
}

export const NAME_MAX_LENGTH = 100;
export const EMAIL_MAX_LENGTH = 254;
export const PASSWORD_MAX_LENGTH = 200;
const NOBODYS_NAME = 'A popug who left';

/** Control characters, and those that turn the direction of text: they make one name look like another. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u;
const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

/**
 * The state of a new user.
 * @throws DomainError BAD_USER_INPUT naming the field and what it may be
 */
export function registerUser(input: NewUser): UserState {
  return { version: 1, name: nameOf(input.name), email: emailOf(input.email), roles: rolesOf(input.roles), status: 'ACTIVE' };
}

/**
 * The state after an edit; the same object when nothing is another.
 * @throws DomainError BAD_USER_INPUT; CONFLICT for a deleted user
 */
export function changeUser(user: UserState, changes: UserChanges): UserState {
  requireExisting(user);
  const name = changes.name == null ? user.name : nameOf(changes.name);
  const email = changes.email == null ? user.email : emailOf(changes.email);
  const roles = changes.roles == null ? user.roles : rolesOf(changes.roles);
  if (name === user.name && email === user.email && sameRoles(roles, user.roles)) return user;
  return { ...user, version: user.version + 1, name, email, roles: sameRoles(roles, user.roles) ? user.roles : roles };
}

/** The same object when they are deactivated already. @throws DomainError CONFLICT for a deleted user */
export function deactivateUser(user: UserState): UserState {
  requireExisting(user);
  return user.status === 'DEACTIVATED' ? user : { ...user, version: user.version + 1, status: 'DEACTIVATED' };
}

/** The same object when they are active already. @throws DomainError CONFLICT for a deleted user */
export function reactivateUser(user: UserState): UserState {
  requireExisting(user);
  return user.status === 'ACTIVE' ? user : { ...user, version: user.version + 1, status: 'ACTIVE' };
}

/** Nobody any more: a name and an e-mail that say nothing of who it was. The same object when they are deleted already. */
export function deleteUser(user: UserState & { readonly id: string }): UserState {
  if (user.status === 'DELETED') return user;
  return { version: user.version + 1, name: NOBODYS_NAME, email: `${user.id}@deleted.invalid`, roles: user.roles, status: 'DELETED' };
}

/** Whether these hold the rights that somebody must have for there to be an admin at all. */
export function isActiveAdmin(user: Pick<UserState, 'roles' | 'status'>): boolean {
  return user.status === 'ACTIVE' && user.roles.includes('ADMIN');
}

/** Whether tokens that were made for `before` say too much of `after`. */
export function losesTokens(before: UserState, after: UserState): boolean {
  return after.status !== 'ACTIVE' || !sameRoles(before.roles, after.roles);
}

export function sameRoles(some: readonly Role[], others: readonly Role[]): boolean {
  return some.length === others.length && some.every((role) => others.includes(role));
}

/** E-mails are the same without regard to case. */
export function emailKeyOf(email: string): string {
  return email.trim().toLowerCase();
}

/** What a password is measured by: its least length in characters, whose it is to be, and how its field is called. */
export interface PasswordRules {
  readonly minLength: number;
  readonly owner: Pick<UserState, 'name' | 'email'>;
  readonly field?: string;
}

/**
 * Refuses a password that is too short, too long, or among the first to be guessed.
 * @throws DomainError BAD_USER_INPUT naming `field`
 */
export function requireGoodPassword(password: string, { minLength, owner, field = 'password' }: PasswordRules): void {
  if (password.length < minLength || password.length > PASSWORD_MAX_LENGTH) throw badInput(field, `${minLength} to ${PASSWORD_MAX_LENGTH} characters`);
  const guessable = [owner.email, owner.email.split('@')[0], owner.name].map((text) => text?.trim().toLowerCase());
  if (guessable.includes(password.trim().toLowerCase())) throw badInput(field, 'something else than a name or an e-mail');
}

function nameOf(input: string): string {
  const name = input.trim();
  if (name.length > NAME_MAX_LENGTH || !/[\p{L}\p{N}\p{S}]/u.test(name) || UNSEEN.test(name)) throw badInput('name', `1 to ${NAME_MAX_LENGTH} characters, some of them to be seen, none of them control characters`);
  return name.normalize('NFC');
}

function emailOf(input: string): string {
  const email = input.trim();
  if (!EMAIL.test(email) || email.length > EMAIL_MAX_LENGTH) throw badInput('email', `an address like ann@ates.test, at most ${EMAIL_MAX_LENGTH} characters`);
  return email;
}

function rolesOf(input: readonly Role[]): Role[] {
  if (input.length === 0) throw badInput('roles', 'at least one role');
  return [...new Set(input)];
}

function requireExisting(user: UserState): void {
  if (user.status === 'DELETED') throw new DomainError('CONFLICT', 'This user was deleted: nothing of them can be changed any more');
}

function badInput(field: string, rule: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `${field} must be ${rule}`, { field });
}
