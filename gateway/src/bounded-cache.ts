/** A map that keeps the entries that were used last. */
export interface BoundedCache<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  clear(): void;
}

/**
 * An empty cache of at most `max` entries. A Map remembers the order of insertion: an entry that is used is inserted again, the first
 * is the oldest.
 * @param keyLengthsMax characters of all keys together, where they may be long; a key that is longer alone is not kept
 */
export function createBoundedCache<Value>(max: number, keyLengthsMax = Number.POSITIVE_INFINITY): BoundedCache<Value> {
  const entries = new Map<string, Value>();
  let keyLengths = 0;
  let newest: string | undefined;

  const remove = (key: string): void => {
    if (entries.delete(key)) keyLengths -= key.length;
  };
  return {
    get: (key) => {
      const value = entries.get(key);
      if (value === undefined || key === newest) return value;
      entries.delete(key);
      entries.set(key, value);
      newest = key;
      return value;
    },
    set: (key, value) => {
      remove(key);
      if (key.length > keyLengthsMax) return;
      entries.set(key, value);
      keyLengths += key.length;
      newest = key;
      while (entries.size > max || keyLengths > keyLengthsMax) remove(entries.keys().next().value as string);
    },
    clear: () => {
      entries.clear();
      keyLengths = 0;
      newest = undefined;
    },
  };
}
