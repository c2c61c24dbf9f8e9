import type { Database, Sql } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { createLatch, pause } from '@ates/shared-events/pause';
import { CANONICAL_TEXT, FIRST_HASH } from './chain.ts';

export interface SealingOptions {
  readonly database: Pick<Database, 'sql' | 'sqlTransaction'>;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** Called after each look: several times a second while there is something to seal. */
  readonly onRun?: (run: SealingRun) => void;
}

/** How a look ended. */
export interface SealingRun {
  readonly day: null;
  readonly outcome: 'NOTHING_TO_DO' | 'DONE' | 'FAILED';
  /** For people; what to do next, if there is anything to do. */
  readonly message: string | null;
  /** Entries that this look sealed. */
  readonly sealed: number;
  readonly at: Date;
}

export interface SealingFacts {
  /** Entries that this replica sealed since it started. */
  readonly sealed: number;
  /** Entries that weren't sealed when this replica looked last, by whichever replica. */
  readonly behind: number;
  /** Accounts that can't be sealed any further, because their rows contradict one another: an alarm. */
  readonly refused: number;
  readonly lookedAt: Date | null;
}

export interface Sealing {
  /** Looks soon: called after whatever posts. Any number of calls make one look. */
  look(): void;
  facts(): SealingFacts;
  /** Ends after the batch that is under way. */
  stop(): Promise<void>;
}

/** Held by whoever seals, for one batch: replicas take turns. */
const SEALING_LOCK = 7_061_022;
const LOOK_EVERY_MS = 5_000;
const PAUSE_MS = 1_000;
/** Finding what lags reads every account, and so takes longer the more there are: it may take a tenth of the time at most. */
const PAUSE_PER_SEARCH = 9;
const BATCH_MAX_ENTRIES = 10_000;
/** So many of the accounts that lag are looked after before the others are found. */
const ACCOUNTS_MAX = 50_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/**
 * Seals entries close behind their posting: looks at once, when it is told to, and every 5 s. It locks nothing that posting needs. Any
 * number of replicas may run it; an entry gets its hash once, after the one before it in its account. A batch that is lost with
 * its process or its connection leaves nothing behind.
 */
export function startSealing(options: SealingOptions): Sealing {
  const { database, clock, logger, onRun } = options;
  const stopping = new AbortController();
  const asked = createLatch();
  let facts: SealingFacts = { sealed: 0, behind: 0, refused: 0, lookedAt: null };
  const look = async (): Promise<Look> => {
    const seen = await sealWhatLags(database, stopping.signal);
    facts = { sealed: facts.sealed + seen.sealed, behind: seen.behind, refused: seen.refusals.length, lookedAt: clock() };
    const [refusal] = seen.refusals;
    if (refusal !== undefined) logger.error({ refused: seen.refusals.length, first: refusal }, `the ledger can't be sealed further: ${messageOf(refusal)}`);
    onRun?.({ day: null, outcome: outcomeOf(seen), message: refusal === undefined ? null : messageOf(refusal), sealed: seen.sealed, at: clock() });
    return seen;
  };
  const failed = (error: unknown): Look => {
    logger.error({ err: error }, 'entries could not be sealed, the next look tries again');
    onRun?.({ day: null, outcome: 'FAILED', message: 'entries could not be sealed, the next look tries again', sealed: 0, at: clock() });
    return { sealed: 0, behind: 0, refusals: [], searchMs: 0, hasMore: false };
  };
  const working = (async () => {
    while (!stopping.signal.aborted) {
      const { hasMore, searchMs } = await look().catch(failed);
      await pause(hasMore ? PAUSE_MS : Math.max(PAUSE_MS, searchMs * PAUSE_PER_SEARCH), stopping.signal);
      if (!hasMore) await asked.wait(LOOK_EVERY_MS, stopping.signal);
    }
  })();
  return {
    look: asked.set,
    facts: () => facts,
    stop: async () => {
      stopping.abort();
      await working;
    },
  };
}

/** An account that can't be sealed any further. */
interface Refusal {
  readonly accountId: string;
  /** Of the entry that would be sealed next. */
  readonly number: number;
  readonly why: 'HEAD' | 'GAP';
}

interface Look {
  readonly sealed: number;
  readonly behind: number;
  readonly refusals: readonly Refusal[];
  readonly searchMs: number;
  /** Whether there was more than one look takes up, or another replica sealed meanwhile. */
  readonly hasMore: boolean;
}

interface Lagging {
  readonly accountId: string;
  /** How many entries aren't sealed. */
  readonly lag: number;
}

function messageOf({ accountId, number, why }: Refusal): string {
  const contradiction = why === 'HEAD' ? 'how far it is sealed contradicts its last seal' : `its entry ${number} or that one's posting is missing`;
  return `account ${accountId}: ${contradiction}; run: npm run -s ledger -- verify`;
}

function outcomeOf({ sealed, refusals }: Look): SealingRun['outcome'] {
  if (refusals.length > 0) return 'FAILED';
  return sealed > 0 ? 'DONE' : 'NOTHING_TO_DO';
}

