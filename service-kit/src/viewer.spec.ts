import { describe, expect, test } from '@jest/globals';
import type { DomainError } from './domain-error.ts';
import { hasRole, signedIn, withFullAssurance, withRole, type Viewer } from './viewer.ts';

const admin: Viewer = { userId: 'ann', sessionId: 's1', userVersion: 1, keyId: 'k1', roles: ['EMPLOYEE', 'ADMIN'], assurance: 'full', expiresAt: new Date(0), rolesAreCurrent: true };

/** Code and reason of a refusal, null when there is none. */
function refusalOf(work: () => unknown): { code: string; reason: unknown } | null {
  try {
    work();
    return null;
  } catch (error) {
    const { code, details } = error as DomainError;
    return { code, reason: details['reason'] };
  }
}

describe('A role', () => {
  test.each([
    ['nobody', null, { code: 'UNAUTHENTICATED', reason: undefined }],
    ['an admin', admin, null],
    ['one of several roles', { ...admin, roles: ['MANAGER'] }, null],
    ['no role', { ...admin, roles: [] }, { code: 'FORBIDDEN', reason: undefined }],
    ['an admin of low assurance', { ...admin, assurance: 'low' as const }, { code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' }],
    ['an admin whose rights are not certain', { ...admin, rolesAreCurrent: false }, { code: 'SERVICE_UNAVAILABLE', reason: 'RIGHTS_UNCHECKED' }],
    ['who has no role, whatever else', { ...admin, roles: ['EMPLOYEE'], assurance: 'low' as const, rolesAreCurrent: false }, { code: 'FORBIDDEN', reason: undefined }],
    ['who needs the password first, whatever is certain', { ...admin, assurance: 'low' as const, rolesAreCurrent: false }, { code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' }],
  ])('of %s', (_who, viewer, refusal) => {
    expect(refusalOf(() => withRole(viewer, 'MANAGER', 'ADMIN'))).toEqual(refusal);
    expect(hasRole(viewer, 'MANAGER', 'ADMIN')).toBe(refusal === null);
  });
});

test('full assurance is asked for without a role, and does not depend on the feed', () => {
  const user = { ...admin, roles: [], rolesAreCurrent: false };
  expect(withFullAssurance(user)).toBe(user);
  expect(refusalOf(() => withFullAssurance({ ...user, assurance: 'low' }))).toEqual({ code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' });
  expect(refusalOf(() => withFullAssurance(null))).toEqual({ code: 'UNAUTHENTICATED', reason: undefined });
});

test('what needs no role is for everybody who is signed in', () => {
  const user: Viewer = { ...admin, roles: [], assurance: 'low', rolesAreCurrent: false };
  expect(signedIn(user)).toBe(user);
  expect(refusalOf(() => signedIn(null))).toEqual({ code: 'UNAUTHENTICATED', reason: undefined });
});
