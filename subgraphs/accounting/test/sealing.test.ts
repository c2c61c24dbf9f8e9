import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { CHAINED_COLUMNS, CHAINED_ROWS, entryHash, FIRST_HASH, type ChainedEntry } from '../src/chain.ts';
import { ledgerAudit } from '../src/ledger-audit.ts';
import { startSealing, type Sealing, type SealingRun } from '../src/sealing.ts';
import { ANN, BOB, clock, logger, openTestLedger, type TestLedger } from './sealed-ledger.ts';

const ANNS = `(select id from accounts where owner_id = '${ANN}')`;

describe('Sealing', () => {
  let ledger: TestLedger;
  let sealings: Sealing[];
  beforeEach(async () => {
    ledger = await openTestLedger();
    sealings = [];
  });
  afterEach(async () => {
    // Should a test have failed in the middle of it.
    await ledger?.owner('rollback');
    await Promise.all(sealings.map((sealing) => sealing.stop()));
    await ledger?.close();
  });

  const start = (onRun?: (run: SealingRun) => void): Sealing => {
    const sealing = startSealing({ database: ledger.database, clock, logger, ...(onRun && { onRun }) });
    sealings.push(sealing);
    return sealing;
  };
  const isAllSealed = async () => (await ledger.unsealed()) === 0;
  const audit = () => ledger.database.sqlTransaction((sql) => ledgerAudit(sql));
  const sealsOf = async (account: string) =>
    (await ledger.database.sql<{ hash: string }>(`select encode(hash, 'hex') as hash from entry_seals where account_id = ${account} order by number`)).map(({ hash }) => hash);
  /** So many fees at once, without the service's code: 12,000 of them would take it a while. */
  const fillWith = (fees: number) =>
    ledger.tamper(`create temp table made on commit drop as select uuidv7() as id, n from generate_series(1, ${fees}) as n;
      insert into postings (id, kind, cause, from_account, to_account, amount, business_day, description, posted_at)
        select id, 'FEE', 'fee/' || n, ${ANNS}, '${COMPANY_ACCOUNT}', 100, '2026-11-20', 'Fee ' || n, now() from made;
      insert into entries select uuidv7(), made.id, side, account.id, entry_count + n, side * 100, balance + side * n * 100, '2026-11-20'
        from made, (values (-1, ${ANNS}), (1, '${COMPANY_ACCOUNT}'::uuid)) as sides (side, account_id) join accounts as account on account.id = account_id;
      update accounts set entry_count = entry_count + ${fees}, balance = balance + ${fees} * case id when '${COMPANY_ACCOUNT}' then 100 else -100 end
        where id in (${ANNS}, '${COMPANY_ACCOUNT}')`);

  test('what is posted is sealed when it is told to look, by the hashes that follow from the documented text', async () => {
    const sealing = start();
    await eventually(() => sealing.facts().lookedAt);
    await ledger.charge(ANN, BOB, ANN);
    await ledger.chargeAndTakeBack(ANN);
    sealing.look();
    await eventually(isAllSealed, 4_000);
    const columns = Object.entries(CHAINED_COLUMNS).map(([name, column]) => `${column} as "${name}"`);
    for (const account of [ANNS, `'${COMPANY_ACCOUNT}'`]) {
      const entries = await ledger.database.sql<ChainedEntry>(`select ${columns.join()} from ${CHAINED_ROWS} where account_id = ${account} order by number`);
      const hashes = entries.reduce<string[]>((chain, entry) => [...chain, entryHash(chain.at(-1) ?? FIRST_HASH, entry)], []);
      expect(await sealsOf(account)).toEqual(hashes);
    }
    await eventually(() => sealing.facts().sealed === 10 && sealing.facts().behind === 0);
  });

  test('what was posted while nobody sealed is sealed at the next start, in batches, onto what was sealed before', async () => {
    await ledger.charge(ANN, BOB);
    await ledger.seal();
    const before = await sealsOf(ANNS);
    await fillWith(12_000);
    const runs: SealingRun[] = [];
    const sealing = start((run) => runs.push(run));
    await eventually(() => runs.length > 0);
    expect(runs[0]).toMatchObject({ outcome: 'DONE', message: null, sealed: 24_000 });
    expect(sealing.facts()).toMatchObject({ sealed: 24_000, behind: 0, refused: 0 });
    expect((await sealsOf(ANNS)).slice(0, 1)).toEqual(before);
    expect(await audit()).toEqual({ balanced: true, chainsIntact: true, entries: 24_004, sealedEntries: 24_004 });
  });

  test('replicas that seal at once while others post give every entry one seal', async () => {
    await ledger.charge(ANN, BOB);
    await fillWith(12_000);
    const runs: SealingRun[] = [];
    const replicas = [1, 2, 3].map(() => start((run) => runs.push(run)));
    for (let round = 0; round < 10; round += 1) {
      await ledger.charge(ANN, BOB);
      for (const replica of replicas) replica.look();
    }
    await eventually(isAllSealed, 20_000);
    await Promise.all(replicas.map((replica) => replica.stop()));
    expect(runs.filter(({ outcome }) => outcome === 'FAILED')).toEqual([]);
    expect(replicas.reduce((sum, replica) => sum + replica.facts().sealed, 0)).toBe(24_044);
    expect(await audit()).toEqual({ balanced: true, chainsIntact: true, entries: 24_044, sealedEntries: 24_044 });
  });

  test('a batch that dies in the middle leaves nothing behind, and posting does not wait for it', async () => {
    await ledger.charge(ANN, BOB);
    // Stops the batch at its last step: what it has done until then is not committed.
    await ledger.owner('begin; lock table sealed_accounts in share mode');
    const runs: SealingRun[] = [];
    const sealing = start((run) => runs.push(run));
    const waiting = `from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%with wanted as%' and pid <> pg_backend_pid()`;
    await eventually(async () => (await ledger.database.sql(`select ${waiting}`)).length === 1);
    await ledger.charge(ANN);
    await ledger.database.sql(`select pg_terminate_backend(pid) ${waiting}`);
    await eventually(() => runs.length > 0);
    expect(runs[0]).toMatchObject({ outcome: 'FAILED', sealed: 0 });
    expect(await ledger.unsealed()).toBe(6);
    await ledger.owner('rollback');
    sealing.look();
    await eventually(isAllSealed);
    expect(await audit()).toEqual({ balanced: true, chainsIntact: true, entries: 6, sealedEntries: 6 });
  });

  test.each([
    ['set back', `update sealed_accounts set number = 1, hash = (select hash from entry_seals where account_id = ${ANNS} and number = 1) where account_id = ${ANNS}`],
    ['changed', `update sealed_accounts set hash = sha256('changed') where account_id = ${ANNS}`],
    ['forgotten', `delete from sealed_accounts where account_id = ${ANNS}`],
    ['set ahead', `update sealed_accounts set number = 3 where account_id = ${ANNS}`],
  ])('an account whose mark of its last seal was %s is not sealed any further, and others are', async (_how, statement) => {
    await ledger.charge(ANN, ANN);
    await ledger.seal();
    await ledger.tamper(statement);
    const before = await sealsOf(ANNS);
    await ledger.charge(ANN, ANN, BOB);
    const runs: SealingRun[] = [];
    const sealing = start((run) => runs.push(run));
    await eventually(() => runs.length > 0);
    expect(runs[0]).toMatchObject({ outcome: 'FAILED', sealed: 4, message: expect.stringMatching(/contradicts its last seal; run: npm run -s ledger -- verify/) });
    expect(sealing.facts()).toMatchObject({ refused: 1, sealed: 4 });
    expect(await sealsOf(ANNS)).toEqual(before);
    expect(await sealsOf(`'${COMPANY_ACCOUNT}'`)).toHaveLength(5);
  });

  test('an account is sealed up to an entry that is missing, or whose posting is, and no further', async () => {
    await ledger.charge(ANN, ANN, ANN, BOB, BOB, BOB);
    await ledger.tamper(`delete from entries where account_id = ${ANNS} and number = 2;
      delete from postings where id = (select posting_id from entries join accounts on accounts.id = account_id where owner_id = '${BOB}' and number = 3)`);
    const runs: SealingRun[] = [];
    const sealing = start((run) => runs.push(run));
    await eventually(() => runs.length > 0);
    expect(sealing.facts().refused).toBe(3);
    expect(runs[0]).toMatchObject({ outcome: 'FAILED', message: expect.stringMatching(/its entry \d or that one's posting is missing/) });
    expect(await sealsOf(ANNS)).toHaveLength(1);
    expect(await sealsOf(`(select id from accounts where owner_id = '${BOB}')`)).toHaveLength(2);
    expect((await ledger.database.sql('select from entry_seals join entries using (account_id, number)')).length).toBe(8);
  });

  test('a seal is neither changed nor deleted, by the service or by the owner of the tables', async () => {
    await ledger.charge(ANN);
    await ledger.seal();
    for (const statement of [`update entry_seals set hash = '\\x00'`, 'delete from entry_seals', 'truncate entry_seals']) {
      await expect(ledger.database.sql(statement)).rejects.toThrow(/permission denied/);
      await expect(ledger.owner(statement)).rejects.toThrow(/append-only/);
    }
  });
});
