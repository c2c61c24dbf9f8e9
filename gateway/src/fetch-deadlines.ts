import { performance } from 'node:perf_hooks';

/** A fetch that is given up when its time is over. */
export interface Limited {
  /** Of `performance.now()`; set by `watch`. */
  deadline: number;
  expire(): void;
}

/** Gives up what takes longer than all of the kind may take. */
export interface Deadlines {
  watch(limited: Limited): void;
  /** It ended in time. */
  release(limited: Limited): void;
}

/**
 * Deadlines of one length, all kept by one timer: as they have the same length, the oldest ends first. A timer for each would
 * cost as much as all else that the gateway does around a fetch.
 */
export function createDeadlines(lengthMs: number): Deadlines {
  const watched = new Set<Limited>();
  let isArmed = false;

  const expireDue = (): void => {
    isArmed = false;
    const now = performance.now();
    for (const limited of watched) {
      if (limited.deadline > now) return arm(limited.deadline - now);
      watched.delete(limited);
      limited.expire();
    }
  };
  const arm = (waitMs: number): void => {
    isArmed = true;
    // Timers end up to a millisecond early. Whatever is fetched keeps the process running by itself.
    setTimeout(expireDue, Math.ceil(waitMs) + 1).unref();
  };

  return {
    watch: (limited) => {
      limited.deadline = performance.now() + lengthMs;
      watched.add(limited);
      if (!isArmed) arm(lengthMs);
    },
    release: (limited) => void watched.delete(limited),
  };
}
