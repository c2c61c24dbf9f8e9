/** Values of which only the latest counts, for one listener who may be slower: it never waits for more than one. */
export interface Latest<Value> extends AsyncIterableIterator<Value> {
  push(value: Value): void;
}

/** @param onEnd called once, when the listener leaves */
export function createLatest<Value>(onEnd: () => void): Latest<Value> {
  let kept: { readonly value: Value } | null = null;
  let waiting: PromiseWithResolvers<IteratorResult<Value>> | null = null;
  let ended = false;
  return {
    push: (value) => {
      if (ended) return;
      if (waiting === null) kept = { value };
      else waiting.resolve({ value, done: false });
      waiting = null;
    },
    next: () => {
      if (ended) return Promise.resolve({ value: undefined, done: true });
      if (kept !== null) {
        const { value } = kept;
        kept = null;
        return Promise.resolve({ value, done: false });
      }
      waiting ??= Promise.withResolvers();
      return waiting.promise;
    },
    return: () => {
      if (!ended) onEnd();
      ended = true;
      waiting?.resolve({ value: undefined, done: true });
      waiting = null;
      return Promise.resolve({ value: undefined, done: true });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
