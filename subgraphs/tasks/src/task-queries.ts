import { connectionOf, pageOf, wholeNumber, type Connection, type PageArguments } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import type { TaskStatus } from '@ates/shared-events/task-events';
import type { TaskState, TaskText } from './task.ts';

/** A task as it is stored. */
export interface TaskRow extends TaskState, TaskText {
  readonly id: string;
  readonly number: number;
  /** Counts the changes of what is written about it, from 1. */
  readonly textVersion: number;
  readonly status: TaskStatus;
  readonly creatorId: string;
  readonly createdAt: Date;
  readonly completedAt: Date | null;
  /** In cents, copied from Accounting; null until it has set them. */
  readonly fee: number | null;
  readonly reward: number | null;
}

/** The columns of a `TaskRow`, of `TASKS`. */
export const TASK_COLUMNS = `id, version, number, ticket, title, description, text_version as "textVersion", tasks.status,
  assignee_id as "assigneeId", assignment_number as "assignmentNumber", tasks.creator_id as "creatorId", tasks.created_at as "createdAt",
  completed_at as "completedAt", fee::int4 as fee, reward::int4 as reward`;
export const TASKS = 'tasks join task_holders on task_id = id';

/** One time that a task was assigned. */
export interface AssignmentRow {
  readonly assignmentNumber: number;
  readonly assigneeId: string;
  readonly businessDay: string;
  readonly assignedAt: Date;
}

/** The task, locked until the transaction ends; null when there is none. */
export async function lockTask(sql: Sql, id: string): Promise<TaskRow | null> {
  // Apart: what is read after the wait for the lock is what whoever held it has left, in both tables.
  await sql.later('select from task_holders where task_id = $1 for update', [id]);
  const [task] = await sql<TaskRow>(`select ${TASK_COLUMNS} from ${TASKS} where id = $1`, [id]);
  return task ?? null;
}

/** The task as it is now. @throws Error when there is none: ask for ids that were given out */
export async function taskById(sql: Sql, id: string): Promise<TaskRow> {
  const [task] = await sql<TaskRow>(`select ${TASK_COLUMNS} from ${TASKS} where id = $1`, [id]);
  if (task === undefined) throw new Error(`Task ${id} is gone`);
  return task;
}

/** A page of the times that a task was assigned, the latest first. */
export async function listAssignments(sql: Sql, taskId: string, pageArguments: PageArguments): Promise<Connection<AssignmentRow>> {
  const page = pageOf(pageArguments);
  const before = page.after === null ? null : wholeNumber(page.after[0]);
  const rows = await sql<AssignmentRow>(
    `select assignment_number as "assignmentNumber", assignee_id as "assigneeId", business_day as "businessDay", assigned_at as "assignedAt"
     from assignments where task_id = $1 and ($2::int is null or assignment_number < $2) order by assignment_number desc limit $3`,
    [taskId, before, page.limit + 1],
  );
  return connectionOf(rows, page, ({ assignmentNumber }) => [String(assignmentNumber)]);
}

/** Tasks by id, one statement for all that an operation asks for at once. */
export function taskLoader(database: Database): Loader<string, TaskRow | null> {
  return batchLoader(
    (ids) => database.sql<TaskRow>(`select ${TASK_COLUMNS} from ${TASKS} where id = any($1::uuid[])`, [ids]),
    ({ id }) => id,
    (task) => task ?? null,
  );
}