/** Seals what lags now, batch by batch. */
async function sealWhatLags(database: SealingOptions['database'], stopped: AbortSignal): Promise<Look> {
  const begun = performance.now();
  const { lagging, behind } = await database.sqlTransaction(findLagging);
  const searchMs = performance.now() - begun;
  const refusals: Refusal[] = [];
  let sealed = 0;
  let isElsewhere = false;
  for (const batch of batchesOf(lagging)) {
    if (stopped.aborted) break;
    const outcome = await database.sqlTransaction((sql) => sealBatch(sql, batch));
    isElsewhere = outcome === null;
    if (outcome === null) break;
    sealed += outcome.sealed;
    refusals.push(...outcome.refusals);
  }
  const hasMore = isElsewhere || (lagging.length === ACCOUNTS_MAX && sealed > 0);
  return { sealed, behind: behind - sealed, refusals: [...new Map(refusals.map((refusal) => [refusal.accountId, refusal])).values()], searchMs, hasMore };
}

/** The accounts that have entries without seals; a hint: each batch looks again at its own. */
async function findLagging(sql: Sql): Promise<{ lagging: Lagging[]; behind: number }> {
  await sql(`select set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true)`);
  const rows = await sql<Lagging & { behind: string }>(
    `select accounts.id as "accountId", entry_count - coalesce(number, 0) as lag, sum(entry_count - coalesce(number, 0)) over () as behind
     from accounts left join sealed_accounts on account_id = accounts.id
     where entry_count > coalesce(number, 0) limit ${ACCOUNTS_MAX}`,
  );
  return { lagging: rows, behind: Number(rows[0]?.behind ?? 0) };
}

/** Of each account what is left of it, of as many accounts as fit into a batch. */
function* batchesOf(lagging: readonly Lagging[]): Generator<Lagging[]> {
  let batch: Lagging[] = [];
  let room = BATCH_MAX_ENTRIES;
  for (const { accountId, lag } of lagging) {
    for (let left = lag; left > 0;) {
      const taken = Math.min(left, room);
      batch.push({ accountId, lag: taken });
      [left, room] = [left - taken, room - taken];
      if (room > 0) continue;
      yield batch;
      [batch, room] = [[], BATCH_MAX_ENTRIES];
    }
  }
  if (batch.length > 0) yield batch;
}

/**
 * Everything is found by its key, whatever the planner believes of the tables. What is lost with the server's memory is sealed again,
 * to the same hashes: nobody has to wait for the disk.
 */
const BEGIN_BATCH = `select pg_try_advisory_xact_lock(${SEALING_LOCK}) as taken, set_config('statement_timeout', '${STATEMENT_TIMEOUT_MS}', true),
  ${['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'synchronous_commit'].map((name) => `set_config('${name}', 'off', true)`).join(', ')}`;

const SEAL_BATCH = `
  with wanted as materialized (
    select wanted.account_id, least(take, entry_count - coalesce(head.number, 0)) as take, coalesce(head.number, 0) as number, coalesce(head.hash, '\\x${FIRST_HASH}') as hash,
      (head.number, head.hash) is not distinct from (last.number, last.hash) as is_trusted
    from unnest($1::uuid[], $2::int[]) as wanted (account_id, take) join accounts on accounts.id = account_id
      left join sealed_accounts as head on head.account_id = wanted.account_id
      left join lateral (select number, hash from entry_seals where entry_seals.account_id = wanted.account_id order by number desc limit 1) as last on true
  ), said as (
    select wanted.account_id, wanted.number as sealed, wanted.hash as previous, entries.number, ${CANONICAL_TEXT} as content
    from wanted cross join lateral (
      select * from entries where entries.account_id = wanted.account_id and entries.number > wanted.number and entries.number <= wanted.number + take
    ) as entries join postings on postings.id = entries.posting_id where is_trusted
  ), chained as (
    select account_id, number, chain_entries(previous, content) over of_account as hash, sealed + row_number() over of_account as expected
    from said window of_account as (partition by account_id order by number rows unbounded preceding)
  ), sealed as (
    insert into entry_seals (account_id, number, hash) select account_id, number, hash from chained where number = expected
    returning account_id, number, hash
  ), heads as (
    insert into sealed_accounts (account_id, number, hash)
    select distinct on (account_id) account_id, number, hash from sealed order by account_id, number desc
    on conflict (account_id) do update set number = excluded.number, hash = excluded.hash
    returning account_id, number
  ), reached as (
    select account_id, bool_and(is_trusted) as is_trusted, max(number) as number, max(goal) as goal from (
      select account_id, is_trusted, number, number + take as goal from wanted union all select account_id, true, number, null from heads
    ) as steps group by account_id
  )
  select (select count(*)::int from sealed) as sealed, coalesce((
    select json_agg(json_build_object('accountId', account_id, 'number', number + 1, 'why', case when is_trusted then 'GAP' else 'HEAD' end))
    from reached where not is_trusted or number < goal
  ), '[]') as refusals`;

/**
 * Seals entries of these accounts, each account's next ones. An account is left as it is when how far it is sealed is not what its last
 * seal says, and sealed no further than to an entry that is missing or has no posting.
 * @returns null when another replica is at it
 */
async function sealBatch(sql: Sql, batch: readonly Lagging[]): Promise<{ sealed: number; refusals: readonly Refusal[] } | null> {
  // By a statement of its own: only the next one sees what the holder before has committed.
  const [lock] = await sql<{ taken: boolean }>(BEGIN_BATCH);
  if (lock?.taken !== true) return null;
  const [outcome] = await sql<{ sealed: number; refusals: Refusal[] }>(SEAL_BATCH, [batch.map(({ accountId }) => accountId), batch.map(({ lag }) => lag)]);
  return outcome ?? { sealed: 0, refusals: [] };
}
