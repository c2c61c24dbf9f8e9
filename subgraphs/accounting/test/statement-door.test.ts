import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Sql } from '@ates/service-kit/database';
import { v7 as uuidv7 } from 'uuid';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { periodOf, type StatementPeriod } from '../src/statement-period.ts';
import { centsOf, fee, linkTo, NOW, openAccount, openDoor, openLedger, post, reward, SECRET, truth, type Door, type TestLedger } from './statement-ledger.ts';

let ledger: TestLedger;
beforeAll(async () => {
  ledger = await openLedger();
});
afterAll(() => ledger?.close());

/** The ledger's statements, with something between. */
const sqlBy = (run: (text: string, params?: readonly unknown[]) => Promise<unknown[]>): Sql => Object.assign(run, { later: ledger.database.sql.later }) as Sql;

describe('The door for statements', () => {
  let door: Door;
  let now = NOW;
  beforeAll(async () => {
    door = await openDoor(ledger.database.sql, () => now);
  });
  afterAll(() => door?.stop());

  const told = async (answer: Response) => ({ status: answer.status, ...((await answer.json()) as { errors: { message: string; extensions: Record<string, unknown> }[] }).errors[0] });

  test('is shut to whoever is not the gateway, with any link', async () => {
    const url = linkTo(await openAccount(ledger.database, 'Ann'), '2026-11');
    for (const secret of [null, '', `${SECRET}s`, SECRET.slice(1)]) {
      expect(await told(await door.get(url, { secret }))).toMatchObject({ status: 403, extensions: { code: 'FORBIDDEN', reason: 'NOT_THE_GATEWAY' } });
    }
  });

  test('says that a link has expired, and that one was not made here', async () => {
    const url = linkTo(await openAccount(ledger.database, 'Ann'), '2026-11');
    now = new Date(NOW.getTime() + 5 * 60_000);
    expect(await told(await door.get(url))).toEqual({ status: 410, message: 'This link has expired, links are good for 5 minutes: ask for a new link', extensions: { code: 'NOT_FOUND' } });
    now = NOW;
    expect(await told(await door.get(url.replace(/^(.statements.)./, '$1_')))).toMatchObject({ status: 404, extensions: { code: 'NOT_FOUND' } });
  });

  test('says that an account is gone, and has no file name for that', async () => {
    const answer = await door.get(linkTo(uuidv7(), '2026-11'));
    expect(answer.headers.get('content-disposition')).toBeNull();
    expect(await told(answer)).toMatchObject({ status: 404, message: 'There is no such account any more' });
  });

  test('gives statements of employees only', async () => {
    expect((await door.get(linkTo(COMPANY_ACCOUNT, '2026-11'))).status).toBe(404);
  });

  test('says that the database is away, without saying what happened, and logs no link', async () => {
    const failing = await openDoor(sqlBy(() => Promise.reject(Object.assign(new Error('connect to 10.0.0.7 refused'), { code: 'ECONNREFUSED' }))));
    const url = linkTo(uuidv7(), '2026-11');
    expect(await told(await failing.get(url))).toMatchObject({ status: 503, message: expect.stringMatching(/^The database is busy or away/), extensions: { code: 'SERVICE_UNAVAILABLE' } });
    await failing.stop();
    expect(failing.logs).toHaveLength(1);
    expect(failing.logs.join('')).not.toContain(url.split('/')[2]);
  });

  test('breaks off a statement that it can’t finish, so that half of one is not taken for a whole one', async () => {
    const account = await openAccount(ledger.database, 'Ann');
    await post(ledger.database, account, Array.from({ length: 2_500 }, () => fee('2026-11-20', 1)));
    let statements = 0;
    const failing = await openDoor(sqlBy((text, params) => ((statements += 1) === 3 ? Promise.reject(new Error('lost')) : ledger.database.sql(text, params))));
    const answer = await failing.get(linkTo(account, '2026-11'));
    await expect(answer.text()).rejects.toThrow('terminated');
    await failing.stop();
    expect(failing.logs.join('')).toContain('a statement ended before it was whole');
  });
});

describe('A statement of 20,000 entries', () => {
  const ENTRIES = 20_000;
  let account: string;
  let door: Door;
  let pagesRead = 0;
  /** Entries with very long descriptions, more than all buffers between here and a reader hold. */
  let fatten = false;
  beforeAll(async () => {
    account = await openAccount(ledger.database, 'Eve');
    for (let batch = 0; batch < 5; batch += 1) {
      await post(ledger.database, account, Array.from({ length: ENTRIES / 5 }, (_, index) => ({ ...(index % 3 === 0 ? reward : fee)('2026-11-20', 1 + index) })));
    }
    const sql = sqlBy(async (text, params) => {
      pagesRead += 1;
      const rows = await ledger.database.sql(text, params);
      return fatten ? rows.map((row) => ({ ...row, description: 'Feed the parrot '.repeat(200) })) : rows;
    });
    door = await openDoor(sql);
  }, 120_000);
  afterAll(() => door?.stop());

  test('is read and written in little memory, and comes to what the ledger says', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const answer = await door.get(linkTo(account, '2026-11'));
    collect();
    const before = process.memoryUsage().heapUsed;
    let grown = 0;
    let lines = 0;
    let seen = 0;
    let tail = '';
    for await (const chunk of answer.body!) {
      const text = Buffer.from(chunk).toString('latin1');
      lines += text.split('\n').length - 1;
      tail = (tail + text).slice(-200);
      seen += 1;
      if (seen % 20 !== 0) continue;
      collect();
      grown = Math.max(grown, process.memoryUsage().heapUsed - before);
    }
    expect(lines).toBe(1 + 5 + ENTRIES + 2 + 1);
    const { closing } = await truth(ledger.database, account, periodOf('2026-11') as StatementPeriod);
    expect(centsOf(/CLOSING_BALANCE,.*,(.*)\r\n$/.exec(tail)?.[1])).toBe(closing);
    expect(grown).toBeLessThan(16 * 1024 * 1024);
  }, 60_000);

  test('is read no faster than it is taken, and no further when its reader leaves', async () => {
    fatten = true;
    pagesRead = 0;
    const left = new Promise<void>((resolve) => void door.server.once('request', (_request, response: ServerResponse) => void response.once('close', () => resolve())));
    const taken = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest({ port: door.port, host: '127.0.0.1', path: linkTo(account, '2026-11'), headers: { 'x-gateway-secret': SECRET } }, resolve).on('error', reject).end();
    });
    taken.on('error', () => undefined);
    // The reader takes one piece, and no more.
    await new Promise((resolve) => taken.once('readable', resolve));
    taken.read(1);
    taken.destroy();
    await left;
    const readByThen = pagesRead;
    // Had the first one gone on, it would have read its other pages by the time that a whole one has been read.
    fatten = false;
    await (await door.get(linkTo(account, '2026-11'))).text();
    expect(readByThen).toBeLessThan(40);
    expect(pagesRead).toBeLessThanOrEqual(readByThen + 1 + 51);
  }, 60_000);
});
