import { connectionOf, cursorOf, pageOf, type Connection, type Page, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import type { EntryKind } from '@ates/shared-events/accounting-events';
import { cents, type Cents } from '@ates/shared-events/cents';
import { boundsOf, cursorKeyOf, isHopeless, placeIn, type AuditBounds, type AuditFilter, type AuditPlace } from './audit-filter.ts';
import { fewByAmount, newestOf, walkOf, type AskedEntries } from './audit-walks.ts';

/** A line of the audit log. */
export interface AuditEntry extends AuditPlace {
  readonly kind: EntryKind;
  /** What the employee's balance changed by. */
  readonly amount: Cents;
  readonly description: string;
  readonly employeeId: string;
  readonly taskId: string | null;
}

type Row = Omit<AuditEntry, 'amount'> & { readonly amount: string };

/**
 * A page of the audit log, newest first by (business day, moment, id). A cursor is a place in that order: what is added meanwhile neither
 * shifts nor repeats anything. The time of a page is bounded: where a filter lets few through, it may be shorter than asked for, though there
 * are more; it goes on with `endCursor`.
 * @throws DomainError BAD_USER_INPUT
 */
export async function readAuditLog(database: Database, filter: AuditFilter, pageArguments: PageArguments): Promise<Connection<AuditEntry>> {
  const page = pageOf(pageArguments, 3);
  const after = page.after === null ? null : placeIn(page.after);
  const bounds = boundsOf(filter);
  if (isHopeless(filter, bounds)) return connectionOf<AuditEntry>([], page, cursorKeyOf);
  return inPartitions(database, async (sql) => {
    const asked = { filter, bounds: await withinPartitions(sql, bounds), after, limit: page.limit + 1 };
    return (await readFew(sql, asked, page)) ?? readWalk(sql, asked, page);
  });
}

const PLANNING = `
  select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)`;

/**
 * A transaction whose statements are planned for their values: only so are partitions that can't have what is asked for left out, and the others in
 * order. An index has every order that is asked for; what the planner takes for few enough to be sorted may be many.
 */
export function inPartitions<Result>(database: Database, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  return database.sqlTransaction(async (sql) => {
    await sql.later(PLANNING);
    return work(sql);
  });
}

/**
 * The bounds within the days that can have entries. Where they leave out the partition of all others, which is empty as long as partitions are made in
 * time, PostgreSQL takes the partitions one after the other as far as it needs; with it, it has to begin all of them.
 */
export async function withinPartitions(sql: Sql, { fromDay, toDay }: AuditBounds): Promise<AuditBounds> {
  const [known] = await sql<{ first: string | null; last: string | null }>(
    `select least(min(month), (select min(day) from audit_entries_others))::text as first,
       greatest((max(month) + interval '1 month' - interval '1 day')::date, (select max(day) from audit_entries_others))::text as last
     from (select to_date(right(relname, 7), 'YYYY_MM') as month from pg_inherits join pg_class on pg_class.oid = inhrelid
       where inhparent = 'audit_entries'::regclass and relname ~ '_[0-9]{4}_[0-9]{2}$') as partitions`,
  );
  if (known?.first == null || known.last === null) return { fromDay, toDay };
  return { fromDay: fromDay === null || fromDay < known.first ? known.first : fromDay, toDay: toDay === null || toDay > known.last ? known.last : toDay };
}

/** The page, when it can be had from few candidates by their amounts; else null. */
async function readFew(sql: Sql, asked: AskedEntries, page: Page): Promise<Connection<AuditEntry> | null> {
  const search = fewByAmount(asked);
  if (search === null) return null;
  const rows = await sql<Row & { readonly few: boolean }>(search.statement.text, search.statement.params);
  if (rows[0]?.few !== true) return null;
  // Of no entries there is one row, which says that they are few.
  return goingOn(connectionOf(rows.filter(({ id }) => id !== null).map(entryOf), page, cursorKeyOf), search.boundary);
}

/** A page that is not full goes on behind the last place that was looked at. */
function goingOn({ edges, pageInfo }: Connection<AuditEntry>, boundary: AuditPlace | null): Connection<AuditEntry> {
  if (pageInfo.hasNextPage || boundary === null) return { edges, pageInfo };
  return { edges, pageInfo: { hasNextPage: true, endCursor: cursorOf(cursorKeyOf(boundary)) } };
}

async function readWalk(sql: Sql, asked: AskedEntries, page: Page): Promise<Connection<AuditEntry>> {
  const newest = newestOf(asked);
  if (newest !== null) {
    const { found } = walkOf(newest);
    const rows = await sql<Row>(found.text, found.params);
    if (rows.length === asked.limit) return connectionOf(rows.map(entryOf), page, cursorKeyOf);
  }
  const { found, boundary } = walkOf(asked);
  const rows = await sql<Row>(found.text, found.params);
  const connection = connectionOf(rows.map(entryOf), page, cursorKeyOf);
  if (connection.pageInfo.hasNextPage || boundary === null) return connection;
  const [end = null] = await sql<AuditPlace>(boundary.text, boundary.params);
  return goingOn(connection, end);
}

function entryOf({ day, at, id, kind, amount, description, employeeId, taskId }: Row): AuditEntry {
  return { day, at, id, kind, amount: cents(amount), description, employeeId, taskId };
}
