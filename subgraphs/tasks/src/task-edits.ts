import { currentTraceparent } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskDeletedV1, taskUpdatedV1 } from '@ates/shared-events/task-events';
import { countForDay } from './business-day.ts';
import { requireTask, stampNow, type TaskCommandOptions } from './task-commands.ts';
import type { TaskRow } from './task-queries.ts';
import { remove, requireVersion, taskText, update } from './task.ts';

/** What to write anew; what is left out stays. */
export interface TaskEdit {
  readonly title?: string | null;
  readonly description?: string | null;
  /** What the editor has seen: the `version` that the API shows. */
  readonly expectedVersion?: number | null;
}

/**
 * Changes what is written about a task. A title without a ticket leaves the ticket as it is. What changes nothing makes no event.
 * @throws DomainError BAD_USER_INPUT, NOT_FOUND; CONFLICT when it is deleted or not at `expectedVersion` any more
 */
export async function updateTask({ database, clock }: TaskCommandOptions, editorId: string, taskId: string, edit: TaskEdit): Promise<TaskRow> {
  return database.sqlTransaction(async (sql) => {
    const task = await requireTask(sql, taskId);
    const { version } = update(task);
    requireVersion(task.textVersion, edit.expectedVersion);
    const text = taskText({ title: edit.title ?? task.title, description: edit.description ?? task.description });
    const written = { ...text, ticket: text.ticket ?? task.ticket };
    if (written.title === task.title && written.description === task.description && written.ticket === task.ticket) return task;
    const updated = { ...task, ...written, version, textVersion: task.textVersion + 1 };
    await sql.later(
      `with counted as (update task_holders set version = $2 where task_id = $1)
       update tasks set text_version = $3, ticket = $4, title = $5, description = $6 where id = $1`,
      [taskId, version, updated.textVersion, updated.ticket, updated.title, updated.description],
    );
    const at = clock();
    const { number, ticket, title, description, status, creatorId, assigneeId } = updated;
    const state = { number, ticket, title, description, status, creatorId, assigneeId, createdAt: task.createdAt.toISOString() };
    const data = { version, ...state, updatedBy: editorId, updatedAt: at.toISOString() };
    await recordEvents(sql, [newEvent(taskUpdatedV1, taskId, data, { time: at, traceparent: currentTraceparent() })]);
    return updated;
  });
}

/**
 * Deletes an open task; it stays in lists of what is deleted. Accounting gives its assignee the fee of the last assignment back.
 * @throws DomainError NOT_FOUND; CONFLICT when it is not open or not at `expectedVersion` any more
 */
export async function deleteTask(options: TaskCommandOptions, deletedBy: string, taskId: string, expectedVersion?: number | null): Promise<TaskRow> {
  return options.database.sqlTransaction(async (sql) => {
    const { at, businessDay } = await stampNow(options, sql);
    const task = await requireTask(sql, taskId);
    const { version, status } = remove(task);
    requireVersion(task.textVersion, expectedVersion);
    await sql.later(
      `with counted as (update task_holders set version = $2, status = $3 where task_id = $1)
       update tasks set status = $3, deleted_at = $4, deleted_business_day = $5 where id = $1`,
      [taskId, version, status, at, businessDay],
    );
    const { assignmentNumber, assigneeId } = task;
    const data = { version, assignmentNumber, assigneeId, deletedBy, businessDay, deletedAt: at.toISOString() };
    await recordEvents(sql, [newEvent(taskDeletedV1, taskId, data, { time: at, traceparent: currentTraceparent() })]);
    await countForDay(sql, businessDay, { deletions: 1 });
    return { ...task, version, status };
  });
}
