import type { Guard } from './guard.ts';

const SRC = 'subgraphs/accounting/src';
const CLOSING_TEST = 'subgraphs/accounting/test/closing.test.ts';
const MAILER_TEST = 'subgraphs/accounting/test/mailer.test.ts';
const TABLES = 'subgraphs/accounting/migrations/2026-11-21-closing.ts';

/** What keeps a day from being closed wrongly or twice, and a mail from being lost. */
export const CLOSING_GUARDS: readonly Guard[] = [
  {
    name: 'close: whoever posts keeps the close out',
    edits: [{ file: `${SRC}/day-register.ts`, find: 'await sql.later(`select pg_advisory_xact_lock_shared(${POSTING_GATE})`);', replace: 'await sql.later(`select ${POSTING_GATE}`);' }],
    test: CLOSING_TEST,
    named: 'waits for what is being posted',
  },
  {
    name: 'close: whoever closes keeps posting out',
    edits: [{ file: `${SRC}/day-register.ts`, find: 'await sql(`select pg_advisory_xact_lock(${POSTING_GATE})`);', replace: '' }],
    test: CLOSING_TEST,
    named: 'waits for what is being posted',
  },
  {
    name: 'close: everything that the marker counts is posted',
    edits: [{ file: `${SRC}/day-closing.ts`, find: 'has === null || needs === null || has === needs', replace: 'has !== undefined' }],
    test: CLOSING_TEST,
    named: 'that the marker counts are posted',
  },
  {
    name: 'close: looks again behind the gate',
    edits: [{ file: `${SRC}/closing.ts`, find: 'next === null || next.day !== day || whatIsMissing(next) !== null', replace: 'next === null' }],
    test: CLOSING_TEST,
    named: 'waits for what is being posted',
  },
  {
    name: 'close: days come in order',
    edits: [{ file: `${SRC}/day-register.ts`, find: "next_business_day((select max(day) from day_closings where closed_at is not null), $1)", replace: '(select min(day) from day_closings where closed_at is null and ended_at is not null)' }],
    test: CLOSING_TEST,
    named: 'leaves out no day',
  },
  {
    name: 'close: what is of later days is not paid',
    edits: [{ file: `${SRC}/closing.ts`, find: 'balance - coalesce(later.amount, 0) as closing', replace: 'balance as closing' }],
    test: CLOSING_TEST,
    named: 'not what the next one has brought',
  },
  {
    name: 'close: what comes late goes to the first open day',
    edits: [{ file: `${SRC}/day-register.ts`, find: 'day > closedThrough ?', replace: "day > '' ?" }],
    test: CLOSING_TEST,
    named: 'marked late',
  },
  {
    name: 'close: a closed day takes no postings',
    edits: [{ file: TABLES, find: "where kind <> 'PAYOUT' and business_day <= (select max(day)", replace: "where false and business_day <= (select max(day)" }],
    test: CLOSING_TEST,
    named: 'takes no posting any more',
  },
  {
    name: 'close: a closed day keeps its totals',
    edits: [{ file: TABLES, find: 'if old.closed_at is not null and', replace: 'if false and' }],
    test: CLOSING_TEST,
    named: 'can’t be undone',
  },
  {
    name: 'close: a day is requested once',
    edits: [{ file: `${SRC}/day-register.ts`, find: 'where day = $1 and requested_at is null and ended_at is null returning', replace: 'where day = $1 returning' }],
    test: CLOSING_TEST,
    named: 'asked for a hundred times',
  },
  {
    name: 'mail: claimed by one sender',
    edits: [{ file: `${SRC}/mail-queue.ts`, find: 'for update skip locked', replace: '' }],
    test: MAILER_TEST,
    named: '',
  },
  {
    name: 'mail: settled by its last attempt only',
    edits: [{ file: `${SRC}/mail-queue.ts`, find: "where id = $1 and attempts = $2 and status = 'SENDING' returning id", replace: 'where id = $1 and attempts >= $2 returning id' }],
    test: MAILER_TEST,
    named: '',
  },
];
