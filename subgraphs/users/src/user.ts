import { DomainError } from '@ates/service-kit/domain-error';
import type { Role, UserStatus } from '@ates/shared-events/user-events';

/** What an admin gives to make a user. */
export interface NewUser {
  readonly name: string;
  readonly email: string;
  readonly password: string;
  readonly roles: readonly Role[];
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

const EMAIL = /^[^\s@]+@[^\s@]+\.[^\s@]+$/;

/**
 * The state of a new user.
 * @throws DomainError BAD_USER_INPUT naming the field and what it may be
 */
export function registerUser(input: NewUser, passwordMinLength: number): UserState {
  const name = input.name.trim();
  const email = input.email.trim();
  if (name === '' || name.length > NAME_MAX_LENGTH) throw badInput('name', `1 to ${NAME_MAX_LENGTH} characters`);
  if (!EMAIL.test(email) || email.length > EMAIL_MAX_LENGTH) throw badInput('email', `an address like ann@ates.test, at most ${EMAIL_MAX_LENGTH} characters`);
  if (input.password.length < passwordMinLength || input.password.length > PASSWORD_MAX_LENGTH) {
    throw badInput('password', `${passwordMinLength} to ${PASSWORD_MAX_LENGTH} characters`);
  }
  if (input.roles.length === 0) throw badInput('roles', 'at least one role');
  return { version: 1, name, email, roles: [...new Set(input.roles)], status: 'ACTIVE' };
}

/** E-mails are the same without regard to case. */
export function emailKeyOf(email: string): string {
  return email.trim().toLowerCase();
}

function badInput(field: string, rule: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `${field} must be ${rule}`, { field });
}
