import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { closeByHand } from '../src/close-command.ts';
import { nextDayToClose } from '../src/day-register.ts';
import { openLedger, type LedgerFixture } from './ledger-fixture.ts';

/** The dates of zones whose clocks jump over midnight, come to it twice, or leave out a whole day. */
const CALENDARS = [
  ['UTC', '2026-11-19', '2026-11-20'],
  // Midnight of the 6th does not exist.
  ['America/Santiago', '2026-09-05', '2026-09-06'],
  ['Asia/Beirut', '2026-03-28', '2026-03-29'],
  ['Africa/Cairo', '2026-04-23', '2026-04-24'],
  // Midnight comes twice.
  ['America/Havana', '2026-10-31', '2026-11-01'],
  // There was no 30th.
  ['Pacific/Apia', '2011-12-29', '2011-12-31'],
  ['UTC', '2028-02-28', '2028-02-29'],
] as const;

describe('The calendar of closes', () => {
  let ledger: LedgerFixture;
  beforeAll(async () => {
    ledger = await openLedger();
  });
  afterAll(() => ledger?.close());

  test.each(CALENDARS)('in %s, %s is followed by %s', async (zone, day, next) => {
    const [row] = await ledger.rows('select next_business_day($1, $2)::text as day', [day, zone]);
    expect(row?.day).toBe(next);
  });

  test.each([
    ['America/Santiago', '2026-09-06T03:59:59Z', '2026-09-05', false],
    ['America/Santiago', '2026-09-06T04:00:00Z', '2026-09-05', true],
    ['America/Havana', '2026-11-01T03:59:59Z', '2026-10-31', false],
    ['America/Havana', '2026-11-01T04:00:00Z', '2026-10-31', true],
  ])('in %s, at %s, it is %s that is over: %s', async (timeZone, now, day, isOver) => {
    const fresh = await openLedger(timeZone);
    try {
      await fresh.work(await fresh.hire(), day);
      expect(await nextDayToClose(fresh.database.sql, { timeZone, now: new Date(now) })).toMatchObject({ day, isOver });
    } finally {
      await fresh.close();
    }
  });
});

describe('A day that is closed by hand', () => {
  let ledger: LedgerFixture;
  let adminId: string;
  beforeEach(async () => {
    ledger = await openLedger();
    ledger.now = new Date('2026-11-20T10:00:00Z');
    adminId = await ledger.hire('Adam', ['ADMIN']);
  });
  afterEach(() => ledger?.close());

  const close = (day: string | null, timeZone = 'UTC') => closeByHand(ledger.database, { day, adminId }, { timeZone, clock: ledger.clock });
  const requests = () => ledger.rows<{ data: any }>(`select data from outbox where type = 'day.close_requested'`);

  test('is today, unless another is named; it ends early, once', async () => {
    expect(await close(null)).toBe('2026-11-20');
    expect(await close('2026-11-20')).toBe('2026-11-20');
    expect((await requests()).map(({ data }) => data)).toEqual([expect.objectContaining({ version: 1, businessDay: '2026-11-20', requestedBy: adminId })]);
  });

  test('has begun', async () => {
    await expect(close('2026-11-21')).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('has not begun: today is 2026-11-20') });
    expect(await requests()).toEqual([]);
  });

  test('is one of the business time zone', async () => {
    ledger.now = new Date('2026-11-20T23:30:00Z');
    await expect(close('2026-11-21', 'America/Santiago')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await close('2026-11-21', 'Europe/Berlin')).toBe('2026-11-21');
  });

  test('is none before the first day that there is', async () => {
    await ledger.work(await ledger.hire(), '2026-11-19');
    await expect(close('2026-11-18')).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('the next one is 2026-11-19') });
    expect(await close('2026-11-19')).toBe('2026-11-19');
  });

  test('is none that the calendar leaves out', async () => {
    ledger.now = new Date('2012-01-02T00:00:00Z');
    await ledger.work(await ledger.hire(), '2011-12-29');
    await expect(close('2011-12-30', 'Pacific/Apia')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await close('2011-12-31', 'Pacific/Apia')).toBe('2011-12-31');
  });

  test('asks nothing of a day that has ended, or is closed', async () => {
    await ledger.work(await ledger.hire(), '2026-11-20');
    await ledger.end('2026-11-20');
    expect(await close(null)).toBe('2026-11-20');
    expect(await requests()).toEqual([]);
  });
});
