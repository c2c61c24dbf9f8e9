import { addCents, negateCents, type Cents } from '@ates/shared-events/cents';

/** How many of a day's entries a statement lists at most, the newest; the API has them all. */
export const STATEMENT_ENTRIES_MAX = 200;

/** What a mail says, twice: as plain text and as HTML. Nothing in it can end a header. */
export interface MailTexts {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface StatementLine {
  readonly description: string;
  readonly amount: Cents;
  readonly balanceAfter: Cents;
}

/** What an employee is told of a day on which they were paid. Only what belongs to the day counts, whatever was posted in between. */
export interface DayStatement {
  /** Of the employee. */
  readonly name: string;
  /** `YYYY-MM-DD`. */
  readonly day: string;
  readonly opening: Cents;
  /** The day's entries that come before those listed: how many, and what they moved together. */
  readonly omitted: { readonly count: number; readonly amount: Cents };
  /** In the order in which they were posted, without the payout. */
  readonly entries: readonly StatementLine[];
  /** Positive. */
  readonly payout: Cents;
  readonly closing: Cents;
}

/** What managers and admins are told of a day. */
export interface DayReport {
  /** Of the manager or admin. */
  readonly name: string;
  /** `YYYY-MM-DD`. */
  readonly day: string;
  readonly companyEarnings: Cents;
  readonly paidOut: Cents;
  readonly paidEmployees: number;
  readonly carriedOver: Cents;
  readonly employeesInTheRed: number;
  /** Null when no task was completed. */
  readonly mostExpensive: { readonly task: string; readonly reward: Cents } | null;
  readonly assignments: number;
  readonly completions: number;
}

type Align = 'left' | 'right';
type Row = readonly string[];

/** An amount for people: `$1,234.56`, and `−$12.34` with a minus sign, not a hyphen. */
export function dollars(amount: Cents): string {
  const positive = Math.abs(amount);
  const rest = positive % 100;
  return `${amount < 0 ? '−' : ''}$${count((positive - rest) / 100)}.${String(rest).padStart(2, '0')}`;
}

/** What somebody typed, as one line: a line break or a change of direction in a name must not look like a part of the mail. */
export function oneLine(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/[\s\p{Cc}\u2028\u2029]+/gu, ' ')
    .trim();
}

export function statementMail(statement: DayStatement): MailTexts {
  const { day, payout, opening, closing, omitted } = statement;
  const subject = `Paid out for ${day}: ${dollars(payout)}`;
  const greeting = `Hello ${oneLine(statement.name)},`;
  const lead = `your balance of ${day} was paid out: ${dollars(payout)}. This is how it came about.`;
  const rows: Row[] = [
    ['', dollars(opening), 'Opening balance'],
    ...(omitted.count === 0 ? [] : [[dollars(omitted.amount), dollars(addCents(opening, omitted.amount)), `${count(omitted.count)} earlier entries, not listed here`]]),
    ...statement.entries.map(({ amount, balanceAfter, description }) => [dollars(amount), dollars(balanceAfter), oneLine(description)]),
    [dollars(negateCents(payout)), dollars(closing), 'Payout'],
    ['', dollars(closing), 'Closing balance'],
  ];
  const more =
    omitted.count === 0
      ? []
      : [
          `The newest ${count(statement.entries.length)} entries of the day are listed, ${count(omitted.count)} more are not. The API has them all, in pages: ` +
            `{ myAccount { entries(day: "${day}") { edges { node { description amount balanceAfter } } pageInfo { endCursor } } } }`,
        ];
  const head = ['Amount', 'Balance', 'For'];
  return {
    subject,
    text: linesOf([greeting, '', lead, '', ...textTable([head, ...rows], ['right', 'right', 'left']), ...more.flatMap((line) => ['', line])]),
    html: page(subject, [paragraph(greeting), paragraph(lead), htmlTable(head, rows, ['right', 'right', 'left']), ...more.map(paragraph)]),
  };
}

export function reportMail(report: DayReport): MailTexts {
  const { day, mostExpensive } = report;
  const subject = `aTES report of ${day}`;
  const greeting = `Hello ${oneLine(report.name)},`;
  const lead = `business day ${day} is closed.`;
  const rows: Row[] = [
    ['Company earnings', dollars(report.companyEarnings)],
    ['Paid out', `${dollars(report.paidOut)} to ${popugs(report.paidEmployees)}`],
    ['Carried over', dollars(report.carriedOver)],
    ['In the red', popugs(report.employeesInTheRed)],
    ['Most expensive task completed', mostExpensive === null ? 'none was completed' : `${oneLine(mostExpensive.task)}, ${dollars(mostExpensive.reward)}`],
    ['Assignments', count(report.assignments)],
    ['Completions', count(report.completions)],
  ];
  return {
    subject,
    text: linesOf([greeting, '', lead, '', ...textTable(rows, ['left', 'left'])]),
    html: page(subject, [paragraph(greeting), paragraph(lead), htmlTable(null, rows, ['left', 'left'])]),
  };
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

function popugs(number: number): string {
  return `${count(number)} ${number === 1 ? 'popug' : 'popugs'}`;
}

function linesOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

/** Columns next to each other; the last one is as long as it is. */
function textTable(rows: readonly Row[], align: readonly Align[]): string[] {
  const widths = align.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        if (column === row.length - 1) return cell;
        return align[column] === 'right' ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0);
      })
      .join('  '),
  );
}

function htmlTable(head: Row | null, rows: readonly Row[], align: readonly Align[]): string {
  const cells = (name: 'td' | 'th', row: Row): string =>
    row.map((cell, column) => `<${name} style="padding:2px 12px 2px 0;text-align:${align[column] ?? 'left'};vertical-align:top">${escapeHtml(cell)}</${name}>`).join('');
  const header = head === null ? '' : `<thead><tr>${cells('th', head)}</tr></thead>\n`;
  return `<table style="border-collapse:collapse">\n${header}<tbody>\n${rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n')}\n</tbody>\n</table>`;
}

function paragraph(text: string): string {
  return `<p>${escapeHtml(text)}</p>`;
}

function page(title: string, parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body style="font-family:sans-serif;font-size:14px">
${parts.join('\n')}
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
