import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { statementPdf } from '../src/statement-pdf.ts';
import { periodOf, type StatementPeriod } from '../src/statement-period.ts';
import { readStatementHead, readStatementPages } from '../src/statement-rows.ts';
import { centsOf, fee, linkTo, NOW, openAccount, openDoor, openLedger, payout, post, reward, truth, type Door, type TestLedger } from './statement-ledger.ts';

let ledger: TestLedger;
beforeAll(async () => {
  ledger = await openLedger();
});
afterAll(() => ledger?.close());

/** The records of RFC 4180. */
function parseCsv(text: string): string[][] {
  const records = text.replace(/^\ufeff/, '').match(/(?:"(?:[^"]|"")*"|[^\r"])*\r\n/g) ?? [];
  return records.map((record) =>
    [...record.slice(0, -2).matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ''),
  );
}
const rowsOf = (text: string): Record<string, string>[] => {
  const [header = [], ...records] = parseCsv(text);
  return records.map((record) => Object.fromEntries(header.map((name, column) => [name, record[column] ?? ''])));
};
/** The texts of a PDF in Helvetica, in the order in which they are written. */
function textsOf(pdf: Buffer): string[] {
  const contents = [...pdf.toString('latin1').matchAll(/\/Length \d+(\s*\/Filter \/FlateDecode)?\s*>>\s*stream\n([^]*?)\nendstream/g)].map(([, packed, data = '']) =>
    packed === undefined ? data : inflateSync(Buffer.from(data, 'latin1')).toString('latin1'),
  );
  return contents.flatMap((content) =>
    [...content.matchAll(/\[([^\]]*)\] TJ/g)].map(([, pieces = '']) => [...pieces.matchAll(/<([0-9a-f]*)>/g)].map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1')).join('')),
  );
}
const pagesOf = (pdf: Buffer): number => [...pdf.toString('latin1').matchAll(/\/Type \/Page\n/g)].length;

