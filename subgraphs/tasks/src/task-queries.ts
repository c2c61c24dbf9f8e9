import type { FilterQuery } from '@mikro-orm/core';
import type { Database } from '@ates/service-kit/database';
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

/** Tasks by id, one statement for all that an operation asks for at once. */
export function taskLoader(database: Database): Loader<string, TaskRow | null> {
  return batchLoader(
    (ids) => database.fork().find(TaskEntity, { id: { $in: [...ids] } }),
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
