import type { Revocation } from './revocation-message.ts';

/** What of a verified token decides whether it was revoked. */
export interface RevocableToken {
  readonly userId: string;
  readonly sessionId: string;
  /** The version of the user's state at which the token was issued. */
  readonly userVersion: number;
  /** The key that signed it. */
  readonly keyId: string;
}

/** Why a token is refused: its user changed, its session ended, its key was withdrawn. */
export const REVOCATION_REASONS = ['user', 'session', 'key'] as const;
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

/** The revocations of the last minutes, as one process knows them. */
export interface RevocationList {
  /** Takes up entries, in any order and as often as they come. @returns whether any of this was new. */
  apply(entries: readonly Revocation[], keys: readonly string[]): boolean;
  /** Why this token is refused, or null. */
  reasonAgainst(token: RevocableToken): RevocationReason | null;
  /** Drops what was heard longer ago than it may matter. */
  forget(): void;
  /** How many entries are remembered. */
  size(): number;
}

/** Longer than the life of an access token (5 minutes), and than entries are told (10 minutes). */
export const FORGET_AFTER_MS = 11 * 60_000;

/**
 * An empty list. It lets every key pass until it was told which may sign.
 * @param now milliseconds of a clock that never goes back
 */
export function createRevocationList(now: () => number): RevocationList {
  const users = new Map<string, { readonly belowVersion: number; readonly heardAtMs: number }>();
  const sessions = new Map<string, number>();
  let signingKeys: ReadonlySet<string> | null = null;

  const applyEntry = (entry: Revocation): boolean => {
    const heardAtMs = now();
    if ('sessionId' in entry) {
      const known = sessions.has(entry.sessionId);
      sessions.set(entry.sessionId, heardAtMs);
      return !known;
    }
    const belowVersion = users.get(entry.userId)?.belowVersion ?? 0;
    users.set(entry.userId, { belowVersion: Math.max(belowVersion, entry.belowVersion), heardAtMs });
    return entry.belowVersion > belowVersion;
  };
  return {
    apply: (entries, keys) => {
      const news = entries.map(applyEntry).some((isNew) => isNew);
      const sameKeys = signingKeys !== null && signingKeys.size === keys.length && keys.every((key) => signingKeys?.has(key));
      if (!sameKeys) signingKeys = new Set(keys);
      return news || !sameKeys;
    },
    reasonAgainst: ({ userId, sessionId, userVersion, keyId }) => {
      if (userVersion < (users.get(userId)?.belowVersion ?? 0)) return 'user';
      if (sessions.has(sessionId)) return 'session';
      return signingKeys === null || signingKeys.has(keyId) ? null : 'key';
    },
    forget: () => {
      const heardBeforeMs = now() - FORGET_AFTER_MS;
      for (const [userId, { heardAtMs }] of users) if (heardAtMs < heardBeforeMs) users.delete(userId);
      for (const [sessionId, heardAtMs] of sessions) if (heardAtMs < heardBeforeMs) sessions.delete(sessionId);
    },
    size: () => users.size + sessions.size,
  };
}
