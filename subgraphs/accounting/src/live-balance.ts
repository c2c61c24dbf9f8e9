import { randomUUID } from 'node:crypto';
import type { Logger } from '@ates/service-kit/logger';
import type { NatsConnection } from '@ates/service-kit/nats';
import { DomainError } from '@ates/service-kit/domain-error';
import { createPushQueue, type PushQueue } from '@ates/service-kit/push-queue';
import type { PostedEntry } from './posting.ts';

/** Who watches balances here, and how they hear of entries, from whichever replica posted them. */
export interface LiveBalances {
  /** Tells every replica of entries that were just committed; a hint, never needed for correctness. */
  announce(entries: readonly PostedEntry[]): void;
  /** The entries of one account from now on, in order. */
  watch(accountId: string): AsyncIterableIterator<PostedEntry>;
  /** Starts to hear other replicas. */
  connect(nats: NatsConnection): void;
}

/** Outside of every stream: what nobody watches is not kept. */
const SUBJECT = 'live.accounting.entry_posted';
const BACKLOG_MAX_ENTRIES = 1_000;

/** Fans committed entries out to the subscribers of this process. */
export function createLiveBalances(logger: Logger): LiveBalances {
  const replica = randomUUID();
  const watchers = new Map<string, Set<PushQueue<PostedEntry>>>();
  let nats: NatsConnection | undefined;

  const deliver = (entry: PostedEntry): void => {
    for (const watcher of watchers.get(entry.accountId) ?? []) watcher.push(entry);
  };
  return {
    announce: (entries) => {
      if (entries.length === 0) return;
      for (const entry of entries) deliver(entry);
      nats?.publish(SUBJECT, JSON.stringify({ replica, entries }));
    },
    watch: (accountId) => {
      const queue: PushQueue<PostedEntry> = createPushQueue<PostedEntry>(
        BACKLOG_MAX_ENTRIES,
        () => new DomainError('RATE_LIMITED', 'You are too far behind: subscribe again and reload the account'),
        () => {
          const remaining = watchers.get(accountId);
          remaining?.delete(queue);
          if (remaining?.size === 0) watchers.delete(accountId);
        },
      );
      const others = watchers.get(accountId) ?? new Set();
      watchers.set(accountId, others.add(queue));
      return queue;
    },
    connect: (connection) => {
      nats = connection;
      connection.subscribe(SUBJECT, {
        callback: (error, message) => {
          if (error !== null) return logger.warn({ err: error }, 'live entries are not heard');
          try {
            const told = message.json<{ replica: string; entries: PostedEntry[] }>();
            // This one's own watchers know already.
            if (told.replica === replica) return;
            for (const entry of told.entries) deliver({ ...entry, postedAt: new Date(entry.postedAt) });
          } catch (unreadable) {
            // NATS lets any service name this subject as where its answers go.
            logger.warn({ err: unreadable }, 'a message among the live entries could not be read');
          }
        },
      });
    },
  };
}
