import { DomainError } from '@ates/service-kit/domain-error';
import { hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { PASSWORD_MAX_LENGTH } from './user.ts';

/** argon2id, 19 MiB, 2 passes, 1 lane: the OWASP password storage cheat sheet's first choice. About 20 ms. */
const ARGON2ID = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** So many sign-ins can't take more memory or processors than this. */
const HASHES_AT_ONCE = 2;
/** Beyond this a hash would come too late to be of use: about a second of work. */
const HASHES_WAITING_MAX = 64;

const limit = pLimit(HASHES_AT_ONCE);

/** A PHC string with salt and parameters. @throws DomainError RATE_LIMITED when too many wait for theirs */
export function hashPassword(password: string): Promise<string> {
  return bounded(() => hash(password, ARGON2ID));
}

// Checked where nobody has the e-mail, so that the answer takes as long as for a wrong password.
const nobodysHash = hash('nobody has this password', ARGON2ID);

/**
 * Whether the password is the one behind `passwordHash`; with null, false after the same time.
 * @throws DomainError RATE_LIMITED when too many wait for theirs
 */
export async function passwordMatches(password: string, passwordHash: string | null): Promise<boolean> {
  const known = passwordHash ?? (await nobodysHash);
  const matches = await bounded(() => verify(known, password.slice(0, PASSWORD_MAX_LENGTH * 2)));
  return matches && passwordHash !== null;
}

async function bounded<Result>(work: () => Promise<Result>): Promise<Result> {
  if (limit.pendingCount >= HASHES_WAITING_MAX) {
    throw new DomainError('RATE_LIMITED', 'Too many people are signing in at this moment: try again in a second', { retryAfterSeconds: 1 });
  }
  return limit(work);
}
