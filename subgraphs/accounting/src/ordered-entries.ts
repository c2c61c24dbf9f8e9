import type { PostedEntry } from './posting.ts';

/** Reads an account's entries from a number on, in order, at most so many. */
export type ReadEntries = (afterNumber: number, limit: number) => Promise<readonly PostedEntry[]>;

/** So many missed entries are read at a time. */
export const MISSED_PAGE_ENTRIES = 200;

/**
 * An account's entries after a number, each once, in order, without end: what is posted from now on as it is heard of, and what nobody
 * heard of, because it was posted before or by a replica whose word comes late, from the database.
 * @param live begun before this is called, so that nothing falls between what is read and what is heard
 * @param after the number of the last entry that the listener knows
 */
export function inOrder(live: AsyncIterableIterator<PostedEntry>, after: number, read: ReadEntries): AsyncIterableIterator<PostedEntry> {
  const entries = entriesInOrder(live, after, read);
  return {
    next: () => entries.next(),
    return: async () => {
      // First: a generator that waits for the next live entry can't be ended before that comes.
      await live.return?.();
      await entries.return();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* entriesInOrder(live: AsyncIterableIterator<PostedEntry>, after: number, read: ReadEntries): AsyncGenerator<PostedEntry, void> {
  let last = after;
  const missed = async function* (upTo: number): AsyncGenerator<PostedEntry, void> {
    while (last < upTo) {
      const page = await read(last, MISSED_PAGE_ENTRIES);
      for (const entry of page) {
        last = entry.number;
        yield entry;
      }
      if (page.length < MISSED_PAGE_ENTRIES) return;
    }
  };
  try {
    yield* missed(Number.POSITIVE_INFINITY);
    for await (const entry of live) {
      if (entry.number > last + 1) yield* missed(entry.number - 1);
      // Of what is told twice, or was read already, once is enough.
      if (entry.number <= last) continue;
      last = entry.number;
      yield entry;
    }
  } finally {
    await live.return?.();
  }
}
