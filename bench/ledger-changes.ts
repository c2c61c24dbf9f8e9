import type { ServiceDatabase } from '../operations/connections.ts';
import type { Arrival } from './ledger-watchers.ts';

/** An account that somebody watches. */
export interface Account {
  readonly id: string;
  readonly ownerId: string;
}

/** A change that was asked for. All moments are in ms since the epoch. */
export interface Sent {
  readonly accountId: string;
  /** Of the posting that it leads to. */
  readonly cause: string;
  readonly sentAt: number;
}

/** A change that arrived where it should, and when. */
export interface Change {
  readonly sentAt: number;
  readonly postedAt: number;
  readonly announcedAt: number;
  readonly arrivedAt: number;
}

interface Evidence {
  readonly accounting: ServiceDatabase;
  /** In the order of their watchers. */
  readonly accounts: readonly Account[];
  readonly sent: readonly Sent[];
  readonly arrivals: readonly Arrival[];
  /** By the id of the entry. */
  readonly announced: ReadonlyMap<string, number>;
}

interface EntryRow {
  readonly id: string;
  readonly cause: string;
  readonly account_id: string;
  readonly balance: string;
  readonly posted_at: Date;
}

/** Compares what was sent with the ledger, and both with what arrived at whom. @returns what is wrong, in sentences */
export async function judge({ accounting, accounts, sent, arrivals, announced }: Evidence): Promise<{ changes: Change[]; wrong: string[] }> {
  const rows = await accounting.rows<EntryRow>(
    `select entries.id, cause, account_id, balance_after as balance, posted_at from postings join entries on posting_id = postings.id and side = -1 where cause = any($1::text[])`,
    [sent.map(({ cause }) => cause)],
  );
  const entries = new Map(rows.map((row) => [row.cause, row]));
  const arrived = Map.groupBy(arrivals, ({ entryId }) => entryId);
  const count = { notPosted: 0, lost: 0, doubled: 0, elsewhere: 0, other: 0 };
  const changes: Change[] = [];
  for (const { accountId, cause, sentAt } of sent) {
    const entry = entries.get(cause);
    if (entry === undefined) {
      count.notPosted += 1;
      continue;
    }
    const [first, ...more] = arrived.get(entry.id) ?? [];
    arrived.delete(entry.id);
    if (first === undefined) count.lost += 1;
    else if (more.length > 0) count.doubled += 1;
    else if (accounts[first.watcher]?.id !== accountId || entry.account_id !== accountId) count.elsewhere += 1;
    else if (first.balance !== Number(entry.balance)) count.other += 1;
    else changes.push({ sentAt, postedAt: entry.posted_at.getTime(), announcedAt: announced.get(entry.id) ?? Number.NaN, arrivedAt: first.at });
  }
  const sentences = [
    [count.notPosted, 'changes were not posted'],
    [count.lost, 'changes did not reach the one who watches the account'],
    [count.doubled, 'changes came more than once'],
    [count.elsewhere, 'changes came to somebody else'],
    [count.other, 'changes came with another balance than they left'],
    [arrived.size, 'changes came that nobody asked for'],
  ] as const;
  return { changes, wrong: sentences.filter(([many]) => many > 0).map(([many, sentence]) => `${many} ${sentence}`) };
}
