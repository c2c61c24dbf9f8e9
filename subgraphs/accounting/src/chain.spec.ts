import { expect, test } from '@jest/globals';
import { canonicalText, entryHash, FIRST_HASH, type ChainedEntry } from './chain.ts';

const ENTRY: ChainedEntry = {
  entryId: '0199a000-0000-7000-8000-000000000001',
  postingId: '0199a000-0000-7000-8000-000000000002',
  side: '-1',
  accountId: '0199a000-0000-7000-8000-000000000003',
  number: '1',
  amount: '-1250',
  balanceAfter: '-1250',
  businessDay: '2026-11-20',
  kind: 'FEE',
  cause: 'fee/0199a000-0000-7000-8000-000000000004/1',
  fromAccount: '0199a000-0000-7000-8000-000000000003',
  toAccount: '00000000-0000-7000-8000-000000000001',
  postingAmount: '1250',
  taskId: null,
  postingDay: '2026-11-20',
  description: 'Fee for “Ärger” \\ "now"\n\u0001\u007F🦜',
  reverses: null,
  reason: null,
  lateFor: '2026-11-19',
  postedAt: '2026-11-20T10:00:00.000123Z',
};
/** As they came out of Python (json.dumps, hashlib), so that nothing here tests itself. */
const TEXT =
  '["0199a000-0000-7000-8000-000000000001","0199a000-0000-7000-8000-000000000002","-1","0199a000-0000-7000-8000-000000000003","1","-1250","-1250","2026-11-20","FEE","fee/0199a000-0000-7000-8000-000000000004/1","0199a000-0000-7000-8000-000000000003","00000000-0000-7000-8000-000000000001","1250",null,"2026-11-20","Fee for “Ärger” \\\\ \\"now\\"\\n\\u0001\u007F🦜",null,null,"2026-11-19","2026-11-20T10:00:00.000123Z"]';
const HASH = '2866a6a427367574678b19964e3027c4592ac6791e4761762b03a891f1c673b3';
const HASH_AFTER_THAT = '06522ba53983496b060e91527d39cae631ad8cef963ff222688b0c960c5a52b8';

test('an entry’s text is the documented one', () => {
  expect(canonicalText(ENTRY)).toBe(TEXT);
});

test('the same entry has the same hash for ever, as other tools compute it', () => {
  expect(entryHash(FIRST_HASH, ENTRY)).toBe(HASH);
  expect(entryHash(HASH, ENTRY)).toBe(HASH_AFTER_THAT);
});

test('every value counts, and its place', () => {
  const hashes = (Object.keys(ENTRY) as (keyof ChainedEntry)[]).flatMap((field) => [
    entryHash(FIRST_HASH, { ...ENTRY, [field]: ENTRY[field] === null ? '' : null }),
    entryHash(FIRST_HASH, { ...ENTRY, [field]: `${ENTRY[field]}","` }),
  ]);
  expect(new Set([HASH, ...hashes]).size).toBe(1 + hashes.length);
  expect(entryHash(FIRST_HASH, { ...ENTRY, amount: '-125', number: '10' })).not.toBe(entryHash(FIRST_HASH, { ...ENTRY, amount: '-1250', number: '1' }));
});
