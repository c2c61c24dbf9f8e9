import { DomainError } from './domain-error.ts';
import { createPushQueue, type PushQueue } from './push-queue.ts';

/** The subscribers of this process, by what they watch. */
export interface Watchers<Item> {
  /** What is told of `key` from now on. */
  watch(key: string): AsyncIterableIterator<Item>;
  tell(key: string, item: Item): void;
  /** Ends everybody's watching with a failure, behind what they have been told. */
  end(failure: () => Error): void;
}

const BACKLOG_MAX_ITEMS = 1_000;

/**
 * Fans items out to those who watch their key. Whoever is too far behind is told so and let go: a slow subscriber costs bounded memory.
 * @param onNobody called when the last one has left
 */
export function createWatchers<Item>(onNobody: () => void = () => {}): Watchers<Item> {
  const watchers = new Map<string, Set<PushQueue<Item>>>();
  const leave = (key: string, queue: PushQueue<Item>): void => {
    const others = watchers.get(key);
    others?.delete(queue);
    if (others?.size === 0 && watchers.delete(key) && watchers.size === 0) onNobody();
  };
  return {
    watch: (key) => {
      const queue: PushQueue<Item> = createPushQueue<Item>(
        BACKLOG_MAX_ITEMS,
        () => new DomainError('RATE_LIMITED', 'You are too far behind: subscribe again and reload what you watch'),
        () => leave(key, queue),
      );
      watchers.set(key, (watchers.get(key) ?? new Set()).add(queue));
      return queue;
    },
    tell: (key, item) => {
      for (const queue of watchers.get(key) ?? []) queue.push(item);
    },
    end: (failure) => {
      for (const queue of [...watchers.values()].flatMap((queues) => [...queues])) queue.fail(failure());
    },
  };
}
