import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ledgerAudit, type LedgerAuditLimits } from '../src/ledger-audit.ts';
import { ANN, openTestLedger, type TestLedger } from './sealed-ledger.ts';
import { fillForTampering, TAMPERINGS } from './tamperings.ts';

describe('The audit of the ledger', () => {
  let ledger: TestLedger;
  beforeAll(async () => {
    ledger = await openTestLedger();
    await fillForTampering(ledger);
  });
  afterEach(() => ledger.restore());
  afterAll(() => ledger?.close());

  const audit = (limits?: LedgerAuditLimits) => ledger.database.sqlTransaction((sql) => ledgerAudit(sql, limits));

  test('an untouched ledger is whole', async () => {
    expect(await audit()).toEqual({ balanced: true, chainsIntact: true, entries: 14, sealedEntries: 14 });
  });

  test('a ledger without entries is whole', async () => {
    const empty = await openTestLedger();
    expect(await empty.database.sqlTransaction((sql) => ledgerAudit(sql))).toEqual({ balanced: true, chainsIntact: true, entries: 0, sealedEntries: 0 });
    await empty.close();
  });

  test('entries that are not sealed yet are no fault', async () => {
    await ledger.charge(ANN);
    expect(await audit()).toEqual({ balanced: true, chainsIntact: true, entries: 16, sealedEntries: 14 });
  });

  test.each(TAMPERINGS)('finds out: $name', async ({ statements, breaks }) => {
    await ledger.tamper(statements);
    const { balanced, chainsIntact } = await audit();
    expect({ balanced, chainsIntact }).toEqual({ balanced: !breaks.includes('balanced'), chainsIntact: !breaks.includes('chainsIntact') });
  });

  test('what would take too long is refused, with what to use instead', async () => {
    await expect(audit({ limitMs: 0 })).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('npm run ledger -- verify') });
    // A statement that waits for a lock takes too long as well.
    await ledger.owner('begin; lock table postings in access exclusive mode');
    await expect(audit({ limitMs: 200 })).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    await ledger.owner('rollback');
  });

  test('while it looks others post, and it sees nothing of that', async () => {
    const seen = await ledger.database.sqlTransaction(async (sql) => {
      let posted = false;
      const counting: typeof sql = Object.assign(
        async <Row>(text: string, params?: readonly unknown[]) => {
          const rows = await sql<Row>(text, params);
          if (!posted && text.includes('count(*)')) {
            posted = true;
            await ledger.charge(ANN);
          }
          return rows;
        },
        { later: sql.later },
      );
      return ledgerAudit(counting);
    });
    expect(seen).toEqual({ balanced: true, chainsIntact: true, entries: 14, sealedEntries: 14 });
    expect((await audit()).entries).toBe(16);
  });
});
