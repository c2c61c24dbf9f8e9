import { randomUUID } from 'node:crypto';
import type { Logger } from '@ates/service-kit/logger';
import type { NatsConnection } from '@ates/service-kit/nats';
import { createWatchers } from '@ates/service-kit/watchers';
import type { Sql } from '@ates/service-kit/database';
import { payoutEntries } from './closing-queries.ts';
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
/** Far below the megabyte that a message may have, with titles of the greatest length. */
const MESSAGE_MAX_ENTRIES = 200;

/** Fans committed entries out to the subscribers of this process. */
export function createLiveBalances(logger: Logger): LiveBalances {
  const replica = randomUUID();
  const watchers = createWatchers<PostedEntry>();
  let nats: NatsConnection | undefined;
  return {
    announce: (entries) => {
      if (entries.length === 0) return;
      for (const entry of entries) watchers.tell(entry.accountId, entry);
      for (let from = 0; from < entries.length; from += MESSAGE_MAX_ENTRIES) {
        nats?.publish(SUBJECT, JSON.stringify({ replica, entries: entries.slice(from, from + MESSAGE_MAX_ENTRIES) }));
      }
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

const PAYOUTS_PAGE = 500;

/** Tells those who watch of the payouts of a day that was just closed. */
export async function tellOfPayouts(sql: Sql, live: Pick<LiveBalances, 'announce'>, day: string): Promise<void> {
  for (let after: string | null = null; ; ) {
    const page: Awaited<ReturnType<typeof payoutEntries>> = await payoutEntries(sql, day, after, PAYOUTS_PAGE);
    live.announce(page);
    after = page.at(-1)?.id ?? null;
    if (page.length < PAYOUTS_PAGE) return;
  }
}
