import type { AuditBounds, AuditFilter, AuditPlace } from './audit-filter.ts';
import { FIRST_DAY } from './day-range.ts';

/** A page of the log that is asked for: everything that it depends on. */
export interface AskedEntries {
  readonly filter: AuditFilter;
  /** Those of the filter, within the days that have partitions. */
  readonly bounds: AuditBounds;
  readonly after: AuditPlace | null;
  /** So many entries, at most. */
  readonly limit: number;
}

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
}

/** So many entries a walk looks at, at most: what bounds the time of a page, whatever the filter. */
export const WALK_MAX_ENTRIES = 1_000;
/** Entries of such amounts are looked at whole while there are not more than so many. */
export const CANDIDATES_MAX_ENTRIES = 1_000;
/** They are looked for in so many days at once: each costs a probe of the index. */
export const CANDIDATES_MAX_DAYS = 400;

/** A page is looked for in so many days first. */
const NEWEST_DAYS = 45;

/** No entry's id is before it. */
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** The moment of an entry to the microsecond: a cursor must not round it. */
export const ENTRY_MOMENT = `to_char(posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const ENTRY = `day::text, ${ENTRY_MOMENT} as at, entry_id as id, kind, amount::text, description, employee_id as "employeeId", task_id as "taskId"`;
/** By the columns of the rows, which are named: a bare `day` would be the text that is answered, and no index has that order. */
const newestFirst = (row: string): string => `order by ${row}.day desc, ${row}.posted_at desc, ${row}.entry_id desc`;

/** A condition, told how to bind a value and which rows it is of. */
type Condition = (bind: (value: unknown, type: string) => string) => string;

/** The newest entries that the filter lets through, along one index; and the last place it looks at, null where it leaves nothing out. */
export interface AuditWalk {
  readonly found: Statement;
  readonly boundary: Statement | null;
}

/**
 * The walk of a page, from the newest partition backwards: along the task, the employee, the kind, or all entries; what no index has is looked at
 * entry by entry, and at 1,000 of them at most. Which index is decided by what there is of: a task has few entries, an employee some, a kind many.
 */
export function walkOf(asked: AskedEntries): AuditWalk {
  const { along, checks } = conditionsOf(asked);
  const walked = (bind: Bind): string => `select * from audit_entries where ${all(along, bind)} ${newestFirst('audit_entries')}`;
  const found = binder();
  const inner = walked(found.bind);
  const looksAt = checks.length === 0 ? asked.limit : WALK_MAX_ENTRIES;
  const text = `select ${ENTRY} from (${inner} limit ${looksAt}) as walked where ${all(checks, found.bind)} ${newestFirst('walked')} limit ${asked.limit}`;
  if (checks.length === 0) return { found: { text, params: found.params }, boundary: null };
  const bound = binder();
  const last = `select day::text, ${ENTRY_MOMENT} as at, entry_id as id from (${walked(bound.bind)} offset ${WALK_MAX_ENTRIES - 1} limit 1) as last`;
  return { found: { text, params: found.params }, boundary: { text: last, params: bound.params } };
}

/**
 * The same of its newest days only; null where that is no less, or a task is asked for, whose entries may be of any day. Planning takes
 * longer the more partitions there are, and of most pages nothing is older.
 */
export function newestOf(asked: AskedEntries): AskedEntries | null {
  const latest = latestDay(asked);
  if (latest === null || asked.filter.taskId != null) return null;
  const fromDay = daysBefore(latest, NEWEST_DAYS);
  if (asked.bounds.fromDay !== null && asked.bounds.fromDay >= fromDay) return null;
  return { ...asked, bounds: { ...asked.bounds, fromDay } };
}

/** A look at all entries of some amounts, where those are few. */
export interface AmountSearch {
  readonly statement: Statement;
  /** Where it ends though there are days before that; null: it comes to the end. */
  readonly boundary: AuditPlace | null;
}

/**
 * All entries with amounts in the asked range, if they are few: whether they are, and the newest of them. Null where another index is the way,
 * or there is no bound of amounts.
 */
export function fewByAmount(whole: AskedEntries): AmountSearch | null {
  const { filter, bounds } = whole;
  const latest = latestDay(whole);
  if (filter.taskId != null || filter.employeeId != null || (filter.amountFrom == null && filter.amountTo == null)) return null;
  if (latest === null || bounds.fromDay === null) return null;
  const earliest = daysBefore(latest, CANDIDATES_MAX_DAYS);
  const endsBefore = earliest > bounds.fromDay;
  const asked = endsBefore ? { ...whole, bounds: { ...bounds, fromDay: earliest } } : whole;
  const { bind, params } = binder();
  const conditions = [...placeConditions(asked), ...amountConditions(filter)];
  // In the index's order, so that it is this index that is read, and no further than it takes to know that there are too many.
  const candidates = `select * from audit_entries where ${all(conditions, bind)} order by day desc, amount desc limit ${CANDIDATES_MAX_ENTRIES + 1}`;
  const checks = [...kindConditions(filter), ...behindConditions(asked)];
  const text = `with candidates as materialized (${candidates})
    select ${ENTRY}, count.few from (select count(*) <= ${CANDIDATES_MAX_ENTRIES} as few from candidates) as count
    left join (select * from candidates where ${all(checks, bind)} ${newestFirst('candidates')} limit ${asked.limit}) as page on few
    ${newestFirst('page')}`;
  return { statement: { text, params }, boundary: endsBefore ? { day: earliest, at: `${FIRST_DAY}T00:00:00.000000Z`, id: FIRST_ID } : null };
}

function daysBefore(day: string, count: number): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - count);
  return date.toISOString().slice(0, 10);
}

function conditionsOf(asked: AskedEntries): { readonly along: readonly Condition[]; readonly checks: readonly Condition[] } {
  const { filter } = asked;
  const [task, employee, kind, amount] = [equals('task_id', filter.taskId), equals('employee_id', filter.employeeId), kindConditions(filter), amountConditions(filter)];
  const place = [...placeConditions(asked), ...behindConditions(asked)];
  if (task.length > 0) return { along: [...task, ...place], checks: [...employee, ...kind, ...amount] };
  if (employee.length > 0) return { along: [...employee, ...place], checks: [...kind, ...amount] };
  return { along: [...kind, ...place], checks: amount };
}

function latestDay({ bounds: { toDay }, after }: AskedEntries): string | null {
  return [toDay, after?.day ?? null].filter((day) => day !== null).toSorted()[0] ?? null;
}

/** From which days on; a bound that the cursor gives leaves out the partitions behind it. */
function placeConditions(asked: AskedEntries): Condition[] {
  const { fromDay } = asked.bounds;
  const latest = latestDay(asked);
  return [
    ...(fromDay === null ? [] : [((bind) => `day >= ${bind(fromDay, 'date')}`) as Condition]),
    ...(latest === null ? [] : [((bind) => `day <= ${bind(latest, 'date')}`) as Condition]),
  ];
}

function behindConditions({ after }: AskedEntries): Condition[] {
  return after === null ? [] : [(bind) => `(day, posted_at, entry_id) < (${bind(after.day, 'date')}, ${bind(after.at, 'timestamptz')}, ${bind(after.id, 'uuid')})`];
}

function equals(column: 'task_id' | 'employee_id', id: string | null | undefined): Condition[] {
  return id == null ? [] : [(bind) => `${column} = ${bind(id, 'uuid')}`];
}

function kindConditions({ kind }: AuditFilter): Condition[] {
  return kind == null ? [] : [(bind) => `kind = ${bind(kind, 'text')}`];
}

function amountConditions({ amountFrom, amountTo }: AuditFilter): Condition[] {
  return [
    ...(amountFrom == null ? [] : [((bind) => `amount >= ${bind(amountFrom, 'bigint')}`) as Condition]),
    ...(amountTo == null ? [] : [((bind) => `amount <= ${bind(amountTo, 'bigint')}`) as Condition]),
  ];
}

type Bind = (value: unknown, type: string) => string;

function binder(): { readonly params: unknown[]; readonly bind: Bind } {
  const params: unknown[] = [];
  return { params, bind: (value, type) => `$${params.push(value)}::${type}` };
}

function all(conditions: readonly Condition[], bind: Bind): string {
  return conditions.length === 0 ? 'true' : conditions.map((condition) => condition(bind)).join(' and ');
}
