import type { Guard } from './guard.ts';

const LEDGER = 'subgraphs/accounting/migrations/2026-11-20-accounting.ts';
const CHECKS = 'subgraphs/accounting/migrations/2026-11-21-ledger-checks.ts';
const IN_ORDER = 'subgraphs/accounting/migrations/2026-11-22-entries-in-order.ts';
const ACCOUNTING_TEST = 'subgraphs/accounting/test/accounting.test.ts';
const LEDGER_TEST = 'subgraphs/accounting/test/ledger-guards.test.ts';

/** What keeps money from being posted twice, or from coming out of nowhere. */
export const LEDGER_GUARDS: readonly Guard[] = [
  {
    name: 'ledger: a posting has its two entries',
    edits: [{ file: CHECKS, find: 'then posting.to_account else posting.from_account end) <> 2', replace: 'then posting.to_account else posting.from_account end) < 0' }],
    test: ACCOUNTING_TEST,
    named: 'without its two entries',
  },
  {
    name: 'ledger: a balance is what the last entry left',
    edits: [{ file: CHECKS, find: 'where account.balance <> coalesce(entries.balance_after, 0)', replace: 'where false' }],
    test: ACCOUNTING_TEST,
    named: 'what the last entry left',
  },
  {
    name: 'ledger: an account counts all its entries',
    edits: [{ file: CHECKS, find: 'and later.number > account.entry_count)', replace: 'and false)' }],
    test: LEDGER_TEST,
    named: 'counts fewer entries',
  },
  {
    name: 'ledger: an entry continues the one before it',
    edits: [{ file: IN_ORDER, find: 'entry.balance_after = entry.amount + coalesce(before.balance_after, 0) and', replace: 'true and' }, { file: IN_ORDER, find: 'balance_after = amount + balance_before and', replace: 'true and' }],
    test: LEDGER_TEST,
    named: 'does not continue',
  },
  {
    name: 'ledger: entries are numbered without gaps',
    edits: [{ file: IN_ORDER, find: 'and (entry.number = 1 or before.id is not null)', replace: '' }, { file: IN_ORDER, find: ' and number = number_before + 1', replace: '' }],
    test: LEDGER_TEST,
    named: 'leaves a number out',
  },
  {
    name: 'ledger: an entry is counted by its account',
    edits: [{ file: IN_ORDER, find: 'where accounts.id is null or accounts.entry_count < last.number limit 1', replace: 'where false limit 1' }],
    test: LEDGER_TEST,
    named: 'not counted',
  },
  {
    name: 'ledger: an entry belongs to a posting',
    edits: [{ file: IN_ORDER, find: 'where not exists (select from postings where postings.id = entry.posting_id) limit 1', replace: 'where false limit 1' }],
    test: LEDGER_TEST,
    named: 'belongs to no posting',
  },
  {
    name: 'ledger: accounts are kept',
    edits: [{ file: CHECKS, find: 'before delete or truncate on accounts', replace: 'before truncate on accounts' }],
    test: LEDGER_TEST,
    named: 'accounts can’t be deleted',
  },
  {
    name: 'ledger: postings and entries are append-only',
    edits: [{ file: LEDGER, find: 'before update or delete or truncate on ${table}', replace: 'before truncate on ${table}' }],
    test: ACCOUNTING_TEST,
    named: 'updated, deleted or truncated',
  },
  {
    name: 'causes: unique in the database',
    edits: [{ file: LEDGER, find: 'cause text not null unique,', replace: 'cause text not null,' }],
    test: ACCOUNTING_TEST,
    named: 'the same cause is posted once',
  },
  {
    name: 'causes: posted once, whatever the ids',
    edits: [{ file: 'subgraphs/accounting/src/posting.ts', find: '!causes.has(cause) && causes.add(cause)', replace: 'causes.add(cause)' }],
    test: ACCOUNTING_TEST,
    named: 'charges nobody twice',
  },
];
