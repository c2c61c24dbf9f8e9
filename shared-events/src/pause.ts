/** Waits, or returns at once when the signal aborts. */
export async function pause(ms: number, stopped: AbortSignal): Promise<void> {
  if (ms <= 0) return;
  await createLatch().wait(ms, stopped);
}

/** Something that may happen at any time and that one waits for; what happens while nobody waits is kept. */
export interface Latch {
  readonly set: () => void;
  /** Waits until it is set, and resets it. @returns false when `ms` passed or the signal aborted first */
  wait(ms: number, stopped: AbortSignal): Promise<boolean>;
}

export function createLatch(): Latch {
  let isSet = false;
  let wake = (): void => {};
  return {
    set: () => {
      isSet = true;
      wake();
    },
    wait: async (ms, stopped) => {
      if (!isSet && !stopped.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        const timer = setTimeout(resolve, ms);
        stopped.addEventListener('abort', wake, { once: true });
        await promise;
        clearTimeout(timer);
        stopped.removeEventListener('abort', wake);
      }
      const wasSet = isSet;
      isSet = false;
      return wasSet;
    },
  };
}

/** What the work gives. @throws as soon as the signal aborts, whatever becomes of the work */
export function unless<Result>(over: AbortSignal, work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(over.reason);
  over.addEventListener('abort', onAbort, { once: true });
  return Promise.race([work, promise]).finally(() => over.removeEventListener('abort', onAbort));
}
