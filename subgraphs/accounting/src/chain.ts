import { hash } from 'node:crypto';

/**
 * The chain of hashes over an account's entries. An entry's hash is made of everything that the entry and its posting say and of the
 * hash of the entry before it in the same account, so that whoever changes, removes, inserts or swaps entries has to change every
 * hash after them too. With any other tool:
 *
 *     hash(n) = lower-case hex of SHA-256 of the UTF-8 text  json(n) + "\n" + hash(n - 1)
 *     hash(0) = 64 zeros
 *
 * json(n) is a JSON array without white space of the 20 values below, in their order, each a string or null. In a string only `"`, `\`
 * and the characters below U+0020 are escaped, those as \b \f \n \r \t or else \u00xx, in lower case. Numbers are whole and decimal,
 * money is in cents, ids are in lower case, days are YYYY-MM-DD, `postedAt` is in UTC with microseconds: 2026-11-20T10:00:00.000000Z.
 * In psql `select` CANONICAL_TEXT `from` CHAINED_ROWS gives them; then `printf '%s\n%s' "$json" "$previous" | sha256sum`.
 */
export const CHAINED_COLUMNS = {
  entryId: 'entries.id::text',
  postingId: 'entries.posting_id::text',
  side: 'entries.side::text',
  accountId: 'entries.account_id::text',
  number: 'entries.number::text',
  amount: 'entries.amount::text',
  balanceAfter: 'entries.balance_after::text',
  businessDay: day('entries.business_day'),
  kind: 'postings.kind',
  cause: 'postings.cause',
  fromAccount: 'postings.from_account::text',
  toAccount: 'postings.to_account::text',
  postingAmount: 'postings.amount::text',
  taskId: 'postings.task_id::text',
  postingDay: day('postings.business_day'),
  description: 'postings.description',
  reverses: 'postings.reverses::text',
  reason: 'postings.reason',
  lateFor: day('postings.late_for'),
  postedAt: `to_char(postings.posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
} as const;

/** Where the columns come from; an entry without its posting has nulls for it. */
export const CHAINED_ROWS = 'entries left join postings on postings.id = entries.posting_id';

/** json(n), made by PostgreSQL. */
export const CANONICAL_TEXT = `array_to_json(array[${Object.values(CHAINED_COLUMNS).join(', ')}])::text`;

/** The hash before that of an account's first entry. */
export const FIRST_HASH = '0'.repeat(64);

type ChainedField = keyof typeof CHAINED_COLUMNS;

/** What PostgreSQL says of an entry and its posting, each value as CHAINED_COLUMNS gives it. */
export type ChainedEntry = Readonly<Record<ChainedField, string | null>>;

const FIELDS = Object.keys(CHAINED_COLUMNS) as ChainedField[];

/** json(n), made without PostgreSQL. */
export function canonicalText(entry: ChainedEntry): string {
  return JSON.stringify(FIELDS.map((field) => entry[field]));
}

/** The entry's hash, in hex. @param previous that of the entry before it in the same account, FIRST_HASH for the first */
export function entryHash(previous: string, entry: ChainedEntry): string {
  return hash('sha256', `${canonicalText(entry)}\n${previous}`, 'hex');
}

/** Independent of the session's DateStyle and time zone. */
function day<Column extends string>(column: Column) {
  return `to_char(${column}::timestamp, 'YYYY-MM-DD')` as const;
}
