/** A stream of values that are pushed as they happen, for one listener who may be slower. */
export interface PushQueue<Value> extends AsyncIterableIterator<Value> {
  push(value: Value): void;
  /** Ends it with an error, which the listener gets once it has read what was pushed before. */
  fail(error: Error): void;
}

/**
 * A bounded queue as an async iterator. When the listener is more than `limit` values behind, the iterator ends with
 * `overflow()`: a slow listener costs bounded memory and is told.
 * @param onEnd called once, when the listener leaves, the queue overflows or fails
 */
export function createPushQueue<Value>(limit: number, overflow: () => Error, onEnd: () => void): PushQueue<Value> {
  const values: Value[] = [];
  const waiting: PromiseWithResolvers<IteratorResult<Value>>[] = [];
  let ended = false;
  let failure: Error | undefined;

  const end = (): void => {
    if (ended) return;
    ended = true;
    onEnd();
    for (const { resolve, reject } of waiting.splice(0)) {
      if (failure === undefined) resolve({ value: undefined, done: true });
      else reject(failure);
      failure = undefined;
    }
  };

  return {
    push: (value) => {
      if (ended) return;
      const next = waiting.shift();
      if (next !== undefined) return next.resolve({ value, done: false });
      values.push(value);
      if (values.length > limit) {
        failure = overflow();
        values.length = 0;
        end();
      }
    },
    fail: (error) => {
      if (ended) return;
      failure = error;
      end();
    },
    next: () => {
      const value = values.shift();
      if (value !== undefined) return Promise.resolve({ value, done: false });
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        return Promise.reject(error);
      }
      if (ended) return Promise.resolve({ value: undefined, done: true });
      const next = Promise.withResolvers<IteratorResult<Value>>();
      waiting.push(next);
      return next.promise;
    },
    return: () => {
      values.length = 0;
      end();
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
