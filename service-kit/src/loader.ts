import DataLoader from 'dataloader';

export type Loader<Key, Value> = DataLoader<Key, Value>;

/**
 * Batches the look-ups of one tick into one call. It remembers nothing: the context of a subscription lives for hours,
 * and each of its events must see the rows as they are then.
 * @param load rows for the keys, in any order, missing ones left out
 */
export function batchLoader<Key extends string, Row, Value>(
  load: (keys: readonly Key[]) => Promise<readonly Row[]>,
  keyOf: (row: Row) => Key,
  valueOf: (row: Row | undefined, key: Key) => Value,
): Loader<Key, Value> {
  return new DataLoader<Key, Value>(
    async (keys) => {
      const rows = new Map((await load([...new Set(keys)])).map((row) => [keyOf(row), row]));
      return keys.map((key) => valueOf(rows.get(key), key));
    },
    { cache: false },
  );
}
