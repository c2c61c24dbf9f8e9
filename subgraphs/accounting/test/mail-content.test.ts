import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import PostalMime, { type Email } from 'postal-mime';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { createMailTransport, readSender, type MailTransport, type OutgoingMail } from '../src/mail-transport.ts';
import { DAY, FROM, openMailOffice } from './mail-office.ts';

const NEXT_DAY = '2026-11-21';
describe('What mails say, and to whom', () => {
  let office: Awaited<ReturnType<typeof openMailOffice>>;
  beforeAll(async () => {
    office = await openMailOffice();
  });
  afterEach(() => office.clear());
  afterAll(() => office?.close());

  test('who was paid gets the amount and the day’s statement, readable with and without HTML', async () => {
    const ann = await office.user({ name: 'Ann Ünicode', email: 'ann@ates.test' });
    const account = await office.accountOf(ann);
    await office.reward(account, 50_000, { day: '2026-11-19', description: 'the day before' });
    await office.fee(account, 1_500, { description: 'Fee for POPUG-17' });
    await office.fee(account, 777, { day: NEXT_DAY, description: 'the day after' });
    await office.reward(account, 100_000, { description: 'Reward for POPUG-17' });
    const payoutId = await office.payout(account, 148_500);
    const mailId = await office.mailFor(ann, payoutId);
    office.mailer(office.toSmtp());
    const { sent_at: sentAt, due_at: dueAt, last_error: error } = await office.untilIt(mailId, 'SENT', 1);
    expect({ sentAt, dueAt, error }).toEqual({ sentAt: office.now, dueAt: null, error: null });
    const [email] = office.smtp.received as [Email];
    expect(office.smtp.received).toHaveLength(1);
    expect(email.messageId).toBe(`<payout.${payoutId}@ates.test>`);
    expect(email.subject).toBe(`Paid out for ${DAY}: $1,485.00`);
    expect(email.from).toMatchObject({ name: 'aTES', address: 'no-reply@ates.test' });
    expect(email.to).toMatchObject([{ name: 'Ann Ünicode', address: 'ann@ates.test' }]);
    const headers = Object.fromEntries(email.headers.map(({ key, value }) => [key, value]));
    expect(headers).toMatchObject({ 'auto-submitted': 'auto-generated', 'x-ates-business-day': DAY });
    expect(email.text?.split('\n').map((line) => line.trim().split(/ {2,}/)).slice(4, 10)).toEqual([
      ['Amount', 'Balance', 'For'],
      ['$500.00', 'Opening balance'],
      ['−$15.00', '$485.00', 'Fee for POPUG-17'],
      ['$1,000.00', '$1,485.00', 'Reward for POPUG-17'],
      ['−$1,485.00', '$0.00', 'Payout'],
      ['$0.00', 'Closing balance'],
    ]);
    for (const text of ['Hello Ann Ünicode,', 'Fee for POPUG-17', '−$15.00', '$485.00', '−$1,485.00', 'Closing balance']) expect(email.html).toContain(text);
    for (const part of [email.text, email.html]) expect(part).not.toMatch(/the day (before|after)/);
  });

  test('of a day of 5,000 entries the newest 200 are listed, and what came before them is summed', async () => {
    const ann = await office.user();
    const account = await office.accountOf(ann);
    await office.reward(account, 10, { times: 5_000, description: 'Reward #' });
    await office.mailFor(ann, await office.payout(account, 50_000));
    office.mailer(office.toSmtp());
    const email = await eventually(() => office.smtp.received[0]);
    const lines = email.text?.split('\n').map((line) => line.trim()) ?? [];
    expect(lines.filter((line) => /Reward \d+$/.test(line))).toHaveLength(200);
    expect(lines.find((line) => line.includes('earlier entries'))).toMatch(/^\$480\.00 +\$480\.00 +4,800 earlier entries, not listed here$/);
    expect(lines.find((line) => line.endsWith('Reward 4801'))).toMatch(/^\$0\.10 +\$480\.10/);
    expect(lines.find((line) => line.endsWith('Reward 5000'))).toMatch(/^\$0\.10 +\$500\.00/);
    expect(email.html).toContain('4,800 more are not');
  });

  test('managers and admins get the day’s report, with the most expensive task that was completed and not taken back', async () => {
    const day = '2026-10-01';
    const [max, account] = [await office.user({ name: 'Max', roles: ['MANAGER'] }), await office.accountOf(await office.user())];
    const [parrot, cat, dog] = [uuidv7(), uuidv7(), uuidv7()];
    await office.database.sql(`insert into task_copies (task_id, number, title) values ($1, 17, 'Feed the <b>parrot</b>'), ($2, 18, 'Feed the cat'), ($3, 19, 'Feed the dog')`, [parrot, cat, dog]);
    await office.reward(account, 3_000, { day, taskId: cat, at: new Date('2026-10-01T11:00:00Z') });
    await office.reward(account, 3_000, { day, taskId: parrot, at: new Date('2026-10-01T10:00:00Z') });
    const highest = await office.reward(account, 4_000, { day, taskId: dog });
    await office.post({ kind: 'REVERSAL', from: account, to: COMPANY_ACCOUNT, amount: 4_000, day, reverses: highest });
    await office.reward(account, 9_000, { day: '2026-10-02', taskId: dog });
    await office.closed(day, { companyEarnings: -123_456, paidOut: 6_000, paidEmployees: 1, carriedOver: -70, inTheRed: 2, assignments: 5, completions: 3 });
    const mailId = await office.mailFor(max, null, day);
    office.mailer(office.toSmtp());
    await office.untilIt(mailId, 'SENT', 1);
    const [email] = office.smtp.received as [Email];
    expect(email.messageId).toBe(`<report.${day}.${max}@ates.test>`);
    expect(email.subject).toBe(`aTES report of ${day}`);
    expect(email.text?.split('\n').map((line) => line.split(/ {2,}/)).slice(4, 11)).toEqual([
      ['Company earnings', '−$1,234.56'],
      ['Paid out', '$60.00 to 1 popug'],
      ['Carried over', '−$0.70'],
      ['In the red', '2 popugs'],
      ['Most expensive task completed', 'POPUG-17 Feed the <b>parrot</b>, $30.00'],
      ['Assignments', '5'],
      ['Completions', '3'],
    ]);
    expect(email.html).toContain('POPUG-17 Feed the &lt;b&gt;parrot&lt;/b&gt;, $30.00');
  });

  test('who is no active manager or admin any more does not get the report', async () => {
    const ids = [await office.user({ roles: ['EMPLOYEE'] }), await office.user({ roles: ['ADMIN'], status: 'DEACTIVATED' })];
    const mails = await Promise.all(ids.map((id) => office.mailFor(id, null)));
    office.mailer(office.toSmtp());
    for (const id of mails) expect((await office.untilIt(id, 'FAILED', 1)).last_error).toBe('the user is no active manager or admin any more');
    expect(office.smtp.received).toEqual([]);
  });

  test('a name can neither add a header nor a recipient, nor markup', async () => {
    const { mailId } = await office.paid({ name: 'Eve\r\nBcc: all@ates.test\r\n\r\n<script>alert(1)</script>", <all@ates.test>', email: 'eve@ates.test' });
    office.mailer(office.toSmtp());
    await office.untilIt(mailId, 'SENT', 1);
    const [email] = office.smtp.received as [Email];
    expect(email.to).toEqual([{ name: 'Eve Bcc: all@ates.test <script>alert(1)</script>", <all@ates.test>', address: 'eve@ates.test' }]);
    expect(email.bcc).toBeUndefined();
    expect(email.html).not.toContain('<script>');
  });

  test.each(['ann@ates.test\r\nBcc: eve@x.test', 'ann@ates.test, eve@x.test', 'ann@ates.test> <eve@x.test', 'ann'])('%j is no address, and nothing is sent', async (email) => {
    const { mailId } = await office.paid({ email });
    office.mailer(office.toSmtp());
    expect((await office.untilIt(mailId, 'FAILED', 1)).last_error).toMatch(/none that mail can be sent to/);
    expect(office.smtp.received).toEqual([]);
  });

  describe('into a directory', () => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), 'ates-mails-'));
    });
    afterEach(() => rm(directory, { recursive: true }));
    const toFiles = (): MailTransport => createMailTransport({ mailDir: join(directory, 'made', 'here'), from: FROM });

    test('each mail becomes a file, whole, and a mail that is sent again replaces its own', async () => {
      const [{ mailId, payoutId, messageId }, max] = [await office.paid(), await office.user({ roles: ['ADMIN'] })];
      await office.closed(DAY);
      const report = await office.mailFor(max, null);
      const sender = office.mailer(toFiles());
      await Promise.all([office.untilIt(mailId, 'SENT', 1), office.untilIt(report, 'SENT', 1)]);
      await office.database.sql(`update mails set status = 'PENDING', due_at = $2 where id = $1`, [mailId, office.now]);
      sender.look();
      await office.untilIt(mailId, 'SENT', 2);
      const made = join(directory, 'made', 'here');
      expect((await readdir(made)).sort()).toEqual([`${DAY}-payout-${payoutId}.eml`, `${DAY}-report-${max}.eml`]);
      const email = await PostalMime.parse(await readFile(join(made, `${DAY}-payout-${payoutId}.eml`)));
      expect(email).toMatchObject({ messageId, subject: `Paid out for ${DAY}: $12.34`, date: office.now.toISOString() });
      expect([email.text, email.html].every((part) => part?.includes('Closing balance'))).toBe(true);
    });

    test('what was broken off leaves no file', async () => {
      const mail: OutgoingMail = { kind: 'REPORT', businessDay: DAY, recipientId: uuidv7(), payoutId: null, to: { name: 'Max', address: 'max@ates.test' }, date: office.now, subject: '', text: '', html: '' };
      await expect(toFiles().send(mail, AbortSignal.abort())).rejects.toThrow(/abort/);
      expect(await readdir(join(directory, 'made', 'here'))).toEqual([]);
    });
  });

  test('a transport needs one sender and one way to send', () => {
    expect(readSender(FROM)).toEqual({ name: 'aTES', address: 'no-reply@ates.test', domain: 'ates.test' });
    expect(readSender('no-reply@ates.test')).toMatchObject({ address: 'no-reply@ates.test', domain: 'ates.test' });
    for (const from of ['', 'aTES', 'a@ates.test, b@ates.test', 'aTES <no-reply>']) expect(() => readSender(from)).toThrow(/is no sender/);
    expect(() => createMailTransport({ from: FROM })).toThrow(/one of the two/);
    expect(() => createMailTransport({ from: FROM, smtpUrl: 'smtp://127.0.0.1', mailDir: 'mails' })).toThrow(/one of the two/);
  });
});
