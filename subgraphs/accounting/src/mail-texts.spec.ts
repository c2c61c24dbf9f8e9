import { describe, expect, test } from '@jest/globals';
import { cents } from '@ates/shared-events/cents';
import { dollars, oneLine, reportMail, statementMail, type DayReport, type DayStatement } from './mail-texts.ts';

const STATEMENT: DayStatement = {
  name: 'Ann',
  day: '2026-11-20',
  opening: cents(-500),
  omitted: { count: 0, amount: cents(0) },
  entries: [
    { description: 'Fee for POPUG-17 Feed the parrot, assignment 1', amount: cents(-1_500), balanceAfter: cents(-2_000) },
    { description: 'Reward for POPUG-17 Feed the parrot', amount: cents(125_456), balanceAfter: cents(123_456) },
  ],
  payout: cents(123_456),
  closing: cents(0),
};
const REPORT: DayReport = {
  name: 'Max',
  day: '2026-11-20',
  companyEarnings: cents(-1_234),
  paidOut: cents(123_456),
  paidEmployees: 1,
  carriedOver: cents(-77_700),
  employeesInTheRed: 1_200,
  mostExpensive: { task: 'POPUG-17 Feed the parrot', reward: cents(4_000) },
  assignments: 5_000,
  completions: 12,
};
const HOSTILE = `<img src=x onerror="alert(1)"> & 'Co'`;

describe('amounts', () => {
  test.each([
    [0, '$0.00'],
    [5, '$0.05'],
    [123_456, '$1,234.56'],
    [-1_234, '−$12.34'],
    [-5, '−$0.05'],
    [100_000_000, '$1,000,000.00'],
    [Number.MAX_SAFE_INTEGER, '$90,071,992,547,409.91'],
  ])('%d cents are %s', (amount, text) => {
    expect(dollars(cents(amount))).toBe(text);
  });
});

describe('what somebody typed', () => {
  test('becomes one line, without changes of direction and broken characters', () => {
    expect(oneLine(' Ann\r\nBcc: eve@x.test\u2028\t\u202eevil\ud800\u0000 ')).toBe('Ann Bcc: eve@x.test evil\ufffd');
  });
});

describe('the statement of who was paid', () => {
  test('says what was paid in its subject', () => {
    expect(statementMail(STATEMENT).subject).toBe('Paid out for 2026-11-20: $1,234.56');
  });

  test('leads from the opening balance over each entry and the payout to the closing balance', () => {
    expect(statementMail(STATEMENT).text).toBe(
      [
        'Hello Ann,',
        '',
        'your balance of 2026-11-20 was paid out: $1,234.56. This is how it came about.',
        '',
        '    Amount    Balance  For',
        '               −$5.00  Opening balance',
        '   −$15.00    −$20.00  Fee for POPUG-17 Feed the parrot, assignment 1',
        ' $1,254.56  $1,234.56  Reward for POPUG-17 Feed the parrot',
        '−$1,234.56      $0.00  Payout',
        '                $0.00  Closing balance',
        '',
      ].join('\n'),
    );
  });

  test('says the same in HTML', () => {
    const { html } = statementMail(STATEMENT);
    const cells = [...html.matchAll(/<tr>(.*)<\/tr>/g)].map(([, row]) => [...(row ?? '').matchAll(/>([^<]*)<\/t[dh]>/g)].map(([, cell]) => cell));
    expect(cells).toEqual([
      ['Amount', 'Balance', 'For'],
      ['', '−$5.00', 'Opening balance'],
      ['−$15.00', '−$20.00', 'Fee for POPUG-17 Feed the parrot, assignment 1'],
      ['$1,254.56', '$1,234.56', 'Reward for POPUG-17 Feed the parrot'],
      ['−$1,234.56', '$0.00', 'Payout'],
      ['', '$0.00', 'Closing balance'],
    ]);
  });

  test('says how many entries are left out, what they moved, and where to see them', () => {
    const mail = statementMail({ ...STATEMENT, omitted: { count: 4_800, amount: cents(-100) } });
    for (const part of [mail.text, mail.html]) {
      expect(part).toContain('4,800 earlier entries, not listed here');
      expect(part).toContain('−$6.00');
      expect(part).toContain('The newest 2 entries of the day are listed, 4,800 more are not');
    }
    expect(mail.text).toContain('{ myAccount { entries(day: "2026-11-20")');
  });

  test('shows markup in names and titles as the text that it is', () => {
    const { html, text } = statementMail({ ...STATEMENT, name: HOSTILE, entries: [{ description: HOSTILE, amount: cents(1), balanceAfter: cents(1) }] });
    expect(html).not.toContain('<img');
    expect(html.split('&lt;img src=x onerror=&quot;alert(1)&quot;&gt; &amp; &#39;Co&#39;')).toHaveLength(3);
    expect(text.split(HOSTILE)).toHaveLength(3);
  });

  test('has no line that a title made', () => {
    const { text } = statementMail({ ...STATEMENT, entries: [{ description: 'x\n     $0.00  Closing balance', amount: cents(1), balanceAfter: cents(1) }] });
    expect(text.split('\n').filter((line) => line.endsWith('  Closing balance'))).toHaveLength(1);
  });
});

describe('the report of a day', () => {
  test('has the day’s figures', () => {
    const { subject, text } = reportMail(REPORT);
    expect(subject).toBe('aTES report of 2026-11-20');
    expect(text).toBe(
      [
        'Hello Max,',
        '',
        'business day 2026-11-20 is closed.',
        '',
        'Company earnings               −$12.34',
        'Paid out                       $1,234.56 to 1 popug',
        'Carried over                   −$777.00',
        'In the red                     1,200 popugs',
        'Most expensive task completed  POPUG-17 Feed the parrot, $40.00',
        'Assignments                    5,000',
        'Completions                    12',
        '',
      ].join('\n'),
    );
  });

  test('says so when no task was completed', () => {
    const { text, html } = reportMail({ ...REPORT, mostExpensive: null });
    for (const part of [text, html]) expect(part).toContain('none was completed');
  });

  test('shows markup in names and titles as the text that it is', () => {
    const { html } = reportMail({ ...REPORT, name: HOSTILE, mostExpensive: { task: HOSTILE, reward: cents(1) } });
    expect(html).not.toContain('<img');
    expect(html).toContain('&lt;img src=x onerror=&quot;alert(1)&quot;&gt; &amp; &#39;Co&#39;, $0.01');
  });
});
