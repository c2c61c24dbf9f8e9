import { setImmediate as othersTurn } from 'node:timers/promises';
import PDFDocument from 'pdfkit';
import { statementFonts, type StatementFonts } from './statement-fonts.ts';
import { createPen, LINE_HEIGHT, type Align, type Cell, type Pen, type Weight } from './statement-pen.ts';
import { createTally, dollars, type KindTotal, type StatementHead, type StatementLine } from './statement-rows.ts';

export interface PdfOptions {
  /** Default: true. */
  readonly compress?: boolean;
  /** More entries than these are counted and not shown. Default: 10,000. */
  readonly linesMax?: number;
  /** For what Helvetica has no letters for; null: `?` in their place. Default: DejaVu, where it is installed. */
  readonly fonts?: StatementFonts | null;
}

/** About 300 pages; who has more reads them by machine. */
const LINES_MAX = 10_000;

const MARGIN = 36;
const HEADING_SIZE = 16;
const DESCRIPTION_LINES_MAX = 3;
/** Between a column's text and the next column. */
const GAP = 8;
const FOOTER_HEIGHT = 2 * LINE_HEIGHT;
/** A4, lying. */
const PAGE = { width: 841.89, height: 595.28 };
const BODY_END = PAGE.height - MARGIN - FOOTER_HEIGHT;
const WIDTH = PAGE.width - 2 * MARGIN;

const COLUMNS = placed({
  number: { title: 'Entry', width: 42, align: 'right' },
  day: { title: 'Day', width: 58 },
  time: { title: 'Time', width: 112 },
  kind: { title: 'Kind', width: 58 },
  task: { title: 'Task', width: 78 },
  description: { title: 'Description', width: WIDTH - 498, linesMax: DESCRIPTION_LINES_MAX },
  amount: { title: 'Amount, $', width: 75, align: 'right' },
  balance: { title: 'Balance, $', width: 75, align: 'right' },
});
type Column = keyof typeof COLUMNS;
const WHOLE_LINE: Cell = { x: MARGIN, width: WIDTH, align: 'left' };

/**
 * A statement as PDF, a chunk whenever pages are full: neither the document nor its entries are ever held whole. Letters that DejaVu
 * has not (Chinese, Japanese, Korean and others) are shown as `?`.
 */
export async function* statementPdf(head: StatementHead, pages: AsyncIterable<readonly StatementLine[]>, options: PdfOptions = {}): AsyncGenerator<Buffer, void> {
  const { linesMax = LINES_MAX } = options;
  const sheet = createSheet(head, options);
  const tally = createTally(head);
  let lines = 0;
  sheet.opening();
  for await (const page of pages) {
    for (const line of page) {
      lines += 1;
      const balance = dollars(tally.add(line));
      if (lines > linesMax) continue;
      const { number, businessDay: day, postedAt, kind, task, description, amount } = line;
      sheet.row({ number: String(number), day, time: postedAt.toISOString(), kind, task: task ?? '', description, amount: dollars(amount), balance });
      const full = sheet.takeWritten();
      if (full === null) continue;
      yield full;
      // A page takes some milliseconds of this process, which has others to serve.
      await othersTurn();
    }
  }
  if (lines > linesMax) sheet.note(`${lines - linesMax} more entries are counted below and not shown here: take the statement as CSV, which has them all`);
  sheet.totals(tally.totals());
  sheet.closing(dollars(tally.balance()));
  yield sheet.end();
}

interface Sheet {
  opening(): void;
  /** One entry. */
  row(texts: Readonly<Record<Column, string>>): void;
  note(text: string): void;
  totals(totals: readonly KindTotal[]): void;
  closing(balance: string): void;
  /** What has become ready since it was asked last, null when nothing has. */
  takeWritten(): Buffer | null;
  /** The rest. */
  end(): Buffer;
}

