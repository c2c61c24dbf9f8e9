/** Where a follower stands in the numbering of revocations, and whether it may have missed some. */
export interface RevocationNumbering {
  /** Whether there is no gap up to what was heard last. */
  isComplete(): boolean;
  /** Milliseconds since what was heard last continued what is known; infinite before the first time. */
  ageMs(): number;
  /** A message with all entries after `after` up to `last`. @returns from where to ask for what is missing, or null. */
  heard(after: number, last: number): number | null;
  /** Messages may have been missed; everything has to be asked for, from 0. */
  lost(): void;
  /** A question is about to be asked, from there on. */
  asked(from: number): void;
  /** It was answered, up to `last`. @returns false when something that was heard meanwhile is still missing: ask again. */
  answered(from: number, last: number): boolean;
}

/**
 * At first everything is missing.
 * @param now milliseconds of a clock that never goes back
 */
export function createRevocationNumbering(staleAfterMs: number, now: () => number): RevocationNumbering {
  let known = 0;
  /** Whether a message has continued what is known since the question that is under way was asked. */
  let continued = false;
  let heardAtMs: number | undefined;
  /** Where the gap ends, as far as was heard; null while there is none. */
  let missingUpTo: number | null = 0;
  const ageMs = (): number => (heardAtMs === undefined ? Number.POSITIVE_INFINITY : now() - heardAtMs);
  const openGap = (upTo: number): void => {
    missingUpTo = Math.max(missingUpTo ?? 0, upTo);
  };
  return {
    isComplete: () => missingUpTo === null,
    ageMs,
    heard: (after, last) => {
      if (after > known) {
        openGap(after);
        return known;
      }
      // One of several senders that was overtaken, or a database that was restored: the answer tells. No sign of life until then.
      if (last < known) return 0;
      known = last;
      continued = true;
      if (ageMs() > staleAfterMs) {
        // After a silence numbers prove little: those of a restored database may have reached ours again.
        openGap(0);
        return 0;
      }
      if (missingUpTo === null) heardAtMs = now();
      return null;
    },
    lost: () => openGap(0),
    asked: (from) => {
      continued = false;
      // Numbers from before a restore would never be reached; what is heard from now on counts.
      if (from === 0 && missingUpTo !== null) missingUpTo = 0;
    },
    answered: (from, last) => {
      known = from === 0 && !continued ? last : Math.max(known, last);
      if (missingUpTo !== null && missingUpTo > known) return false;
      missingUpTo = null;
      heardAtMs = now();
      return true;
    },
  };
}
