import type { Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { CANONICAL_TEXT, FIRST_HASH } from './chain.ts';

export interface LedgerAudit {
  /** Every posting has its two entries, entries sum to zero, continue one another, and leave what their accounts say; reversals take back whole postings. */
  readonly balanced: boolean;
  /** The seals are those of the entries as they are now, from each account's first one on. Entries without a seal yet are no fault. */
  readonly chainsIntact: boolean;
  readonly entries: number;
  readonly sealedEntries: number;
}

export interface LedgerAuditLimits {
  /** How long all of it may take, in ms. */
  readonly limitMs?: number;
}

/** Less than the gateway waits for a subgraph. */
const LIMIT_MS = 8_000;
/** Each of several at a time. */
const WORK_MEMORY = '32MB';
const CANCELED = '57014';

/**
 * Checks the whole ledger by its rows, with no stored balance, count or hash taken on trust. Takes 10 to 20 s for a million
 * entries; larger ledgers are for `npm run -s ledger -- verify`, which also names the first row that is wrong. Waits for nobody, and
 * nobody waits for it.
 * @param sql of a transaction of its own, in which nothing was asked yet: it becomes one snapshot, read only
 * @throws DomainError SERVICE_UNAVAILABLE when it takes longer than `limitMs` (default 8 s)
 */
export async function ledgerAudit(sql: Sql, { limitMs = LIMIT_MS }: LedgerAuditLimits = {}): Promise<LedgerAudit> {
  const deadline = performance.now() + limitMs;
  await sql('set transaction isolation level repeatable read, read only');
  // All rows of all tables are read: looking each up by its key takes longer, and the planner can't know how few are wrong.
  await sql(`select set_config('enable_nestloop', 'off', true), set_config('work_mem', '${WORK_MEMORY}', true)`);
  const ask = async <Row>(text: string): Promise<Row | undefined> => {
    const leftMs = Math.floor(deadline - performance.now());
    if (leftMs < 1) throw tookTooLong(limitMs);
    await sql(`select set_config('statement_timeout', '${leftMs}', true)`);
    const [row] = await sql<Row>(text).catch((error: unknown) => {
      throw (error as { code?: unknown }).code === CANCELED ? tookTooLong(limitMs) : error;
    });
    return row;
  };
  const isClean = async (checks: readonly string[]): Promise<boolean> => {
    for (const check of checks) {
      // Counted rather than asked whether there are any: for the first one of many the planner would choose a way that is slow for none.
      const row = await ask<{ wrong: string }>(`select count(*) as wrong from (${check}) as wrong`);
      if (row?.wrong !== '0') return false;
    }
    return true;
  };
  const counts = await ask<{ entries: string; sealed: string }>('select (select count(*) from entries) as entries, (select count(*) from entry_seals) as sealed');
  return {
    balanced: await isClean([SUM_NOT_ZERO, POSTING_WITHOUT_ITS_ENTRIES, ENTRY_WITHOUT_POSTING, ENTRY_OUT_OF_LINE, ACCOUNT_UNLIKE_ITS_ENTRIES, REVERSAL_NOT_WHOLE]),
    chainsIntact: await isClean([SEAL_UNLIKE_ITS_ENTRY, HEAD_UNLIKE_ITS_SEAL]),
    entries: Number(counts?.entries),
    sealedEntries: Number(counts?.sealed),
  };
}

function tookTooLong(limitMs: number): DomainError {
  return new DomainError('SERVICE_UNAVAILABLE', `The ledger is too large to be checked within ${limitMs / 1_000} s: use npm run ledger -- verify`);
}

const SUM_NOT_ZERO = 'select from entries having sum(amount) <> 0';

/** Counted rather than joined once per side: what keeps a side from being there twice is not trusted either. */
const POSTING_WITHOUT_ITS_ENTRIES = `
  select from postings left join entries on entries.posting_id = postings.id
    and entries.amount = entries.side * postings.amount and entries.business_day = postings.business_day
    and entries.account_id = case entries.side when 1 then to_account when -1 then from_account end
  group by postings.id, postings.amount having count(*) filter (where side = 1) <> 1 or count(*) filter (where side = -1) <> 1 or postings.amount <= 0`;

/** An entry that its posting does not count above. */
const ENTRY_WITHOUT_POSTING = `
  select from entries left join postings on postings.id = entries.posting_id
  where (entries.amount = entries.side * postings.amount and entries.business_day = postings.business_day
    and entries.account_id = case entries.side when 1 then to_account when -1 then from_account end) is not true`;

const ENTRY_OUT_OF_LINE = `
  select from (
    select number, balance_after, row_number() over of_account as place, sum(amount) over of_account as balance
    from entries window of_account as (partition by account_id order by number rows unbounded preceding)
  ) as entry where number <> place or balance_after <> balance`;

const ACCOUNT_UNLIKE_ITS_ENTRIES = `
  select from accounts full join (select account_id, count(*) as entry_count, sum(amount) as balance from entries group by account_id) as entered
    on entered.account_id = accounts.id
  where accounts.id is null or accounts.entry_count <> coalesce(entered.entry_count, 0) or accounts.balance <> coalesce(entered.balance, 0)`;

const REVERSAL_NOT_WHOLE = `
  select from postings as reversal left join postings as original on original.id = reversal.reverses
  where (reversal.kind = 'REVERSAL' or reversal.reverses is not null)
    and (reversal.kind = 'REVERSAL' and reversal.reason is not null and original.kind <> 'REVERSAL' and original.amount = reversal.amount
      and original.from_account = reversal.to_account and original.to_account = reversal.from_account) is not true
  union all
  select from postings where reverses is not null group by reverses having count(*) > 1`;

/**
 * Each seal is made again of its entry and of the seal before it; the first ones have none. That all of them are right one by one is
 * that the whole chain is.
 */
const SEAL_UNLIKE_ITS_ENTRY = `
  select from entry_seals as seal
    left join entry_seals as previous on previous.account_id = seal.account_id and previous.number = seal.number - 1
    left join entries on entries.account_id = seal.account_id and entries.number = seal.number
    left join postings on postings.id = entries.posting_id
  where postings.id is null or (previous.hash is null) <> (seal.number = 1)
    or seal.hash <> sha256(convert_to(${CANONICAL_TEXT} || E'\\n' || coalesce(encode(previous.hash, 'hex'), '${FIRST_HASH}'), 'UTF8'))`;

const HEAD_UNLIKE_ITS_SEAL = `
  select from sealed_accounts as head full join (select account_id, max(number) as number from entry_seals group by account_id) as last on last.account_id = head.account_id
    left join entry_seals as seal on seal.account_id = last.account_id and seal.number = last.number
  where head.number is distinct from last.number or head.hash is distinct from seal.hash`;
