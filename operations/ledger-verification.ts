import { CHAINED_COLUMNS, CHAINED_ROWS } from '../subgraphs/accounting/src/chain.ts';
import type { ServiceDatabase } from './connections.ts';
import { LedgerWalk, type Finding, type WalkCounts, type WalkedAccount, type WalkedEntry } from './ledger-walk.ts';

export interface Verification {
  /** The first row that is wrong; null when the ledger is whole. */
  readonly finding: Finding | null;
  readonly counts: WalkCounts & { readonly postings: number };
}

const PAGE_ENTRIES = 5_000;
const PAGE_ACCOUNTS = 1_000;
const WORK_MEMORY = '64MB';

const COLUMNS = Object.entries(CHAINED_COLUMNS).map(([name, column]) => `${column} as "${name}"`).join(', ');

const ENTRIES = `
  select ${COLUMNS}, postings.id::text as "foundPosting", encode(entry_seals.hash, 'hex') as seal
  from ${CHAINED_ROWS} left join entry_seals on entry_seals.account_id = entries.account_id and entry_seals.number = entries.number
  order by entries.account_id, entries.number, entries.id`;

const ACCOUNTS = `
  select coalesce(accounts.id, sealed_accounts.account_id)::text as id, balance::text, entry_count::text as "entryCount",
    number::text as "headNumber", encode(hash, 'hex') as "headHash"
  from accounts full join sealed_accounts on sealed_accounts.account_id = accounts.id order by 1`;

const POSTING = `null as number, null as "entryId", postings.id::text as "postingId", ${CHAINED_COLUMNS.postingDay} as "businessDay", postings.description`;

/** What the walk along the entries can't see: rows that have none. The first one of each, in the order in which they were posted or numbered. */
const WITHOUT_ENTRIES = [
  `select account_id::text as "accountId", number::text, null as "entryId", null as "postingId", null as "businessDay", null as description,
     'it is sealed, but the entry is missing' as what, 'an entry' as expected, 'none' as found
   from entry_seals where not exists (select from entries where entries.account_id = entry_seals.account_id and entries.number = entry_seals.number)
   order by entry_seals.account_id, entry_seals.number limit 1`,
  `select null as "accountId", ${POSTING}, 'the posting has not one entry on each side' as what, '1 and 1' as expected,
     coalesce(sides.taken, 0) || ' and ' || coalesce(sides.given, 0) as found
   from postings left join (
     select posting_id, count(*) filter (where side = -1) as taken, count(*) filter (where side = 1) as given from entries group by posting_id
   ) as sides on sides.posting_id = postings.id
   where coalesce(sides.taken, 0) <> 1 or coalesce(sides.given, 0) <> 1 order by posted_at, postings.id limit 1`,
  `select null as "accountId", ${POSTING}, 'the reversal does not take back a posting, whole' as what,
     'the reverse of ' || coalesce(postings.reverses::text, 'a posting') as expected,
     coalesce(original.kind || ', ' || original.amount || ' cents from ' || original.from_account || ' to ' || original.to_account, 'no such posting') as found
   from postings left join postings as original on original.id = postings.reverses
   where (postings.kind = 'REVERSAL' or postings.reverses is not null)
     and (postings.kind = 'REVERSAL' and postings.reason is not null and original.kind <> 'REVERSAL' and original.amount = postings.amount
       and original.from_account = postings.to_account and original.to_account = postings.from_account) is not true
   order by postings.posted_at, postings.id limit 1`,
  `select null as "accountId", ${POSTING}, 'the posting is taken back once more' as what, 'one reversal of ' || reverses as expected, 'one before it' as found
   from (select *, row_number() over (partition by reverses order by posted_at, id) as time from postings where reverses is not null) as postings
   where time > 1 order by posted_at, id limit 1`,
];

/**
 * Recomputes the whole ledger from its rows, as they are at one moment, up to the first one that is wrong. Reads them through cursors, so
 * memory does not grow with the ledger; changes nothing and locks nothing.
 * @param onProgress told how many entries of how many have been walked along
 */
export function verifyLedger(database: ServiceDatabase, onProgress: (entries: number, of: number) => void): Promise<Verification> {
  return database.transaction(async () => {
    await database.rows('set transaction isolation level repeatable read, read only');
    // Every row is read once, in order: not as soon as possible, but all of them as quickly as possible.
    const settings = { statement_timeout: '0', idle_in_transaction_session_timeout: '0', cursor_tuple_fraction: '1', enable_nestloop: 'off', work_mem: WORK_MEMORY };
    await database.rows(`select ${Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', true)`).join(', ')}`);
    const [totals] = await database.rows<{ entries: string; postings: string }>('select (select sum(entry_count) from accounts) as entries, (select count(*) from postings) as postings');
    const walk = new LedgerWalk(each(pages<WalkedAccount>(database, { cursor: 'walked_accounts', query: ACCOUNTS, size: PAGE_ACCOUNTS })));
    const finding = (await walkAlong(database, walk, (entries) => onProgress(entries, Number(totals?.entries)))) ?? (await lookBeside(database));
    return { finding, counts: { ...walk.counts, postings: Number(totals?.postings) } };
  });
}

async function walkAlong(database: ServiceDatabase, walk: LedgerWalk, onProgress: (entries: number) => void): Promise<Finding | null> {
  for await (const page of pages<WalkedEntry>(database, { cursor: 'walked_entries', query: ENTRIES, size: PAGE_ENTRIES })) {
    const finding = await walk.enter(page);
    if (finding !== null) return finding;
    onProgress(walk.counts.entries);
  }
  return walk.end();
}

async function lookBeside(database: ServiceDatabase): Promise<Finding | null> {
  for (const query of WITHOUT_ENTRIES) {
    const [finding] = await database.rows<Finding>(query);
    if (finding !== undefined) return finding;
  }
  return null;
}

/** What a query gives, page by page; the next one is fetched while one is looked at. */
async function* pages<Row>(database: ServiceDatabase, { cursor, query, size }: { readonly cursor: string; readonly query: string; readonly size: number }): AsyncGenerator<Row[], undefined> {
  await database.rows(`declare ${cursor} no scroll cursor for ${query}`);
  const fetchPage = (): Promise<Row[]> => {
    const page = database.rows<Row>(`fetch ${size} from ${cursor}`);
    // Looked at later, or never when something is found before.
    page.catch(() => {});
    return page;
  };
  let coming = fetchPage();
  for (;;) {
    const page = await coming;
    if (page.length === 0) return undefined;
    coming = fetchPage();
    yield page;
  }
}

async function* each<Row>(paged: AsyncIterable<readonly Row[]>): AsyncGenerator<Row, undefined> {
  for await (const page of paged) yield* page;
  return undefined;
}
