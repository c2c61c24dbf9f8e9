import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { startTestService, type TestService } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';

const FEE = 500;

describe('each check of the ledger by itself, for the owner of the tables', () => {
  let accounting: TestService;
  let employee: string;
  beforeAll(async () => {
    accounting = await startTestService('accounting');
  });
  beforeEach(async () => {
    employee = uuidv7();
    await accounting.sql(`insert into accounts (id, kind, owner_id) values ($1, 'EMPLOYEE', $1)`, [employee]);
  });
  afterAll(() => accounting?.stop());

  const company = async () => {
    const [row] = await accounting.sql<{ balance: string; entry_count: number }>('select balance, entry_count from accounts where id = $1', [COMPANY_ACCOUNT]);
    return { balance: Number(row?.balance) + FEE, number: Number(row?.entry_count) + 1 };
  };
  /** One statement that posts a fee, as the service does; right but for what a test says otherwise. */
  const charge = async ({ number, balance, counted = number, posted = true }: { number: number; balance: number; counted?: number | null; posted?: boolean }) => {
    const after = await company();
    const posting = uuidv7();
    const inserted = `posted as (insert into postings (id, kind, cause, from_account, to_account, amount, business_day, description, posted_at)
      select '${posting}', 'FEE', '${posting}', '${employee}', '${COMPANY_ACCOUNT}', ${FEE}, '2026-11-20', '', now() where ${posted})`;
    const entered = `entered as (insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day) values
      (uuidv7(), '${posting}', -1, '${employee}', ${number}, ${-FEE}, ${balance}, '2026-11-20'),
      (uuidv7(), '${posting}', 1, '${COMPANY_ACCOUNT}', ${after.number}, ${FEE}, ${after.balance}, '2026-11-20'))`;
    const accounts = [`('${COMPANY_ACCOUNT}'::uuid, ${after.balance}, ${after.number})`, ...(counted === null ? [] : [`('${employee}'::uuid, ${balance}, ${counted})`])];
    await accounting.sql(`with ${inserted}, ${entered}
      update accounts set balance = after.balance, entry_count = after.number from (values ${accounts.join()}) as after (id, balance, number) where accounts.id = after.id`);
  };

  test('postings that continue each other commit', async () => {
    await charge({ number: 1, balance: -FEE });
    await charge({ number: 2, balance: -2 * FEE });
    const [row] = await accounting.sql('select balance::int, entry_count from accounts where id = $1', [employee]);
    expect(row).toEqual({ balance: -2 * FEE, entry_count: 2 });
  });

  test('an entry that does not continue the balance before it does not commit', async () => {
    await charge({ number: 1, balance: -FEE });
    await expect(charge({ number: 2, balance: -FEE })).rejects.toThrow(/does not follow the entry before it/);
    await expect(charge({ number: 2, balance: 2 * FEE })).rejects.toThrow(/does not follow the entry before it/);
  });

  test('an entry that leaves a number out does not commit', async () => {
    await expect(charge({ number: 2, balance: -FEE })).rejects.toThrow(/does not follow the entry before it/);
  });

  test('an entry that is not counted by its account does not commit', async () => {
    await expect(charge({ number: 1, balance: -FEE, counted: null })).rejects.toThrow(/is not counted by its account/);
  });

  test('an entry that belongs to no posting does not commit', async () => {
    await expect(charge({ number: 1, balance: -FEE, posted: false })).rejects.toThrow(/belongs to no posting/);
  });

  test('an account that counts fewer entries than it has does not commit', async () => {
    await charge({ number: 1, balance: -FEE });
    await expect(accounting.sql('update accounts set balance = 0, entry_count = 0 where id = $1', [employee])).rejects.toThrow(/is not what its last entry left/);
  });

  test('accounts can’t be deleted or truncated', async () => {
    await expect(accounting.sql('delete from accounts where id = $1', [employee])).rejects.toThrow(/append-only/);
    await expect(accounting.sql('truncate accounts cascade')).rejects.toThrow(/append-only/);
  });
});
