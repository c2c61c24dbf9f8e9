import type { Database, Sql } from '@ates/service-kit/database';
import type { AuditBounds, AuditPlace } from './audit-filter.ts';
import { inPartitions, withinPartitions } from './audit-log.ts';
import { ENTRY_MOMENT } from './audit-walks.ts';
import { UNKNOWN_USER_NAME } from './copy-loaders.ts';
import type { DayRange } from './day-range.ts';

/** Entries in one chunk of an export. */
export const EXPORT_PAGE_ENTRIES = 2_000;

/** A byte order mark first: without it Excel reads names in other alphabets as rubbish. */
const HEAD = '\uFEFFday,time,kind,amount,description,employee id,employee name,task number,entry id\r\n';

/** How a spreadsheet's formulas begin, in both widths of letters: = + - @, tab and return. */
const FORMULA_MARKS = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'].map((mark) => mark.codePointAt(0)).join(', ');

/** People's text as a field of RFC 4180, always within quotes. What a spreadsheet would take for a formula gets an apostrophe before it. */
const textField = (value: string): string => `'"' || case when ascii(${value}) in (${FORMULA_MARKS}) then '''' else '' end || replace(${value}, '"', '""') || '"'`;

/** `-12.34`: dollars, made of the digits of the cents. */
const DOLLARS = `case when amount < 0 then '-' else '' end || abs(amount) / 100 || '.' || lpad((abs(amount) % 100)::text, 2, '0')`;

/**
 * A page as one text, made where the rows are: to hand a million of them over one by one, each with nine values, takes several times as long. It goes
 * from a place on ($3 to $5; null: from the beginning), and ends with the place up to which it came. Names and numbers are looked up one by one: else
 * the planner may read all of them for each page.
 */
function pageStatement(after: AuditPlace | null): string {
  const behind = after === null ? '' : 'and (day, posted_at, entry_id) > ($3::date, $4::timestamptz, $5::uuid) and day >= $3::date';
  return `
    with page as materialized (
      select * from audit_entries where day between $1::date and $2::date ${behind} order by day, posted_at, entry_id limit ${EXPORT_PAGE_ENTRIES}
    ), lines as (
      select page.day || ',' || to_char(posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || ',' || kind || ',' || ${DOLLARS} || ','
        || ${textField('description')} || ',' || employee_id || ',' || ${textField(`coalesce(name, '${UNKNOWN_USER_NAME}')`)} || ','
        || coalesce('POPUG-' || nullif(number, 0), '') || ',' || entry_id || E'\\r\\n' as line
      from page
      left join lateral (select name from user_copies where user_id = page.employee_id limit 1) as employee on true
      left join lateral (select number from task_copies where task_copies.task_id = page.task_id limit 1) as task on true
      order by page.day, posted_at, entry_id
    )
    select (select string_agg(line, '') from lines) as text, (select count(*)::int from page) as entries, last.* from (select) as one left join (
      select page.day::text as day, ${ENTRY_MOMENT} as at, entry_id as id from page order by page.day desc, posted_at desc, entry_id desc limit 1
    ) as last on true`;
}

interface Page extends AuditPlace {
  readonly text: string | null;
  readonly entries: number;
}

/**
 * The audit log of a range of days as CSV, the oldest entry first, a chunk for each page. Each page is a transaction of its own: however slowly it is
 * taken, nothing is held open; and while a page is taken the next one is made.
 */
export async function* auditCsv(database: Database, range: DayRange): AsyncGenerator<string, void> {
  // What comes while this is written may be of later months: it is not in it.
  const bounds = await withinPartitions(database.sql, { fromDay: range.from, toDay: range.to });
  let next: Promise<Page | null> = readPage(database, bounds, null);
  let head = HEAD;
  for (let page = await next; page?.text != null; page = await next) {
    next = page.entries < EXPORT_PAGE_ENTRIES ? Promise.resolve(null) : readPage(database, bounds, page);
    // What fails while nobody waits for it yet is told to whoever asks for it then.
    next.catch(() => undefined);
    yield head + page.text;
    head = '';
  }
  if (head !== '') yield head;
}

function readPage(database: Database, { fromDay, toDay }: AuditBounds, after: AuditPlace | null): Promise<Page | null> {
  return inPartitions(database, async (sql: Sql) => {
    const params = [fromDay, toDay, ...(after === null ? [] : [after.day, after.at, after.id])];
    return (await sql<Page>(pageStatement(after), params))[0] ?? null;
  });
}
