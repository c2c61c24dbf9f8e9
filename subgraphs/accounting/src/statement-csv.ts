import { cents, type Cents } from '@ates/shared-events/cents';
import { stringify, type Options } from 'csv-stringify/sync';
import { createTally, dollars, type StatementHead, type StatementLine } from './statement-rows.ts';

/** What a line is, is in its first column; `number` of a total is how many entries it is of. */
const COLUMNS = ['record', 'number', 'day', 'time', 'kind', 'task', 'description', 'amount', 'balance'];

/** A number is an amount of money here, whatever else counts is text: it alone may begin with a minus and not be taken for a formula. */
type Field = Cents | string | null;
type CsvRecord = readonly [record: string, number: Field, day: Field, time: Field, kind: Field, task: Field, description: Field, amount: Field, balance: Field];

/** RFC 4180. Titles and names are people's text: what a spreadsheet would take for a formula gets an apostrophe before it. */
const OPTIONS: Options = {
  columns: COLUMNS,
  record_delimiter: 'windows',
  escape_formulas: true,
  cast: { number: (amount) => dollars(cents(amount)) },
};

/**
 * A statement as CSV, a chunk for each page of entries. It begins with a byte order mark: it is for people who open it with a click, and
 * without the mark Excel reads names in other alphabets as rubbish; programs have the API.
 */
export async function* statementCsv(head: StatementHead, pages: AsyncIterable<readonly StatementLine[]>): AsyncGenerator<string, void> {
  const tally = createTally(head);
  yield stringify(headRecords(head), { ...OPTIONS, header: true, bom: true });
  for await (const page of pages) {
    const records = page.map((line): CsvRecord => {
      const { number, businessDay, postedAt, kind, task, description, amount } = line;
      return ['ENTRY', String(number), businessDay, postedAt.toISOString(), kind, task, description, amount, tally.add(line)];
    });
    if (records.length > 0) yield stringify(records, OPTIONS);
  }
  const totals = tally.totals().map(({ kind, entries, amount }): CsvRecord => ['TOTAL', String(entries), null, null, kind, null, null, amount, null]);
  const closing: CsvRecord = ['CLOSING_BALANCE', null, head.period.lastDay, null, null, null, null, null, tally.balance()];
  yield stringify([...totals, closing], OPTIONS);
}

function headRecords({ ownerName, accountId, period, madeAt, openingBalance }: StatementHead): CsvRecord[] {
  const told = (record: string, description: string): CsvRecord => [record, null, null, null, null, null, description, null, null];
  return [
    told('OWNER', ownerName),
    told('ACCOUNT', accountId),
    told('PERIOD', period.label),
    ['MADE_AT', null, null, madeAt.toISOString(), null, null, null, null, null],
    ['OPENING_BALANCE', null, period.firstDay, null, null, null, null, null, openingBalance],
  ];
}
