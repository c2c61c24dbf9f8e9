import type { AuditBounds, AuditFilter, AuditPlace } from './audit-filter.ts';

/** A page of the log that is asked for: everything that it depends on. */
export interface AskedEntries {
  readonly filter: AuditFilter;
  /** Those of the filter, within the days that have partitions. */
  readonly bounds: AuditBounds;
  readonly after: AuditPlace | null;
  /** So many entries, at most. */
  readonly limit: number;
  /** So many are looked at, at most: what bounds the time of a page, whatever the filter. */
  readonly looks: number;
}

export interface Statement {
  readonly text: string;
  readonly params: readonly unknown[];
}

/** So many entries a page looks at, at most. */
export const LOOKS_MAX_ENTRIES = 1_000;
/** Amounts are looked for in so many days, at most: each costs a probe of the index. */
export const AMOUNTS_MAX_DAYS = 400;

/** The moment of an entry to the microsecond: a cursor must not round it. */
export const ENTRY_MOMENT = `to_char(posted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const ENTRY = `audit_entries.day::text, ${ENTRY_MOMENT} as at, entry_id as id, audit_entries.kind, audit_entries.amount::text, description, audit_entries.employee_id as "employeeId", task_id as "taskId"`;
/** By the columns of the rows, which are named: a bare `day` would be the text that is answered, and no index has that order. */
const newestFirst = (row: string): string => `order by ${row}.day desc, ${row}.posted_at desc, ${row}.entry_id desc`;

/** A condition, told how to bind a value. Its columns are those of whatever rows it is used on. */
type Condition = (bind: Bind) => string;

/** What a look answers besides the entries of the page, with each of them, or alone where there are none. */
export interface Looked {
  /** So many entries were looked at. */
  readonly looked: number;
  /** The last one of these. */
  readonly lastDay: string | null;
  readonly lastAt: string | null;
  readonly lastId: string | null;
}

/** So many months have the first pieces of a page; the last one has all before them. */
const PIECES_MONTHS = [1, 5];

/**
 * The days of a page in three pieces at most, the newest first: planning takes longer the more partitions there are, and most pages end
 * in the first piece.
 */
export function* piecesOf({ fromDay, toDay }: AuditBounds, after: AuditPlace | null): Generator<AuditBounds> {
  let end = latestDay(toDay, after);
  for (const months of PIECES_MONTHS) {
    if (end === null) break;
    const start = monthsBefore(end, months);
    if (fromDay !== null && start <= fromDay) break;
    yield { fromDay: start, toDay: end };
    end = daysBefore(start, 1);
  }
  yield { fromDay, toDay: end };
}

/** Whether all that is asked for is along one index: each entry that is looked at is one of the page. */
export function isAlongIndex(filter: AuditFilter): boolean {
  return conditionsOf(filter).checks.length === 0;
}

/** Whether entries are best looked for by their amounts: no other index has few of them. */
export function isByAmount({ taskId, employeeId, amountFrom, amountTo }: AuditFilter): boolean {
  return taskId == null && employeeId == null && (amountFrom != null || amountTo != null);
}

/** The newest entries of some days, where all that is asked for is along one index. */
export function walkStatement({ filter, bounds, after, limit }: AskedEntries): Statement {
  const { bind, params } = binder();
  const conditions = [...conditionsOf(filter).along, ...dayConditions('audit_entries', bounds), ...behindConditions(after)];
  return { text: `select ${ENTRY} from audit_entries where ${all(conditions, bind)} ${newestFirst('audit_entries')} limit ${bind(limit, 'int')}`, params };
}

/**
 * The newest entries of some days that the filter lets through, of a number that is looked at along one index, from which all is known that is
 * compared. Which index is decided by what there is of: a task has few entries, an employee some, a kind many.
 */
export function checkedStatement({ filter, bounds, after, limit, looks }: AskedEntries): Statement {
  const { bind, params } = binder();
  const { along, checks, compared } = conditionsOf(filter);
  const looked = `select ${compared === null ? '*' : ['day', 'posted_at', 'entry_id', ...compared].join(', ')} from audit_entries
    where ${all([...along, ...dayConditions('audit_entries', bounds), ...behindConditions(after)], bind)} ${newestFirst('audit_entries')} limit ${bind(looks, 'int')}`;
  const text = `with looked as materialized (${looked}),
    found as materialized (select * from looked where ${all(checks, bind)} ${newestFirst('looked')} limit ${bind(limit, 'int')}),
    last as (select day as last_day, posted_at as last_at, entry_id as last_id from looked order by day, posted_at, entry_id limit 1),
    told as (select * from (select count(*)::int as looked from looked) as counted left join last on true)
    ${compared === null ? answered('found as audit_entries', 'true') : answered(READ_FOUND, all(dayConditions('audit_entries', bounds), bind))}`;
  return { text, params };
}

/**
 * The newest entries of some days by their amounts. Candidates are taken in the order of their days; of the last day not all may be among
 * them: so it is left out where there are more candidates than are looked at.
 */
export function amountsStatement({ filter, bounds, after, limit, looks }: AskedEntries): Statement {
  const { bind, params } = binder();
  // In the index's order, so that it is this index that is read, and no further than it takes to know that there are too many.
  const candidates = `select day, amount, posted_at, entry_id, kind from audit_entries where ${all([...dayConditions('audit_entries', bounds), ...amountConditions(filter)], bind)}
    order by audit_entries.day desc, audit_entries.amount desc limit ${bind(looks + 1, 'int')}`;
  const text = `with candidates as materialized (${candidates}),
    told as (select count(*)::int as looked, min(day) as last_day, null::timestamptz as last_at, null::uuid as last_id from candidates),
    found as materialized (
      select day, posted_at, entry_id from candidates
      where ((select looked from told) <= ${bind(looks, 'int')} or day > (select last_day from told)) and ${all([...kindConditions(filter), ...behindConditions(after)], bind)}
      ${newestFirst('candidates')} limit ${bind(limit, 'int')})
    ${answered(READ_FOUND, all(dayConditions('audit_entries', bounds), bind))}`;
  return { text, params };
}

const READ_FOUND = '(found join audit_entries using (day, posted_at, entry_id))';

/** @param condition of the days once more, where their entries are read: so the planner leaves out the other partitions there too */
function answered(entries: string, condition: string): string {
  return `select ${ENTRY}, looked, last_day::text as "lastDay", ${ENTRY_MOMENT.replace('posted_at', 'last_at')} as "lastAt", last_id as "lastId"
    from told left join ${entries} on ${condition} ${newestFirst('audit_entries')}`;
}

/** `compared`: the columns that the checks need; null where it costs less to read the few entries whole at once. */
function conditionsOf(filter: AuditFilter): { readonly along: readonly Condition[]; readonly checks: readonly Condition[]; readonly compared: readonly string[] | null } {
  const [task, employee, kind, amount] = [equals('task_id', filter.taskId), equals('employee_id', filter.employeeId), kindConditions(filter), amountConditions(filter)];
  if (task.length > 0) return { along: task, checks: [...employee, ...kind, ...amount], compared: null };
  if (employee.length > 0) return { along: employee, checks: [...kind, ...amount], compared: ['kind', 'amount'] };
  return { along: kind, checks: amount, compared: ['amount'] };
}

/** The newest day that a page can have entries of; null: any. */
export function latestDay(toDay: string | null, after: AuditPlace | null): string | null {
  return [toDay, after?.day ?? null].filter((day) => day !== null).toSorted()[0] ?? null;
}

/** `count` days before `day`, as `YYYY-MM-DD`. */
export function daysBefore(day: string, count: number): string {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - count);
  return date.toISOString().slice(0, 10);
}

/** The first day of the month that is so many months, that of `day` among them, before its end. */
function monthsBefore(day: string, count: number): string {
  const [year = 0, month = 0] = day.split('-').map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - count, 1);
  return date.toISOString().slice(0, 10);
}

function dayConditions(table: string, { fromDay, toDay }: AuditBounds): Condition[] {
  return [
    ...(fromDay === null ? [] : [((bind) => `${table}.day >= ${bind(fromDay, 'date')}`) as Condition]),
    ...(toDay === null ? [] : [((bind) => `${table}.day <= ${bind(toDay, 'date')}`) as Condition]),
  ];
}

function behindConditions(after: AuditPlace | null): Condition[] {
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
