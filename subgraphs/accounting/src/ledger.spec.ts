import { describe, expect, test } from '@jest/globals';
import { cents, ZERO_CENTS } from '@ates/shared-events/cents';
import fc from 'fast-check';
import { applyPostings, feeFor, reversalOf, rewardFor, type AccountState, type Posting } from './ledger.ts';

const COMPANY: AccountState = { id: 'company', balance: cents(500), entryCount: 3 };
const ASSIGNMENT = { taskId: 'task', assignmentNumber: 2, employeeId: 'ann', businessDay: '2026-11-20', lateFor: null };
const PRICE = { fee: cents(12_50), reward: cents(31_00) };
const TASK = { number: 17, ticket: null, title: 'Feed the parrot' };
const posting = (fields: Partial<Posting>): Posting => ({ ...feeFor(ASSIGNMENT, PRICE, TASK), id: 'posting', traceparent: '', ...fields });

describe('postings', () => {
  test('an assignment costs its employee the fee, once per assignment', () => {
    expect(feeFor(ASSIGNMENT, PRICE, TASK)).toMatchObject({ kind: 'FEE', amount: 12_50, cause: 'fee/task/2', employeeId: 'ann', description: 'Fee for POPUG-17 Feed the parrot, assignment 2' });
  });

  test('a completion pays its employee the reward, once per task', () => {
    expect(rewardFor(ASSIGNMENT, PRICE, TASK)).toMatchObject({ kind: 'REWARD', amount: 31_00, cause: 'reward/task', description: 'Reward for POPUG-17 Feed the parrot' });
  });

  test('what came after its day was closed says so', () => {
    const late = { ...ASSIGNMENT, businessDay: '2026-11-21', lateFor: '2026-11-20' };
    expect(feeFor(late, PRICE, TASK)).toMatchObject({ businessDay: '2026-11-21', lateFor: '2026-11-20', description: 'Fee for POPUG-17 Feed the parrot, assignment 2 (late: of 2026-11-20)' });
    expect(rewardFor(late, PRICE, TASK).description).toBe('Reward for POPUG-17 Feed the parrot (late: of 2026-11-20)');
  });

  test('a task that has not been heard of yet is charged all the same', () => {
    expect(feeFor(ASSIGNMENT, PRICE, undefined).description).toBe('Fee for a task not described here yet, assignment 2');
  });
});

describe('a reversal', () => {
  const TODAY = { businessDay: '2026-11-21', lateFor: null, reason: 'the task was deleted' };

  test('takes back the whole posting, names it, and says why', () => {
    const fee = { ...posting({}), id: 'the fee', entryId: 'its entry' };
    expect(reversalOf(fee, TODAY)).toEqual({
      kind: 'REVERSAL',
      payer: 'COMPANY',
      cause: 'reversal/fee/task/2',
      employeeId: 'ann',
      amount: 12_50,
      taskId: 'task',
      businessDay: '2026-11-21',
      lateFor: null,
      description: 'Reversal of Fee for POPUG-17 Feed the parrot, assignment 2: the task was deleted',
      reversal: { postingId: 'the fee', entryId: 'its entry', reason: 'the task was deleted' },
    });
  });

  test('of anything leaves every balance as it was', () => {
    const before = { id: 'account', balance: cents(-7_00), entryCount: 9 };
    fc.assert(
      fc.property(fc.constantFrom('EMPLOYEE' as const, 'COMPANY' as const), fc.integer({ min: 1, max: 4_000 }).map(cents), (payer, amount) => {
        const original = posting({ payer, amount });
        const reversal = { ...reversalOf({ ...original, entryId: null }, TODAY), id: 'reversal', traceparent: '' };
        const { entries, accountsAfter } = applyPostings([original, reversal], new Map([['ann', before]]), COMPANY);
        expect(entries.reduce((sum, entry) => sum + entry.amount, 0)).toBe(0);
        expect(new Map(accountsAfter.map(({ id, balance }) => [id, balance]))).toEqual(new Map([[COMPANY.id, COMPANY.balance], [before.id, before.balance]]));
      }),
    );
  });
});

describe('entries', () => {
  test('a fee moves money from the employee to the company', () => {
    const { entries, accountsAfter } = applyPostings([posting({})], new Map([['ann', { id: 'account', balance: ZERO_CENTS, entryCount: 0 }]]), COMPANY);
    expect(entries).toEqual([
      expect.objectContaining({ accountId: 'account', side: -1, number: 1, amount: -12_50, balanceAfter: -12_50 }),
      expect.objectContaining({ accountId: 'company', side: 1, number: 4, amount: 12_50, balanceAfter: 17_50 }),
    ]);
    expect(accountsAfter).toContainEqual({ id: 'account', balance: -12_50, entryCount: 1 });
  });

  test('always sum to zero, continue each account without a gap, and end at its balance', () => {
    const employees = new Map(['ann', 'bob', 'cleo'].map((owner) => [owner, { id: `account of ${owner}`, balance: cents(-700), entryCount: 9 }]));
    const anyPosting = fc.record({ employeeId: fc.constantFrom('ann', 'bob', 'cleo'), payer: fc.constantFrom('EMPLOYEE' as const, 'COMPANY' as const), amount: fc.integer({ min: 1, max: 4_000 }).map(cents) });
    fc.assert(
      fc.property(fc.array(anyPosting, { maxLength: 40 }), (many) => {
        const { entries, accountsAfter } = applyPostings(many.map((fields, index) => posting({ ...fields, id: String(index) })), employees, COMPANY);
        expect(entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(0);
        for (const [accountId, own] of Map.groupBy(entries, (entry) => entry.accountId)) {
          const before = accountId === COMPANY.id ? COMPANY : { balance: -700, entryCount: 9 };
          expect(own.map(({ number }) => number)).toEqual(own.map((_, index) => before.entryCount + 1 + index));
          let balance: number = before.balance;
          for (const { amount, balanceAfter } of own) expect(balanceAfter).toBe((balance += amount));
          expect(accountsAfter).toContainEqual({ id: accountId, balance, entryCount: before.entryCount + own.length });
        }
      }),
    );
  });
});
