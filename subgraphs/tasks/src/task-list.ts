import { connectionOf, foreignCursor, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId } from '@ates/service-kit/identifiers';
import type { TaskStatus } from '@ates/shared-events/task-events';
import { TASK_COLUMNS, type TaskRow } from './task-queries.ts';

/** Which tasks; whatever is given must hold. */
export interface TaskFilter {
  /** Default: all that are not deleted. */
  readonly status?: TaskStatus | null;
  readonly assigneeId?: string | null;
  readonly creatorId?: string | null;
  /** Only tasks that nobody has (true) or that somebody has (false). */
  readonly unassigned?: boolean | null;
  /** The whole ticket, without regard to case. */
  readonly ticket?: string | null;
  /** Words, or beginnings of words, of ticket, title or description: all must be there, without regard to case. */
  readonly text?: string | null;
  /** Included. */
  readonly createdFrom?: Date | null;
  /** Not included. */
  readonly createdBefore?: Date | null;
}

export type TaskOrder = 'NEWEST' | 'OLDEST' | 'LATEST_COMPLETED';

const SEARCH_WORDS_MAX = 10;
const SEARCH_LENGTH_MAX = 200;
const SHOWN_BY_DEFAULT: readonly TaskStatus[] = ['OPEN', 'DONE'];

/** What a list is ordered by, besides the id, and in which direction. */
const ORDERS = {
  NEWEST: { column: 'created_at', direction: 'desc', after: '<' },
  OLDEST: { column: 'created_at', direction: 'asc', after: '>' },
  LATEST_COMPLETED: { column: 'completed_at', direction: 'desc', after: '<' },
} as const;

/**
 * A page of tasks. A cursor is the place in the order of the task it belongs to, so rows that are added or change their status meanwhile
 * neither shift nor repeat anything.
 * @throws DomainError BAD_USER_INPUT
 */
export async function listTasks(database: Database, filter: TaskFilter, order: TaskOrder, pageArguments: PageArguments): Promise<Connection<TaskRow>> {
  const page = pageOf(pageArguments, 2);
  const { text, params, plan } = listStatement(filter, order, page);
  if (text === null) return connectionOf<TaskRow>([], page, () => []);
  const rows =
    plan === 'FOR_ALL'
      ? await database.sql<TaskRow>(text, params)
      : await database.sqlTransaction(async (sql) => {
          // How common the words are decides by which way to go; so does how old the page is.
          await sql.later(`set local plan_cache_mode = 'force_custom_plan'`);
          return sql<TaskRow>(text, params);
        });
  const { column } = ORDERS[order];
  return connectionOf(rows, page, (row) => [((column === 'created_at' ? row.createdAt : row.completedAt) as Date).toISOString(), row.id]);
}

export interface ListStatement {
  /** Null when nothing can be found. */
  readonly text: string | null;
  readonly params: unknown[];
  /** Whether one plan is good for all values, or each time another one may be better. */
  readonly plan: 'FOR_ALL' | 'FOR_THESE_VALUES';
}

/**
 * The statement of a page: for each status a walk of its own along an index, in the list's order and from the cursor on, and the first
 * of all these. What a walk has to pass over depends on the filter, never on how long the list is.
 */
export function listStatement(filter: TaskFilter, order: TaskOrder, { limit, after }: { readonly limit: number; readonly after: readonly string[] | null }): ListStatement {
  const { column, direction, after: isAfter } = ORDERS[order];
  const statuses = statusesOf(filter, order);
  if ([filter.assigneeId, filter.creatorId].some((id) => id != null && !isId(id))) return { text: null, params: [], plan: 'FOR_ALL' };
  // Whose tasks are asked for: then the walk is along who has them.
  const isAlongHolders = column === 'created_at' && (filter.assigneeId != null || filter.unassigned === true);
  const [walked, id, assignee] = isAlongHolders ? ['task_holders', 'task_id', 'assignee_id'] : ['tasks', 'id', 'completed_by'];
  const params: unknown[] = [limit + 1];
  const bind = (value: unknown, type: string): string => `$${params.push(value)}::${type}`;
  const conditions: string[] = [];
  if (filter.assigneeId != null) conditions.push(`${assignee} = ${bind(filter.assigneeId, 'uuid')}`);
  if (filter.unassigned === true) conditions.push(`${assignee} is null`);
  if (filter.unassigned === false) conditions.push('exists (select from task_holders as holder where holder.task_id = id and holder.assignee_id is not null)');
  if (filter.creatorId != null) conditions.push(`creator_id = ${bind(filter.creatorId, 'uuid')}`);
  if (filter.createdFrom != null) conditions.push(`${walked}.created_at >= ${bind(filter.createdFrom, 'timestamptz')}`);
  if (filter.createdBefore != null) conditions.push(`${walked}.created_at < ${bind(filter.createdBefore, 'timestamptz')}`);
  if (filter.ticket != null) conditions.push(`lower(ticket) = lower(${bind(filter.ticket.trim(), 'text')})`);
  if (filter.text != null) conditions.push(`words @@ ${bind(searchOf(filter.text), 'tsquery')}`);
  if (after !== null) conditions.push(`(${walked}.${column}, ${id}) ${isAfter} (${bind(moment(after[0]), 'timestamptz')}, ${bind(idIn(after[1]), 'uuid')})`);
  const from = isAlongHolders ? 'task_holders join tasks on id = task_id' : 'tasks';
  const walks = statuses.map(
    (status) =>
      `(select id from ${from} where ${[`${walked}.status = '${status}'`, ...conditions].join(' and ')} order by ${walked}.${column} ${direction}, ${id} ${direction} limit $1)`,
  );
  const text = `with found as (${walks.join(' union all ')})
    select ${TASK_COLUMNS} from found join tasks using (id) join task_holders on task_id = id order by tasks.${column} ${direction}, id ${direction} limit $1`;
  return { text, params, plan: filter.ticket != null || filter.text != null || filter.createdFrom != null || filter.createdBefore != null ? 'FOR_THESE_VALUES' : 'FOR_ALL' };
}

function statusesOf({ status }: TaskFilter, order: TaskOrder): readonly TaskStatus[] {
  if (order !== 'LATEST_COMPLETED') return status == null ? SHOWN_BY_DEFAULT : [status];
  if (status != null && status !== 'DONE') throw new DomainError('BAD_USER_INPUT', `Only tasks that are DONE can be listed by LATEST_COMPLETED: leave out status ${status}, or choose another order`);
  return ['DONE'];
}

/** @throws DomainError BAD_USER_INPUT when there is no word in it, or too many */
function searchOf(text: string): string {
  const words = text.normalize('NFC').toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  if (words.length === 0 || words.length > SEARCH_WORDS_MAX || text.length > SEARCH_LENGTH_MAX) {
    throw new DomainError('BAD_USER_INPUT', `text must have 1 to ${SEARCH_WORDS_MAX} words, and at most ${SEARCH_LENGTH_MAX} characters; this has ${words.length} and ${text.length}`);
  }
  return words.map((word) => `'${word}':*`).join(' & ');
}

function idIn(part: string | undefined): string {
  if (part === undefined || !isId(part)) throw foreignCursor();
  return part;
}

function moment(text: string | undefined): Date {
  const at = new Date(text ?? '');
  if (Number.isNaN(at.getTime())) throw foreignCursor();
  return at;
}
