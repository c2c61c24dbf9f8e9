/**
 * A stream that can be ended from outside with an error, also while its reader waits for the next value.
 * @param watch gets what ends the stream; returns what is called when the stream is over and can't be ended any more
 */
export function endableStream<Value>(source: AsyncIterator<Value>, watch: (end: (failure: Error) => void) => () => void): AsyncIterableIterator<Value> {
  const DONE = { value: undefined, done: true } as const;
  let ended = false;
  let failure: Error | null = null;
  /** Of the reader that waits for a value. */
  let reject: ((failure: Error) => void) | null = null;

  const leaveSource = async (): Promise<void> => {
    await source.return?.();
  };
  const stopWatching = watch((reason) => {
    if (reject === null) failure = reason;
    else reject(reason);
    // What a source says when it is left is nobody's concern.
    ended = true;
    leaveSource().then(undefined, () => {});
  });
  const close = async (): Promise<IteratorResult<Value>> => {
    ended = true;
    stopWatching();
    await leaveSource();
    return DONE;
  };
  const next = async (): Promise<IteratorResult<Value>> => {
    if (failure !== null) {
      const reason = failure;
      failure = null;
      throw reason;
    }
    if (ended) return DONE;
    const { promise: cut, reject: cutNow } = Promise.withResolvers<never>();
    reject = cutNow;
    try {
      const result = await Promise.race([source.next(), cut]);
      if (result.done === true) stopWatching();
      return result;
    } catch (error) {
      stopWatching();
      throw error;
    } finally {
      reject = null;
    }
  };
  return {
    next,
    return: close,
    throw: close,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
