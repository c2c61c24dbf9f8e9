import { connectionOf, cursorOf, foreignCursor, pageOf, type Connection, type Page, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { isId } from '@ates/service-kit/identifiers';
import { searchOf, type TaskFilter, type TaskOrder } from './task-filter.ts';
import { TASK_COLUMNS, TASKS, type TaskRow } from './task-queries.ts';
import { walksOf, type Asked, type Place, type Search, type Walk } from './task-walks.ts';

/**
 * A page of tasks. A cursor is the place in the order of the task it belongs to, so rows that are added or change their status meanwhile
 * neither shift nor repeat anything. The time of a page is bounded: where a filter lets few through, a walk ends after 750
 * tasks, and the page has fewer than asked for, though there are more; it goes on with `endCursor` as ever.
 * @throws DomainError BAD_USER_INPUT
 */
export async function listTasks(database: Database, filter: TaskFilter, order: TaskOrder, pageArguments: PageArguments): Promise<Connection<TaskRow>> {
  const page = pageOf(pageArguments, 2);
  const { found, end } = await database.sqlTransaction(async (sql) => {
    // A plan that is right for most assignees and creators is slow for the busiest ones.
    await sql.later(`set local plan_cache_mode = 'force_custom_plan'`);
    const asked = await askFor(sql, filter, order, page);
    if ([filter.assigneeId, filter.creatorId].some((id) => id != null && !isId(id))) return { found: [], end: null };
    const taken = await Promise.all(walksOf(asked).map((each) => take(sql, each, asked.limit)));
    const merged = merge(taken, asked);
    const rows = new Map((await readTasks(sql, merged.places)).map((row) => [row.id, row]));
    return { found: merged.places.flatMap(({ id }) => rows.get(id) ?? []), end: merged.end };
  });
  const { edges, pageInfo } = connectionOf(found, page, (row) => keyOf({ at: order === 'LATEST_COMPLETED' ? (row.completedAt as Date) : row.createdAt, id: row.id }));
  if (pageInfo.hasNextPage || end === null) return { edges, pageInfo };
  return { edges, pageInfo: { hasNextPage: true, endCursor: cursorOf(keyOf(end)) } };
}

/** What a page depends on. @throws DomainError BAD_USER_INPUT */
export async function askFor(sql: Sql, filter: TaskFilter, order: TaskOrder, { limit, after }: Page): Promise<Asked> {
  const search = filter.text == null ? null : await lookUp(sql, searchOf(filter.text));
  return { filter, order, search, after: after === null ? null : placeIn(after), limit: limit + 1 };
}

/** What a walk has found, and the place up to which it has looked; null when it has looked at everything, or at enough. */
interface Taken {
  readonly places: readonly Place[];
  readonly end: Place | null;
}

async function take(sql: Sql, { found, boundary }: Walk, limit: number): Promise<Taken> {
  const places = await sql<Place>(found.text, found.params);
  if (places.length === limit || boundary === null) return { places, end: null };
  const [end] = await sql<Place>(boundary.text, boundary.params);
  return { places, end: end ?? null };
}

/** The first of what several walks have found, up to where all of them have looked. */
function merge(taken: readonly Taken[], { order, limit }: Asked): Taken {
  const sign = order === 'OLDEST' ? 1 : -1;
  const compare = (one: Place, other: Place): number => sign * (one.at.getTime() - other.at.getTime() || (one.id < other.id ? -1 : Number(one.id > other.id)));
  const [end = null] = taken.flatMap((each) => each.end ?? []).toSorted(compare);
  const places = taken.flatMap((each) => each.places).toSorted(compare);
  const known = end === null ? places : places.filter((place) => compare(place, end) <= 0);
  return { places: known.slice(0, limit), end: known.length >= limit ? null : end };
}

function readTasks(sql: Sql, places: readonly Place[]): Promise<TaskRow[]> {
  return places.length === 0 ? Promise.resolve([]) : sql<TaskRow>(`select ${TASK_COLUMNS} from ${TASKS} where id = any($1::uuid[])`, [places.map(({ id }) => id)]);
}

interface Plan {
  readonly 'Plan Rows': number;
  readonly Plans?: readonly Plan[];
}

/**
 * How many tasks have the rarest of the words, as the planner takes it to be from its statistics. What it takes several words together
 * for supposes that they know nothing of each other.
 */
async function lookUp(sql: Sql, words: readonly string[]): Promise<Search> {
  const each = words.map((_, index) => `select from tasks where words @@ $${index + 1}::tsquery`).join(' union all ');
  const [row] = await sql<{ 'QUERY PLAN': readonly [{ readonly Plan: Plan }] }>(`explain (format json) ${each}`, words);
  const plan = row?.['QUERY PLAN'][0].Plan;
  const counts = (words.length === 1 ? [plan] : (plan?.Plans ?? [])).map((part) => part?.['Plan Rows'] ?? 0);
  const expected = Math.min(...counts);
  return { all: words.join(' & '), rarest: words[counts.indexOf(expected)] ?? '', expected };
}

function keyOf({ at, id }: Place): readonly string[] {
  return [at.toISOString(), id];
}

function placeIn([moment = '', id = '']: readonly string[]): Place {
  const at = new Date(moment);
  if (Number.isNaN(at.getTime()) || !isId(id)) throw foreignCursor();
  return { at, id };
}