async function whole<Chunk>(chunks: AsyncIterable<Chunk>): Promise<Chunk[]> {
  const all: Chunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

describe('A statement', () => {
  let door: Door;
  beforeAll(async () => {
    door = await openDoor(ledger.database.sql);
  });
  afterAll(() => door?.stop());

  async function csv(accountId: string, label: string): Promise<Record<string, string>[]> {
    const answer = await door.get(linkTo(accountId, label));
    expect(answer.status).toBe(200);
    return rowsOf(await answer.text());
  }

  /** Of one account: earlier days, payouts after midnight, and a day that was closed when the second day after it was well under way. */
  let account: string;
  const TASK = uuidv7();
  beforeAll(async () => {
    account = await openAccount(ledger.database, 'Ann "the Beak" O\'Popug; filename="evil.exe"\r\nset-cookie: a=b');
    await ledger.database.sql(`insert into task_copies (task_id, number, ticket, title) values ($1, 17, null, 'Feed the parrot')`, [TASK]);
    await post(ledger.database, account, [
      reward('2026-10-30', 100_05),
      { ...fee('2026-10-31', 10_00), taskId: TASK },
      reward('2026-11-01', 1),
      payout('2026-10-30', 100_05, '2026-11-01T00:00:10Z'),
      { ...fee('2026-11-19', 20_07, '=HYPERLINK("http://evil.test","Feed, the parrot")'), taskId: TASK },
      { kind: 'REVERSAL', amount: 20_07, day: '2026-11-20', description: 'Reversal of Fee for POPUG-17', taskId: TASK, reverses: 5 },
      reward('2026-11-20', 7_00),
      payout('2026-11-19', 5_00, '2026-11-20T00:00:10Z'),
      fee('2026-12-01', 3_33),
      payout('2026-11-20', 2_00, '2026-12-01T00:00:10Z'),
    ]);
  });

  test('as CSV has the head, every entry of its business days in the order of their numbers, totals by kind, and balances that add up', async () => {
    expect((await csv(account, '2026-11-20')).map((row) => Object.values(row).join('|'))).toEqual([
      `OWNER||||||Ann "the Beak" O'Popug; filename="evil.exe" set-cookie: a=b||`,
      `ACCOUNT||||||${account}||`,
      'PERIOD||||||2026-11-20||',
      'MADE_AT|||2026-12-01T09:00:00.000Z|||||',
      'OPENING_BALANCE||2026-11-20||||||-35.06',
      'ENTRY|6|2026-11-20|2026-11-20T12:00:00.000Z|REVERSAL|POPUG-17|Reversal of Fee for POPUG-17|20.07|-14.99',
      'ENTRY|7|2026-11-20|2026-11-20T12:00:00.000Z|REWARD||Reward for POPUG-17 Feed the parrot|7.00|-7.99',
      'ENTRY|10|2026-11-20|2026-12-01T00:00:10.000Z|PAYOUT||Payout of 2026-11-20|-2.00|-9.99',
      'TOTAL|1|||PAYOUT|||-2.00|',
      'TOTAL|1|||REVERSAL|||20.07|',
      'TOTAL|1|||REWARD|||7.00|',
      'CLOSING_BALANCE||2026-11-20||||||-9.99',
    ]);
  });

  test.each(['2026-10-29', '2026-10-30', '2026-10-31', '2026-11-01', '2026-11-19', '2026-11-20', '2026-12-01', '2027-01-01', '2026-09', '2026-10', '2026-11', '2026-12', '2027-01'])(
    'of %s opens and closes as the ledger says, to the cent, whatever the order in which its days were posted',
    async (label) => {
      const rows = await csv(account, label);
      const { opening, closing, entries } = await truth(ledger.database, account, periodOf(label) as StatementPeriod);
      const of = (record: string) => rows.filter((row) => row['record'] === record);
      expect(centsOf(of('OPENING_BALANCE')[0]?.['balance'])).toBe(opening);
      expect(centsOf(of('CLOSING_BALANCE')[0]?.['balance'])).toBe(closing);
      expect(of('ENTRY')).toHaveLength(entries ?? -1);
      const amounts = of('ENTRY').map(({ amount }) => centsOf(amount));
      expect(of('ENTRY').map(({ balance }) => centsOf(balance))).toEqual(amounts.map((_, index) => opening + amounts.slice(0, index + 1).reduce((sum, amount) => sum + amount, 0)));
      expect(of('TOTAL').reduce((sum, { amount }) => sum + centsOf(amount), 0)).toBe(closing - opening);
    },
  );

  test('of days in any disorder opens and closes as the ledger says', async () => {
    const shuffled = await openAccount(ledger.database, 'Bob');
    // The same disorder each time.
    let state = 17;
    const next = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
    for (let batch = 0; batch < 5; batch += 1) {
      await post(ledger.database, shuffled, Array.from({ length: 60 }, () => (next(2) === 0 ? reward : fee)(`2026-11-${String(1 + next(9)).padStart(2, '0')}`, 1 + next(5_000))));
    }
    for (let day = 1; day <= 10; day += 1) {
      const period = periodOf(`2026-11-${String(day).padStart(2, '0')}`) as StatementPeriod;
      const head = await readStatementHead(ledger.database.sql, { accountId: shuffled, period, now: NOW });
      const lines = (await whole(readStatementPages(ledger.database.sql, head!))).flat();
      const expected = await truth(ledger.database, shuffled, period);
      expect({ opening: head?.openingBalance, entries: lines.length }).toEqual({ opening: expected.opening, entries: expected.entries });
      expect(head!.openingBalance + lines.reduce((sum, { amount }) => sum + amount, 0)).toBe(expected.closing);
      expect(lines.map(({ number }) => number)).toEqual(lines.map(({ number }) => number).toSorted((one, other) => one - other));
    }
  });

  test('as CSV is RFC 4180 for people: a byte order mark, CRLF, quotes where they are needed, and no formula', async () => {
    const answer = await door.get(linkTo(account, '2026-11-19'));
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    const text = Buffer.from(await answer.arrayBuffer()).toString('utf8');
    expect(text.startsWith('\ufeffrecord,number,day,time,kind,task,description,amount,balance\r\nOWNER,')).toBe(true);
    expect(text.endsWith('\r\n')).toBe(true);
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(text).toContain(`,"'=HYPERLINK(""http://evil.test"",""Feed, the parrot"")",-20.07,`);
    expect(rowsOf(text).find(({ number, record }) => record === 'ENTRY' && number === '5')).toMatchObject({ description: `'=HYPERLINK("http://evil.test","Feed, the parrot")`, amount: '-20.07' });
  });

  test('has a file name of its own that no name of a person gets into', async () => {
    const answer = await door.get(linkTo(account, '2026-11', 'PDF'));
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="statement-2026-11.pdf"');
    expect(answer.headers.get('content-type')).toBe('application/pdf');
    expect(answer.headers.get('set-cookie')).toBeNull();
    await answer.arrayBuffer();
  });

  test('as PDF shows the same', async () => {
    const answer = await door.get(linkTo(account, '2026-11-20', 'PDF'));
    const pdf = Buffer.from(await answer.arrayBuffer());
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    expect(pdf.toString('latin1').trimEnd().endsWith('%%EOF')).toBe(true);
    expect(pagesOf(pdf)).toBe(1);
    const texts = textsOf(pdf);
    expect(texts).toEqual(expect.arrayContaining(['Statement 2026-11-20', `Account ${account}`, 'Business day 2026-11-20', 'Opening balance', '-35.06', 'Closing balance', '-9.99']));
    expect(texts.join('|')).toContain('6|2026-11-20|2026-11-20T12:00:00.000Z|REVERSAL|POPUG-17|Reversal of Fee for POPUG-17|20.07|-14.99');
    expect(texts.join('|')).toContain('Total of REWARD, 1 entry|7.00');
  });

  test('as PDF repeats its header line, numbers its pages, and shows no more lines than it may, with totals of all', async () => {
    const many = await openAccount(ledger.database, 'Cleo');
    await post(ledger.database, many, Array.from({ length: 150 }, (_, index) => fee('2026-11-20', index + 1)));
    const head = await readStatementHead(ledger.database.sql, { accountId: many, period: periodOf('2026-11') as StatementPeriod, now: NOW });
    const write = async (linesMax: number) => Buffer.concat(await whole(statementPdf(head!, readStatementPages(ledger.database.sql, head!), { compress: false, linesMax })));
    const every = textsOf(await write(150));
    expect(every.filter((text) => text === 'Balance, $')).toHaveLength(4);
    expect(every).toEqual(expect.arrayContaining([`Statement 2026-11 · account ${many} · page 4`.replaceAll('·', '\xb7'), 'Total of FEE, 150 entries', '-113.25']));
    expect(every.filter((text) => text === 'FEE')).toHaveLength(150);
    const cut = textsOf(await write(100));
    expect(cut.filter((text) => text === 'FEE')).toHaveLength(100);
    expect(cut).toEqual(expect.arrayContaining(['50 more entries are counted below and not shown here: take the statement as CSV, which has them all', 'Total of FEE, 150 entries', '-113.25']));
  });

  test('as PDF shows ? for every letter that Helvetica has not, where there is no other font', async () => {
    const head = await readStatementHead(ledger.database.sql, { accountId: await openAccount(ledger.database, 'Zoë Попуг 👨‍👩‍👧!'), period: periodOf('2026-11') as StatementPeriod, now: NOW });
    const pdf = Buffer.concat(await whole(statementPdf(head!, readStatementPages(ledger.database.sql, head!), { fonts: null })));
    expect(textsOf(pdf)).toContain('Of Zoë ????? ???!');
  });

  test('as PDF shows any alphabet that DejaVu has, and ? for what it has not; long titles are cut', async () => {
    const wild = await openAccount(ledger.database, 'Жанна Попуг 漢字 👨‍👩‍👧 عربية');
    const titles = ['Покормить попугая', 'नमस्ते दुनिया', '\u202eдень', 'a\u0301b\u0301 e\u0308', 'x'.repeat(2_000), 'слово '.repeat(200), '漢'.repeat(300), '\ufffd\ufffe￼', '🦜'.repeat(99), 'ﷺ ﷽', "); evil (\\"];
    await post(ledger.database, wild, titles.map((title) => fee('2026-11-20', 1_00, title)));
    const answer = await door.get(linkTo(wild, '2026-11-20', 'PDF'));
    expect([answer.status, door.logs]).toEqual([200, []]);
    const pdf = Buffer.from(await answer.arrayBuffer()).toString('latin1');
    expect(pdf).toMatch(/\/BaseFont \/[A-Z]{6}\+DejaVuSans\n/);
    expect(pdf.trimEnd().endsWith('%%EOF')).toBe(true);
    // What the shown glyphs mean, for those who copy them: Ж, п, and ? in place of 漢.
    const maps = [...pdf.matchAll(/stream\n([^]*?)\nendstream/g)].flatMap(([, data = '']) => {
      try {
        const text = inflateSync(Buffer.from(data, 'latin1')).toString('latin1');
        return text.includes('beginbfrange') ? [text] : [];
      } catch {
        return [];
      }
    });
    expect(maps.join('')).toMatch(/<0416>/);
    expect(maps.join('')).toMatch(/<003f>/);
    expect(maps.join('')).not.toMatch(/<6f22>/);
  });

  test('of an account without entries is whole, and closes as it opens', async () => {
    const empty = await openAccount(ledger.database, 'Dan');
    expect((await csv(empty, '2026-11')).map(({ record, balance }) => `${record} ${balance}`)).toEqual(['OWNER ', 'ACCOUNT ', 'PERIOD ', 'MADE_AT ', 'OPENING_BALANCE 0.00', 'CLOSING_BALANCE 0.00']);
    const pdf = textsOf(Buffer.from(await (await door.get(linkTo(empty, '2026-11', 'PDF'))).arrayBuffer()));
    expect(pdf).toContain('No entries');
  });

  test('is told to be there, without being written, when only its head is asked for', async () => {
    const answer = await door.get(linkTo(account, '2026-11'), { method: 'HEAD' });
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')]).toEqual([
      200,
      'text/csv; charset=utf-8; header=present',
      'attachment; filename="statement-2026-11.csv"',
    ]);
    expect(await answer.text()).toBe('');
  });
});
