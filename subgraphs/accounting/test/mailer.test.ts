import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import { createMetrics } from '@ates/service-kit/metrics';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../../scripts/test-service.ts';
import { retryInMs } from '../src/mail-attempt.ts';
import { claimMail, LEASE_MS } from '../src/mail-queue.ts';
import { registerMailMetrics, type MailRun } from '../src/mailer.ts';
import { openMailOffice } from './mail-office.ts';

const REFUSED = (code: number, message: string) => Object.assign(new Error(message), { responseCode: code });
describe('Sending mails', () => {
  let office: Awaited<ReturnType<typeof openMailOffice>>;
  beforeAll(async () => {
    office = await openMailOffice();
  });
  afterEach(() => office.clear());
  afterAll(() => office?.close());

  test('an attempt is in the table before anything is sent', async () => {
    const { mailId } = await office.paid();
    const [sending, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    office.mailer({
      send: () => {
        sending.resolve();
        return go.promise;
      },
      close: () => undefined,
    });
    await sending.promise;
    expect(await office.stateOf(mailId)).toEqual({ status: 'SENDING', attempts: 1, due_at: new Date(office.now.getTime() + LEASE_MS), last_error: null, sent_at: null });
    go.resolve();
    await office.untilIt(mailId, 'SENT', 1);
  });

  test('a connection that breaks after the final dot leaves the outcome open: the mail goes out again under its id', async () => {
    const { mailId, messageId } = await office.paid();
    office.smtp.next.push('BREAK_AFTER_THE_DOT');
    const sender = office.mailer(office.toSmtp());
    const { due_at: dueAt, last_error: error } = await office.untilIt(mailId, 'PENDING', 1);
    expect(dueAt).toEqual(new Date(office.now.getTime() + 30_000));
    expect(error).toMatch(/closed/i);
    office.later(30_000);
    sender.look();
    expect((await office.untilIt(mailId, 'SENT', 2)).last_error).toBeNull();
    expect(office.smtp.received.map((email) => email.messageId)).toEqual([messageId, messageId]);
  });

  test('a server that does not answer is waited for no longer than a send may last', async () => {
    const { mailId, messageId } = await office.paid();
    office.smtp.next.push('SILENT_AFTER_THE_DOT');
    const sender = office.mailer(office.toSmtp(), { sendTimeoutMs: 300 });
    expect((await office.untilIt(mailId, 'PENDING', 1)).last_error).toBe('it was broken off before there was an answer');
    office.later(30_000);
    sender.look();
    await office.untilIt(mailId, 'SENT', 2);
    expect(office.smtp.received.map((email) => email.messageId)).toEqual([messageId, messageId]);
  });

  test('who dies between claim and settlement leaves a mail that is due again when the lease is over; what they say later changes nothing', async () => {
    const { mailId, messageId } = await office.paid();
    const abandoned = Promise.withResolvers<void>();
    const dead = office.mailer({ send: () => abandoned.promise, close: () => undefined });
    await office.untilIt(mailId, 'SENDING', 1);
    office.later(LEASE_MS - 1);
    const runs: MailRun[] = [];
    const other = office.mailer(office.toSmtp(), { onRun: (run) => void runs.push(run) });
    await other.stop();
    expect(await office.stateOf(mailId)).toMatchObject({ status: 'SENDING', attempts: 1 });
    office.later(1);
    const third = office.mailer(office.toSmtp(), { onRun: (run) => void runs.push(run) });
    await office.untilIt(mailId, 'SENT', 2);
    await third.stop();
    abandoned.reject(REFUSED(550, 'too late'));
    await dead.stop();
    expect(await office.stateOf(mailId)).toMatchObject({ status: 'SENT', attempts: 2, due_at: null, last_error: null });
    expect(dead.facts()).toMatchObject({ sent: 0, failed: 0, retried: 0, sending: 0 });
    expect(office.smtp.received.map((email) => email.messageId)).toEqual([messageId]);
    expect(runs).toEqual([{ sent: 1, failed: 0, retried: 0 }]);
  });

  test.each(['resolves', 'rejects'])('an attempt whose lease ran out and that %s while a later one is under way does not settle it', async (how) => {
    const { mailId } = await office.paid();
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow = office.mailer({ send: () => first.promise, close: () => undefined });
    await office.untilIt(mailId, 'SENDING', 1);
    office.later(LEASE_MS);
    office.mailer({ send: () => second.promise, close: () => undefined });
    const before = await office.untilIt(mailId, 'SENDING', 2);
    if (how === 'resolves') first.resolve();
    else first.reject(new Error('broken'));
    await slow.stop();
    expect(await office.stateOf(mailId)).toEqual(before);
    second.resolve();
    await office.untilIt(mailId, 'SENT', 2);
  });

  test('two senders at once send each mail once', async () => {
    const mails = [];
    for (let index = 0; index < 20; index += 1) mails.push(await office.paid());
    const senders = [office.mailer(office.toSmtp()), office.mailer(office.toSmtp())];
    await Promise.all(mails.map(({ mailId }) => office.untilIt(mailId, 'SENT', 1)));
    await Promise.all(senders.map((sender) => sender.stop()));
    expect(office.smtp.received).toHaveLength(20);
    expect(new Set(office.smtp.received.map((email) => email.messageId))).toEqual(new Set(mails.map(({ messageId }) => messageId)));
    expect(senders.reduce((sum, sender) => sum + sender.facts().sent, 0)).toBe(20);
  });

  test('a mail that another sender is just claiming is left to it, and nobody waits for that', async () => {
    const [first, second] = [await office.paid(), await office.paid()];
    await office.database.sqlTransaction(async (sql) => {
      expect((await claimMail(sql, office.now))?.id).toBe(first.mailId);
      office.mailer(office.toSmtp());
      await office.untilIt(second.mailId, 'SENT', 1);
    });
    expect(await office.stateOf(first.mailId)).toMatchObject({ status: 'SENDING', attempts: 1 });
    expect(office.smtp.received).toHaveLength(1);
  });

  test('what was sent is not sent again, however late it is', async () => {
    const { mailId } = await office.paid();
    const sender = office.mailer(office.toSmtp());
    await office.untilIt(mailId, 'SENT', 1);
    await sender.stop();
    office.later(30 * 24 * 3_600_000);
    await office.mailer(office.toSmtp()).stop();
    expect(office.smtp.received).toHaveLength(1);
  });

  test.each([
    ['its recipient', { rcpt: REFUSED(550, 'no such user here: ann@ates.test') }],
    ['what it says', { data: REFUSED(554, 'this is spam') }],
  ])('a mail that is refused for good because of %s has failed', async (_what, behaviour) => {
    const { mailId } = await office.paid({ email: 'ann@ates.test' });
    office.smtp.next.push(behaviour);
    const runs: MailRun[] = [];
    office.mailer(office.toSmtp(), { onRun: (run) => void runs.push(run) });
    const { last_error: error, due_at: dueAt } = await office.untilIt(mailId, 'FAILED', 1);
    expect(dueAt).toBeNull();
    expect(error).toMatch(/55[04]/);
    expect(error).not.toContain('ann@');
    await eventually(() => runs.length > 0);
    expect(runs).toEqual([{ sent: 0, failed: 1, retried: 0 }]);
  });

  test.each([
    ['its recipient', { rcpt: REFUSED(450, 'greylisted') }],
    ['what it says', { data: REFUSED(451, 'try later') }],
    ['who we are', { rcpt: REFUSED(530, 'authentication required') }],
  ])('a mail that is refused for now because of %s is tried again', async (_what, behaviour) => {
    const { mailId } = await office.paid();
    office.smtp.next.push(behaviour);
    const sender = office.mailer(office.toSmtp());
    expect((await office.untilIt(mailId, 'PENDING', 1)).due_at).toEqual(new Date(office.now.getTime() + 30_000));
    office.later(30_000);
    sender.look();
    await office.untilIt(mailId, 'SENT', 2);
  });

  test('while no server answers a mail waits longer each time, and has failed after 180 attempts', async () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8, 29].map(retryInMs)).toEqual([30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600].map((seconds) => seconds * 1_000));
    const { mailId } = await office.paid();
    await office.database.sql('update mails set attempts = 178 where id = $1', [mailId]);
    const sender = office.mailer(office.toSmtp('smtp://127.0.0.1:1'));
    expect((await office.untilIt(mailId, 'PENDING', 179)).last_error).toMatch(/ECONNREFUSED/);
    office.later(3_600_000);
    sender.look();
    expect((await office.untilIt(mailId, 'FAILED', 180)).last_error).toMatch(/ECONNREFUSED/);
  });

  test('a server that hangs up is called once per attempt', async () => {
    let calls = 0;
    const rude = createServer((socket) => {
      calls += 1;
      socket.destroy();
    });
    await new Promise<void>((listening) => void rude.listen(0, '127.0.0.1', listening));
    const { mailId } = await office.paid();
    office.mailer(office.toSmtp(`smtp://127.0.0.1:${(rude.address() as AddressInfo).port}`));
    await office.untilIt(mailId, 'PENDING', 1);
    expect(calls).toBe(1);
    await new Promise((closed) => void rude.close(closed));
  });

  test('a mail that ended its sender 180 times is not tried again', async () => {
    const { mailId } = await office.paid();
    await office.database.sql(`update mails set attempts = 180, status = 'SENDING' where id = $1`, [mailId]);
    office.mailer(office.toSmtp());
    expect((await office.untilIt(mailId, 'FAILED', 181)).last_error).toBe('none of 180 attempts came to an end');
    expect(office.smtp.received).toEqual([]);
  });

  test('a mail waits for its recipient’s address', async () => {
    const unknown = uuidv7();
    const account = await office.accountOf(unknown);
    const mailId = await office.mailFor(unknown, await (await office.reward(account, 100), office.payout(account, 100)));
    const sender = office.mailer(office.toSmtp());
    const { due_at: dueAt, last_error: error } = await office.untilIt(mailId, 'PENDING', 1);
    expect(dueAt).toEqual(new Date(office.now.getTime() + 600_000));
    expect(error).toBe('the user’s address is not known here yet');
    await office.database.sql(`insert into user_copies (user_id, name) values ($1, 'Ann')`, [unknown]);
    office.later(600_000);
    sender.look();
    await office.untilIt(mailId, 'PENDING', 2);
    await office.database.sql(`update user_copies set email = 'ann@ates.test' where user_id = $1`, [unknown]);
    office.later(600_000);
    sender.look();
    await office.untilIt(mailId, 'SENT', 3);
    expect(office.smtp.received[0]?.to).toEqual([{ name: 'Ann', address: 'ann@ates.test' }]);
  });

  test('nothing goes to a user who was deleted', async () => {
    const { mailId } = await office.paid({ status: 'DELETED', email: 'deleted-1@invalid' });
    office.mailer(office.toSmtp());
    expect((await office.untilIt(mailId, 'FAILED', 1)).last_error).toBe('the user was deleted');
    expect(office.smtp.received).toEqual([]);
  });

  test('a recipient whose server is slow holds up nobody, and a mail that comes meanwhile goes out when it is looked for', async () => {
    const slow = await office.paid();
    office.smtp.next.push('SILENT_AFTER_THE_DOT');
    const sender = office.mailer(office.toSmtp());
    await office.untilIt(slow.mailId, 'SENDING', 1);
    await eventually(() => office.smtp.received.length > 0);
    const quick = await office.paid();
    sender.look();
    await office.untilIt(quick.mailId, 'SENT', 1);
    await eventually(() => sender.facts().sending === 1);
    // Who stops does not wait for ever.
    await sender.stop();
    expect(await office.stateOf(slow.mailId)).toMatchObject({ status: 'PENDING', attempts: 1 });
  });

  test('a mail that comes without a word is found by the next look', async () => {
    const sender = office.mailer(office.toSmtp(), { lookEveryMs: 20 });
    const { mailId } = await office.paid();
    await office.untilIt(mailId, 'SENT', 1);
    await eventually(() => sender.facts().sent === 1);
  });

  test('metrics tell what was sent, what failed, and what waits', async () => {
    const mails = [await office.paid(), await office.paid({ status: 'DELETED' }), await office.paid({ email: null })];
    const sender = office.mailer(office.toSmtp());
    await Promise.all(mails.map(({ mailId }, index) => office.untilIt(mailId, ['SENT', 'FAILED', 'PENDING'][index]!, 1)));
    await sender.stop();
    const metrics = createMetrics('accounting');
    registerMailMetrics(metrics, sender);
    const shown = (await metrics.metrics()).split('\n').filter((line) => line.startsWith('ates_mails'));
    expect(shown).toEqual([
      'ates_mails_sent_total{service="accounting"} 1',
      'ates_mails_failed_total{service="accounting"} 1',
      'ates_mails_retried_total{service="accounting"} 1',
      'ates_mails_unsent{status="PENDING",service="accounting"} 1',
      'ates_mails_unsent{status="SENDING",service="accounting"} 0',
    ]);
  });

  test('its log lines name mail and recipient by their ids, never the address', async () => {
    const { mailId, userId } = await office.paid({ email: 'ann@ates.test' });
    const lines: string[] = [];
    office.smtp.next.push({ rcpt: REFUSED(450, 'ann@ates.test is greylisted') });
    const sender = office.mailer(office.toSmtp(), { logger: createLogger('accounting', 'info', { write: (line) => void lines.push(line) }) });
    await office.untilIt(mailId, 'PENDING', 1);
    office.later(30_000);
    sender.look();
    await office.untilIt(mailId, 'SENT', 2);
    await sender.stop();
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', mailId, recipientId: userId, attempt: 1, retryInMs: 30_000 },
      { level: 'info', mailId, recipientId: userId, attempt: 2 },
    ]);
    expect(lines.join('')).not.toContain('ann@');
  });
});
