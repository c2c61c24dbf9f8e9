import type { FilterQuery } from '@mikro-orm/core';
import type { Database, Sql } from '@ates/service-kit/database';
import { connectionOf, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { isId } from '@ates/service-kit/identifiers';
import type { TaskStatus } from '@ates/shared-events/task-events';
import { TaskEntity, type TaskRow } from './task.entity.ts';

export interface TaskFilter {
  readonly status?: TaskStatus | null;
  readonly assigneeId?: string | null;
  readonly creatorId?: string | null;
}

/** A task's row in the entity's shape, for statements on the ways that are walked most. */
const TASK_COLUMNS = `id, version, number, ticket, title, description, status, assignee_id as "assigneeId", assignment_number as "assignmentNumber",
  creator_id as "creatorId", created_at as "createdAt", completed_at as "completedAt", completed_business_day as "completedBusinessDay",
  fee::int4 as fee, reward::int4 as reward`;

/** The task, locked until the transaction ends; null when there is none. */
export async function lockTask(sql: Sql, id: string): Promise<(TaskRow & { readonly assigneeId: string | null }) | null> {
  const [task] = await sql<TaskRow & { readonly assigneeId: string | null }>(`select ${TASK_COLUMNS} from tasks where id = $1 for update`, [id]);
  return task ?? null;
}

/** Tasks by id, one statement for all that an operation asks for at once. */
export function taskLoader(database: Database): Loader<string, TaskRow | null> {
  return batchLoader(
    (ids) => database.sql<TaskRow>(`select ${TASK_COLUMNS} from tasks where id = any($1::uuid[])`, [ids]),
    ({ id }) => id,
    (task) => task ?? null,
  );
}

/** A page of tasks, newest first; deleted ones only where the filter asks for them. */
export async function listTasks(database: Database, filter: TaskFilter, pageArguments: PageArguments): Promise<Connection<TaskRow>> {
  const page = pageOf(pageArguments);
  if ([filter.assigneeId, filter.creatorId].some((id) => id != null && !isId(id))) return connectionOf<TaskRow>([], page, () => []);
  const where: FilterQuery<TaskRow> = {
    status: filter.status ?? { $in: ['OPEN', 'DONE'] },
    ...(filter.assigneeId != null && { assigneeId: filter.assigneeId }),
    ...(filter.creatorId != null && { creatorId: filter.creatorId }),
    ...(page.after !== null && { number: { $lt: Number(page.after[0]) } }),
  };
  const rows = await database.fork().find(TaskEntity, where, { orderBy: { number: 'desc' }, limit: page.limit + 1 });
  return connectionOf(rows, page, ({ number }) => [String(number)]);
}
