import { randomUUID } from 'node:crypto';
import type { Logger } from '@ates/service-kit/logger';
import type { NatsConnection } from '@ates/service-kit/nats';
import { createWatchers } from '@ates/service-kit/watchers';
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

/** Fans committed entries out to the subscribers of this process. */
export function createLiveBalances(logger: Logger): LiveBalances {
  const replica = randomUUID();
  const watchers = createWatchers<PostedEntry>();
  let nats: NatsConnection | undefined;
  return {
    announce: (entries) => {
      if (entries.length === 0) return;
      for (const entry of entries) watchers.tell(entry.accountId, entry);
      nats?.publish(SUBJECT, JSON.stringify({ replica, entries }));
    },
    watch: watchers.watch,
    connect: (connection) => {
      nats = connection;
      connection.subscribe(SUBJECT, {
        callback: (error, message) => {
          if (error !== null) return logger.warn({ err: error }, 'live entries are not heard');
          try {
            const told = message.json<{ replica: string; entries: PostedEntry[] }>();
            // This one's own watchers know already.
            if (told.replica === replica) return;
            for (const entry of told.entries) watchers.tell(entry.accountId, { ...entry, postedAt: new Date(entry.postedAt) });
          } catch (unreadable) {
            // NATS lets any service name this subject as where its answers go.
            logger.warn({ err: unreadable }, 'a message among the live entries could not be read');
          }
        },
      });
    },
  };
}
