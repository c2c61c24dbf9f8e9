import type { DomainError } from './domain-error.ts';
import type { RevocationFeed } from './revocations.ts';

interface WatchParts<Token> {
  /** Why the token is refused now, or null. */
  readonly refusalOf: (token: Token) => DomainError | null;
  readonly revocations: Pick<RevocationFeed, 'onRevoked'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const TIMEOUT_MAX_MS = 2 ** 31 - 1;

interface Watched {
  check(): void;
}

/**
 * Watches tokens that were good: each one's `end` is called once with the refusal, at its expiry or when revocations are
 * heard that concern it, whichever comes first.
 */
export function watchTokens<Token extends { readonly expiresAt: Date }>({ refusalOf, revocations, now }: WatchParts<Token>) {
  const watched = new Set<Watched>();
  revocations.onRevoked(() => {
    for (const token of watched) token.check();
  });
  return (token: Token, end: (refusal: DomainError) => void): (() => void) => {
    let expiry: NodeJS.Timeout | undefined;
    const entry: Watched = {
      check: () => {
        const refusal = watched.has(entry) ? refusalOf(token) : null;
        if (refusal === null) return;
        stop();
        end(refusal);
      },
    };
    const stop = (): void => {
      clearTimeout(expiry);
      watched.delete(entry);
    };
    const untilExpiry = (): void => {
      entry.check();
      if (!watched.has(entry)) return;
      // A timer may be early by a millisecond, and can't be set for longer than 24 days: it is looked at again.
      expiry = setTimeout(untilExpiry, Math.min(Math.max(token.expiresAt.getTime() - now(), 1), TIMEOUT_MAX_MS)).unref();
    };
    watched.add(entry);
    // It may have been revoked since it was verified; the caller first gets what it stops the watching with.
    queueMicrotask(untilExpiry);
    return stop;
  };
}
