import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { ANN, BOB, type TestLedger } from './sealed-ledger.ts';

/** What somebody with all rights does to the rows, and what is to be found out about it. */
export interface Tampering {
  readonly name: string;
  readonly statements: string;
  /** Which promises of the audit are broken. */
  readonly breaks: readonly ('balanced' | 'chainsIntact')[];
  /** The first row that the command names: whose account's, which entry of it, and what is wrong. */
  readonly account: 'ANN' | 'COMPANY' | null;
  readonly entry: number | null;
  readonly wrong: string;
}

/** Ann's account has four entries: three fees of 10.00, the last one taken back by the fourth. Bob's has three, and the company's all seven. */
export async function fillForTampering(ledger: TestLedger): Promise<void> {
  await ledger.charge(ANN, BOB, ANN, BOB);
  await ledger.chargeAndTakeBack(BOB, ANN);
  await ledger.seal();
  await ledger.save();
}

const ANNS = `(select id from accounts where owner_id = '${ANN}')`;
const BOBS = `(select id from accounts where owner_id = '${BOB}')`;
const entry = (number: number): string => `account_id = ${ANNS} and number = ${number}`;
const postingOf = (number: number): string => `id = (select posting_id from entries where ${entry(number)})`;
const CHANGED = 'was changed after it was sealed';
const INSERTED = '0199a000-0000-7000-8000-000000000099';