/** The document from above to below. */
function createSheet(head: StatementHead, { compress = true, fonts }: PdfOptions): Sheet {
  const { period, accountId, ownerName, madeAt, openingBalance } = head;
  const document = openDocument(head, compress);
  const pen = createPen(document, () => (fonts === undefined ? statementFonts() : fonts));
  const flow = createFlow(document, pen, `Statement ${period.label} · account ${accountId}`);
  const { description, amount, balance } = COLUMNS;
  const upToAmount = { ...WHOLE_LINE, width: description.x + description.width - MARGIN };
  const sumLine = (label: string, sums: { readonly amount?: string; readonly balance?: string }, weight: Weight): void => {
    flow.makeRoom(LINE_HEIGHT);
    flow.write(upToAmount, label, weight);
    flow.write(amount, sums.amount ?? '', weight);
    flow.write(balance, sums.balance ?? '', weight);
    flow.goDown(LINE_HEIGHT);
  };
  return {
    opening: () => {
      flow.beginPage();
      pen.put(`Statement ${period.label}`, { ...WHOLE_LINE, y: MARGIN, weight: 'bold', size: HEADING_SIZE });
      flow.goDown(2 * HEADING_SIZE);
      const days = period.firstDay === period.lastDay ? `Business day ${period.firstDay}` : `Business days ${period.firstDay} to ${period.lastDay}`;
      for (const text of [`Of ${ownerName}`, `Account ${accountId}`, days, `Made at ${madeAt.toISOString()}; what is posted later is not in it. Times are UTC.`, '']) {
        flow.write(WHOLE_LINE, text, 'text');
        flow.goDown(LINE_HEIGHT);
      }
      flow.header();
      sumLine('Opening balance', { balance: dollars(openingBalance) }, 'bold');
    },
    row: (texts) => {
      const height = pen.heightOf(texts.description, description);
      flow.makeRoom(height);
      for (const column of Object.keys(COLUMNS) as Column[]) flow.write(COLUMNS[column], texts[column], 'text');
      flow.goDown(height);
    },
    note: (text) => sumLine(text, {}, 'bold'),
    totals: (totals) => {
      flow.makeRoom((totals.length + 2) * LINE_HEIGHT);
      flow.rule();
      for (const { kind, entries, amount: sum } of totals) sumLine(`Total of ${kind}, ${entries} ${entries === 1 ? 'entry' : 'entries'}`, { amount: dollars(sum) }, 'text');
      if (totals.length === 0) sumLine('No entries', {}, 'text');
    },
    closing: (sum) => sumLine('Closing balance', { balance: sum }, 'bold'),
    takeWritten: () => document.read() as Buffer | null,
    end: () => {
      document.end();
      return (document.read() as Buffer | null) ?? Buffer.alloc(0);
    },
  };
}

/** Keeps the place that comes next, and begins pages with their header line and their footer where one is needed. */
function createFlow(document: PDFKit.PDFDocument, pen: Pen, footer: string) {
  let y = 0;
  let page = 0;
  const flow = {
    write: (cell: Cell, text: string, weight: Weight): void => pen.put(text, { ...cell, y, weight }),
    goDown: (height: number): void => {
      y += height;
    },
    rule: (): void => {
      document.moveTo(MARGIN, y).lineTo(MARGIN + WIDTH, y).lineWidth(0.5).stroke();
      y += 3;
    },
    beginPage: (): void => {
      document.addPage();
      page += 1;
      pen.put(`${footer} · page ${page}`, { ...WHOLE_LINE, y: PAGE.height - MARGIN - LINE_HEIGHT, weight: 'text' });
      y = MARGIN;
    },
    header: (): void => {
      for (const { title, ...cell } of Object.values(COLUMNS)) flow.write(cell, title, 'bold');
      flow.goDown(LINE_HEIGHT);
      flow.rule();
    },
    makeRoom: (height: number): void => {
      if (y + height <= BODY_END) return;
      flow.beginPage();
      flow.header();
    },
  };
  return flow;
}

function openDocument({ period, madeAt }: StatementHead, compress: boolean): PDFKit.PDFDocument {
  const info = { Title: `Statement ${period.label}`, CreationDate: madeAt, Creator: 'aTES Accounting' };
  // All is placed here; the document itself would begin pages where it likes.
  return new PDFDocument({ size: 'A4', layout: 'landscape', margin: 0, autoFirstPage: false, compress, info });
}

interface ColumnOptions {
  readonly title: string;
  readonly width: number;
  readonly align?: Align;
  readonly linesMax?: number;
}

/** Columns from left to right. */
function placed<Name extends string>(columns: Readonly<Record<Name, ColumnOptions>>): Readonly<Record<Name, Cell & { readonly title: string }>> {
  let x = MARGIN;
  const cells = Object.entries<ColumnOptions>(columns).map(([name, { width, ...column }]) => {
    const cell = { align: 'left' as const, ...column, x, width: width - GAP };
    x += width;
    return [name, cell];
  });
  return Object.fromEntries(cells) as Record<Name, Cell & { readonly title: string }>;
}
