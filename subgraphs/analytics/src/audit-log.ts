import { connectionOf, cursorOf, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import type { EntryKind } from '@ates/shared-events/accounting-events';
import { cents, type Cents } from '@ates/shared-events/cents';
import { boundsOf, cursorKeyOf, isHopeless, placeIn, type AuditBounds, type AuditFilter, type AuditPlace } from './audit-filter.ts';
import {
  AMOUNTS_MAX_DAYS, amountsStatement, checkedStatement, daysBefore, isAlongIndex, isByAmount, latestDay, LOOKS_MAX_ENTRIES, piecesOf, walkStatement,
  type AskedEntries, type Looked, type Statement,
} from './audit-walks.ts';
import { FIRST_DAY } from './day-range.ts';

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
  const bounded = await withinPartitions(database.sql, bounds);
  const { rows, end } = await inPartitions(database, (sql) => lookFor(sql, { filter, bounds: bounded, after, limit: page.limit + 1, looks: LOOKS_MAX_ENTRIES }));
  const { edges, pageInfo } = connectionOf(rows.map(entryOf), page, cursorKeyOf);
  // A page that is not full goes on behind the last place that was looked at.
  if (pageInfo.hasNextPage || end === null) return { edges, pageInfo };
  return { edges, pageInfo: { hasNextPage: true, endCursor: cursorOf(cursorKeyOf(end)) } };
}

/** No entry's id is before it. */
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

const PLANNING = `
  select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`;

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

type LookedRow = Row & Looked;

/** What was found, and where the look ended before the log did; null: it came to the end, or to what was asked for. */
interface Found {
  readonly rows: readonly Row[];
  readonly end: AuditPlace | null;
}

/** Looks through piece after piece until it has what is asked for, or has looked at as much as a page may. */
function lookFor(sql: Sql, asked: AskedEntries): Promise<Found> {
  if (isAlongIndex(asked.filter)) return walk(sql, asked);
  return isByAmount(asked.filter) ? lookByAmount(sql, asked) : lookAlong(sql, asked, []);
}

async function walk(sql: Sql, asked: AskedEntries): Promise<Found> {
  const rows: Row[] = [];
  for (const bounds of piecesOf(asked.bounds, asked.after)) {
    const { text, params } = walkStatement({ ...asked, bounds, limit: asked.limit - rows.length });
    rows.push(...(await sql<Row>(text, params)));
    if (rows.length === asked.limit) break;
  }
  return { rows, end: null };
}

/** @param before what was found in the days after these */
async function lookAlong(sql: Sql, asked: AskedEntries, before: readonly Row[]): Promise<Found> {
  const rows = [...before];
  let { looks } = asked;
  for (const bounds of piecesOf(asked.bounds, asked.after)) {
    const answered = await look(sql, checkedStatement({ ...asked, bounds, limit: asked.limit - rows.length, looks }));
    rows.push(...answered.rows);
    looks -= answered.looked;
    if (rows.length === asked.limit || (looks === 0 && answered.last !== null)) return { rows, end: answered.last };
  }
  return { rows, end: null };
}

/** Of amounts that many entries have, a page is found soon along the other index: from the day on which there are too many. */
async function lookByAmount(sql: Sql, asked: AskedEntries): Promise<Found> {
  const { bounds: whole, after, limit } = asked;
  const rows: Row[] = [];
  const earliest = earliestFor(whole, latestDay(whole.toDay, after));
  let { looks } = asked;
  for (const bounds of piecesOf({ ...whole, fromDay: earliest }, after)) {
    const answered = await look(sql, amountsStatement({ ...asked, bounds, limit: limit - rows.length, looks }));
    rows.push(...answered.rows);
    if (rows.length === limit) return { rows, end: null };
    if (answered.looked > looks) return lookAlong(sql, { ...asked, bounds: { ...whole, toDay: answered.lastDay } }, rows);
    looks -= answered.looked;
  }
  return { rows, end: earliest === whole.fromDay || earliest === null ? null : { day: earliest, at: `${FIRST_DAY}T00:00:00.000000Z`, id: FIRST_ID } };
}

function earliestFor({ fromDay }: AuditBounds, latest: string | null): string | null {
  const earliest = latest === null ? null : daysBefore(latest, AMOUNTS_MAX_DAYS);
  return earliest === null || (fromDay !== null && fromDay > earliest) ? fromDay : earliest;
}

interface Answered extends Pick<Looked, 'looked' | 'lastDay'> {
  readonly rows: readonly Row[];
  readonly last: AuditPlace | null;
}

async function look(sql: Sql, { text, params }: Statement): Promise<Answered> {
  const answered = await sql<LookedRow>(text, params);
  const { looked = 0, lastDay = null, lastAt = null, lastId = null } = answered[0] ?? {};
  const last = lastDay === null || lastAt === null || lastId === null ? null : { day: lastDay, at: lastAt, id: lastId };
  // Where nothing was found there is one row, which says how much was looked at.
  return { rows: answered.filter(({ id }) => id !== null), looked, lastDay, last };
}

function entryOf({ day, at, id, kind, amount, description, employeeId, taskId }: Row): AuditEntry {
  return { day, at, id, kind, amount: cents(amount), description, employeeId, taskId };
}