const OF_AN_ENTRY: readonly Tampering[] = [
  {
    name: 'the amount of an entry',
    statements: `update entries set amount = amount - 1 where ${entry(2)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 2, wrong: 'its amount in cents is not that of its posting',
  },
  {
    name: 'the balance after an entry',
    statements: `update entries set balance_after = balance_after + 1 where ${entry(2)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 2, wrong: 'the balance after it, in cents, does not follow',
  },
  {
    name: 'the business day of an entry',
    statements: `update entries set business_day = '2026-11-19' where ${entry(3)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 3, wrong: 'its business day is not that of its posting',
  },
  {
    name: 'the id of an entry',
    statements: `update entries set id = '${INSERTED}' where ${entry(1)}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 1, wrong: CHANGED,
  },
  {
    name: 'two entries, swapped',
    statements: `create temp table swapped on commit drop as select * from entries where account_id = ${ANNS} and number in (1, 2);
      delete from entries where id in (select id from swapped);
      insert into entries select id, posting_id, side, account_id, 3 - number, amount, -3000 - balance_after, business_day from swapped`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 1, wrong: CHANGED,
  },
  {
    name: 'an entry of another account, taken over',
    statements: `update entries set account_id = ${BOBS}, number = 4, balance_after = -2000 where ${entry(4)};
      update accounts set entry_count = entry_count - 1, balance = balance - 1000 where id = ${ANNS};
      update accounts set entry_count = entry_count + 1, balance = balance + 1000 where id = ${BOBS}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 3, wrong: 'sealed up to another entry',
  },
  {
    name: 'an entry inserted in the middle, with all that follows from it',
    statements: `update entries set number = number + 100, balance_after = balance_after - 500 where account_id = ${ANNS} and number > 2;
      update entries set number = number - 99 where account_id = ${ANNS} and number > 100;
      insert into postings (id, kind, cause, from_account, to_account, amount, business_day, description, posted_at)
        values ('${INSERTED}', 'FEE', 'fee/inserted', ${ANNS}, '${COMPANY_ACCOUNT}', 500, '2026-11-20', 'Inserted', now());
      insert into entries values
        ('${INSERTED}', '${INSERTED}', -1, ${ANNS}, 3, -500, -2500, '2026-11-20'),
        (uuidv7(), '${INSERTED}', 1, '${COMPANY_ACCOUNT}', 8, 500, (select balance + 500 from accounts where id = '${COMPANY_ACCOUNT}'), '2026-11-20');
      update accounts set entry_count = entry_count + 1, balance = balance + case id when '${COMPANY_ACCOUNT}' then 500 else -500 end where id in (${ANNS}, '${COMPANY_ACCOUNT}')`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 3, wrong: CHANGED,
  },
  {
    name: 'an entry in the middle, deleted',
    statements: `delete from entries where ${entry(2)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 3, wrong: 'entry 2 of the account is missing',
  },
  {
    name: 'the last entry, deleted together with its account’s count and balance',
    statements: `delete from entries where ${entry(4)}; update accounts set entry_count = 3, balance = -3000 where id = ${ANNS}`,
    breaks: ['balanced', 'chainsIntact'], account: 'ANN', entry: 3, wrong: 'sealed up to another entry',
  },
  {
    name: 'the last posting, deleted with its entries, counts, balances and how far they are sealed',
    statements: `create temp table gone on commit drop as select * from entries where posting_id = (select posting_id from entries where ${entry(4)});
      delete from postings where id in (select posting_id from gone); delete from entries where id in (select id from gone);
      update accounts set entry_count = entry_count - 1, balance = balance - gone.amount from gone where gone.account_id = accounts.id;
      update sealed_accounts as head set number = head.number - 1, hash = (select hash from entry_seals as seal where seal.account_id = head.account_id and seal.number = head.number - 1)
        from gone where gone.account_id = head.account_id`,
    breaks: ['chainsIntact'], account: 'COMPANY', entry: 7, wrong: 'it is sealed, but the entry is missing',
  },
];

const OF_A_POSTING: readonly Tampering[] = [
  {
    name: 'the amount of a posting, with all that follows from it',
    statements: `update postings set amount = amount + 1 where ${postingOf(2)};
      update entries set amount = amount + side where posting_id = (select posting_id from entries where ${entry(2)});
      update entries set balance_after = balance_after - 1 where account_id = ${ANNS} and number >= 2;
      update entries set balance_after = balance_after + 1 where account_id = '${COMPANY_ACCOUNT}'
        and number >= (select number from entries where account_id = '${COMPANY_ACCOUNT}' and posting_id = (select posting_id from entries where ${entry(2)}));
      update accounts set balance = balance + case id when '${COMPANY_ACCOUNT}' then 1 else -1 end where id in (${ANNS}, '${COMPANY_ACCOUNT}')`,
    breaks: ['chainsIntact'], account: 'COMPANY', entry: null, wrong: CHANGED,
  },
  ...[`description = 'Fee for nothing'`, `cause = 'fee/changed'`, `posted_at = posted_at + interval '1 microsecond'`, 'task_id = null', `late_for = business_day - 1`].map(
    (change): Tampering => ({
      name: `a posting: ${change}`,
      statements: `update postings set ${change} where ${postingOf(2)}`,
      breaks: ['chainsIntact'], account: 'COMPANY', entry: null, wrong: CHANGED,
    }),
  ),
  {
    name: 'the business day of a posting and its entries',
    statements: `update entries set business_day = '2026-11-21' where posting_id = (select posting_id from entries where ${entry(2)}); update postings set business_day = '2026-11-21' where ${postingOf(2)}`,
    breaks: ['chainsIntact'], account: 'COMPANY', entry: null, wrong: CHANGED,
  },
  {
    name: 'what a reversal takes back',
    statements: `update postings set reverses = (select posting_id from entries where account_id = ${BOBS} and number = 1) where ${postingOf(4)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'COMPANY', entry: 7, wrong: CHANGED,
  },
  {
    name: 'a posting, deleted',
    statements: `delete from postings where ${postingOf(2)}`,
    breaks: ['balanced', 'chainsIntact'], account: 'COMPANY', entry: null, wrong: 'its posting is missing',
  },
  {
    name: 'a posting without entries',
    statements: `insert into postings (id, kind, cause, from_account, to_account, amount, business_day, description, posted_at)
      values ('${INSERTED}', 'FEE', 'fee/inserted', ${ANNS}, '${COMPANY_ACCOUNT}', 500, '2026-11-20', 'Inserted', now())`,
    breaks: ['balanced'], account: null, entry: null, wrong: 'the posting has not one entry on each side',
  },
];

const OF_AN_ACCOUNT: readonly Tampering[] = [
  {
    name: 'the balance of an account',
    statements: `update accounts set balance = balance + 1 where id = ${ANNS}`,
    breaks: ['balanced'], account: 'ANN', entry: 4, wrong: 'the balance of the account, in cents, is not what its entries come to',
  },
  {
    name: 'how many entries an account counts',
    statements: `update accounts set entry_count = 5 where id = ${ANNS}`,
    breaks: ['balanced'], account: 'ANN', entry: 4, wrong: 'the account counts other entries than it has',
  },
  {
    name: 'an account, deleted',
    statements: `delete from accounts where id = ${ANNS}`,
    breaks: ['balanced'], account: 'ANN', entry: 4, wrong: 'the account is sealed, but missing itself',
  },
  {
    name: 'the balance of an account without entries',
    statements: `insert into accounts (id, kind, owner_id, balance) values ('${INSERTED}', 'EMPLOYEE', '${INSERTED}', 5)`,
    breaks: ['balanced'], account: null, entry: null, wrong: 'the balance of the account, in cents, is not what its entries come to',
  },
];

const OF_A_SEAL: readonly Tampering[] = [
  {
    name: 'a seal',
    statements: `update entry_seals set hash = sha256('changed') where ${entry(2)}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 2, wrong: CHANGED,
  },
  {
    name: 'the last seal and the account’s mark of it',
    statements: `update entry_seals set hash = sha256('changed') where ${entry(4)}; update sealed_accounts set hash = sha256('changed') where account_id = ${ANNS}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 4, wrong: CHANGED,
  },
  {
    name: 'a seal in the middle, deleted',
    statements: `delete from entry_seals where ${entry(2)}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 3, wrong: 'it is sealed, and the entry before it is not',
  },
  {
    name: 'the account’s mark of its last seal',
    statements: `update sealed_accounts set hash = sha256('changed') where account_id = ${ANNS}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 4, wrong: 'sealed with another hash than its last seal',
  },
  {
    name: 'how far an account is sealed',
    statements: `delete from sealed_accounts where account_id = ${ANNS}`,
    breaks: ['chainsIntact'], account: 'ANN', entry: 4, wrong: 'sealed up to another entry',
  },
];

export const TAMPERINGS: readonly Tampering[] = [...OF_AN_ENTRY, ...OF_A_POSTING, ...OF_AN_ACCOUNT, ...OF_A_SEAL];
