import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { COMPANY_ACCOUNT } from '../../subgraphs/accounting/migrations/2026-11-20-accounting.ts';
import { ANN, BOB, openTestLedger, type TestLedger } from '../../subgraphs/accounting/test/sealed-ledger.ts';
import { fillForTampering, TAMPERINGS } from '../../subgraphs/accounting/test/tamperings.ts';
import { openDatabase, type ServiceDatabase } from '../connections.ts';
import { verifyLedger } from '../ledger-verification.ts';
import { runCommand } from './command-line.ts';

describe('npm run ledger -- verify', () => {
  let ledger: TestLedger;
  let database: ServiceDatabase;
  let accounts: { readonly ANN: string; readonly COMPANY: string };
  beforeAll(async () => {
    ledger = await openTestLedger();
    await fillForTampering(ledger);
    database = await openDatabase({ name: 'the test', databaseUrl: () => ledger.url, natsUrl: undefined }, 'accounting');
    const [ann] = await ledger.database.sql<{ id: string }>('select id from accounts where owner_id = $1', [ANN]);
    accounts = { ANN: ann?.id ?? '', COMPANY: COMPANY_ACCOUNT };
  });
  afterEach(() => ledger.restore());
  afterAll(async () => {
    await database?.close();
    await ledger?.close();
  });

  const verify = (...args: string[]) => runCommand('ledger', ['verify', ...args], { ACCOUNTING_DATABASE_URL: ledger.url });
  const findingOf = async () => (await verifyLedger(database, () => {})).finding;

  test('a whole ledger ends with 0, and how much there was of it', async () => {
    expect(await verify()).toEqual({ code: 0, stderr: '', stdout: expect.stringMatching(/^The ledger is whole: 14 entries of 7 postings in 4 accounts, 14 of them sealed; \d+ m?s\.\n$/) });
  });

  test('entries that are not sealed yet are no fault, and counted', async () => {
    await ledger.charge(ANN, BOB);
    const { code, stdout } = await verify();
    expect(stdout).toMatch(/^The ledger is whole: 18 entries of 9 postings in 4 accounts, 14 of them sealed; .*\n4 entries not sealed yet: /);
    expect(code).toBe(0);
  });

  test('a ledger without entries is whole', async () => {
    const empty = await openTestLedger();
    const { code, stdout } = await runCommand('ledger', ['verify'], { ACCOUNTING_DATABASE_URL: empty.url });
    await empty.close();
    expect(stdout).toMatch(/^The ledger is whole: 0 entries of 0 postings in 2 accounts/);
    expect(code).toBe(0);
  });

  test('the first row that is wrong is named, with what was expected, what was found and what to do, and 1 is the exit code', async () => {
    await ledger.tamper(`update entries set amount = -1001 where account_id = '${accounts.ANN}' and number = 2;
      update entries set amount = -1001 where account_id = '${accounts.ANN}' and number = 3`);
    const [second] = await ledger.database.sql<{ id: string; posting_id: string }>('select id, posting_id from entries where account_id = $1 and number = 2', [accounts.ANN]);
    const { code, stdout } = await verify();
    expect(code).toBe(1);
    for (const line of [
      'The ledger is NOT whole. The first row that is wrong:',
      `  account       ${accounts.ANN}`,
      `  entry         2, ${second?.id}`,
      `  posting       ${second?.posting_id}`,
      '  business day  2026-11-20',
      '  description   Fee for POPUG-17 Feed “the” ',
      '  wrong         its amount in cents is not that of its posting',
      '  expected      -1000',
      '  found         -1001',
      'What to do: keep the database as it is',
    ]) expect(stdout).toContain(line);
    // What somebody wrote into a title does nothing to a terminal.
    expect(stdout).not.toContain('\u0001');
  });

  test.each(TAMPERINGS)('finds and names: $name', async ({ statements, account, entry, wrong }) => {
    await ledger.tamper(statements);
    const finding = await findingOf();
    expect(finding?.what).toContain(wrong);
    if (account !== null) expect(finding?.accountId).toBe(accounts[account]);
    if (entry !== null) expect(finding?.number).toBe(String(entry));
  });

  test('what the database’s own functions say of hashes is not believed', async () => {
    await ledger.charge(ANN);
    await ledger.owner(`create or replace function link_entry(hash bytea, first_previous bytea, content text) returns bytea language sql immutable parallel safe return '\\x00'::bytea`);
    await ledger.seal();
    expect(await findingOf()).toMatchObject({ accountId: COMPANY_ACCOUNT, number: '8', found: '00' });
  });

  test('it says how it is called, and what it needs', async () => {
    expect(await verify('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: npm run -s ledger -- verify') });
    expect(await runCommand('ledger', ['--help'], {})).toMatchObject({ code: 0, stdout: expect.stringContaining('verify') });
    expect(await verify('now')).toMatchObject({ code: 2 });
    expect(await runCommand('ledger', ['mend'], {})).toMatchObject({ code: 2 });
    const elsewhere = { USERS_DATABASE_URL: ledger.url };
    expect(await runCommand('ledger', ['verify'], elsewhere)).toMatchObject({ code: 1, stderr: expect.stringContaining('ACCOUNTING_DATABASE_URL') });
  });
});
