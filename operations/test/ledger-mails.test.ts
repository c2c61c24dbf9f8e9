import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openLedger, type LedgerFixture } from '../../subgraphs/accounting/test/ledger-fixture.ts';
import { runCommand } from './command-line.ts';

describe('npm run ledger -- mails, resend', () => {
  let ledger: LedgerFixture;
  beforeAll(async () => {
    ledger = await openLedger();
  });
  afterAll(() => ledger?.close());

  const run = (...args: string[]) => runCommand('ledger', args, { ACCOUNTING_DATABASE_URL: ledger.tables.url });
  const mail = async (status: string): Promise<string> => {
    const due = status === 'SENT' || status === 'FAILED' ? null : ledger.now;
    const [row] = await ledger.rows<{ id: string }>(
      `insert into mails (kind, business_day, recipient_id, status, attempts, due_at, last_error) values ('REPORT', '2026-11-19', $1, $2, 3, $3, 'mailbox unavailable') returning id`,
      [randomUUID(), status, due],
    );
    return row?.id ?? '';
  };
  const stateOf = async (id: string) => (await ledger.rows('select status, attempts, due_at is not null as due from mails where id = $1', [id]))[0];

  test('what was not sent is listed, with why; what failed is sent again when somebody says so, and nothing else is', async () => {
    expect((await run('mails')).stdout).toBe('Every mail has been sent.\n');
    const [sent, failed, other, sending] = [await mail('SENT'), await mail('FAILED'), await mail('FAILED'), await mail('SENDING')];
    const { stdout } = await run('mails');
    for (const id of [failed, other, sending]) expect(stdout).toContain(id);
    expect(stdout).toContain('mailbox unavailable');
    expect(stdout).not.toContain(sent);

    expect(await run('resend', failed)).toMatchObject({ code: 0, stdout: '1 mail will be tried again.\n' });
    expect(await stateOf(failed)).toEqual({ status: 'PENDING', attempts: 0, due: true });
    expect(await stateOf(other)).toMatchObject({ status: 'FAILED' });
    expect(await run('resend', sent)).toMatchObject({ code: 1, stdout: expect.stringContaining('No mail that failed has the id') });
    expect(await run('resend', '--all')).toMatchObject({ code: 0, stdout: '1 mail will be tried again.\n' });
    expect(await stateOf(other)).toMatchObject({ status: 'PENDING' });
    expect(await stateOf(sent)).toMatchObject({ status: 'SENT' });
    expect(await stateOf(sending)).toMatchObject({ status: 'SENDING', attempts: 3 });
  });

  test('a day that waits for what was discarded is let go with a reason, and no other day is', async () => {
    const refused = { code: 1, stdout: expect.stringContaining('does not wait for anything') };
    expect(await run('accept', '2026-11-19', '--why', 'garbage')).toMatchObject(refused);
    await ledger.work(await ledger.hire(), '2026-11-19');
    expect(await run('accept', '2026-11-19', '--why', 'garbage')).toMatchObject(refused);
    await ledger.apply(ledger.ended('2026-11-19', { assignments: 2 }));
    expect(await run('accept', '2026-11-19', '--why', 'its event was garbage')).toMatchObject({ code: 0, stdout: '2026-11-19 will be closed with what is posted.\n' });
    expect(await ledger.rows('select accepted_why from day_closings')).toEqual([{ accepted_why: 'its event was garbage' }]);
    for (const args of [['accept', '2026-11-19'], ['accept', 'yesterday', '--why', 'x'], ['accept', '--why', 'x']]) expect(await run(...args)).toMatchObject({ code: 2 });
  });

  test('it has to be said which', async () => {
    for (const args of [['resend'], ['resend', 'all'], ['resend', '--all', randomUUID()]]) expect(await run(...args)).toMatchObject({ code: 2 });
  });
});
