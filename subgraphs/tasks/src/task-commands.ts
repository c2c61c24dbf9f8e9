import type { Database, Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { notFound, requireId } from '@ates/service-kit/identifiers';
import { once } from '@ates/service-kit/idempotency';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { newId } from '@ates/shared-events/new-id';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskCompletedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { assignableEmployees, assignedEvent, holdEmployees, keepAssignment } from './assignments.ts';
import { countForDay, stampBusinessDay } from './business-day.ts';
import { lockTask, taskById, type TaskRow } from './task-queries.ts';
import { assign, complete, pickAssignee, taskText, type RandomIndex, type Stamp, type TaskState } from './task.ts';

export interface TaskCommandOptions {
  readonly database: Database;
  readonly timeZone: string;
  readonly clock: () => Date;
  readonly random: RandomIndex;
}

export interface NewTask {
  readonly title: string;
  readonly description: string;
}

/** Makes a task; a random active employee has it at once, or nobody until there is one. @throws DomainError BAD_USER_INPUT, CONFLICT */
export async function createTask(options: TaskCommandOptions, creatorId: string, input: NewTask, idempotencyKey?: string | null): Promise<TaskRow> {
  const { database } = options;
  const id = await database.sqlTransaction((sql) =>
    once(sql, { scope: `createTask:${creatorId}`, key: idempotencyKey, input }, () => create(options, sql, creatorId, input)),
  );
  return taskById(database.sql, id);
}

/** @throws DomainError NOT_FOUND; FORBIDDEN unless called by the current assignee; CONFLICT when it is not open */
export async function completeTask(options: TaskCommandOptions, userId: string, taskId: string): Promise<TaskRow> {
  return options.database.sqlTransaction(async (sql) => {
    const stamp = await stampNow(options, sql);
    const task = await requireTask(sql, taskId);
    const { version, status } = complete(task, userId);
    await sql.later(
      `with counted as (update task_holders set version = $2, status = $3 where task_id = $1)
       update tasks set status = $3, completed_by = $4, completed_at = $5, completed_business_day = $6 where id = $1`,
      [taskId, version, status, userId, stamp.at, stamp.businessDay],
    );
    const completed = { ...task, version, status, completedAt: stamp.at };
    await recordEvents(sql, [completedEvent(completed, userId, stamp)]);
    await countForDay(sql, stamp.businessDay, { completions: 1 });
    return completed;
  });
}

/**
 * Gives a task to somebody by name. Who has it already keeps it, and is not charged again.
 * @throws DomainError NOT_FOUND; CONFLICT when it is not open; BAD_USER_INPUT when the user gets no tasks
 */
export async function assignTask(options: TaskCommandOptions, taskId: string, assigneeId: string): Promise<TaskRow> {
  requireId('user', assigneeId);
  return options.database.sqlTransaction(async (sql) => {
    const stamp = await stampNow(options, sql);
    await holdEmployees(sql, 'AS_THEY_ARE');
    const task = await requireTask(sql, taskId);
    const after = assign(task, assigneeId);
    await requireAssignable(sql, assigneeId);
    if (task.assigneeId === assigneeId) return task;
    await sql.later('update task_holders set version = $2, assignee_id = $3, assignment_number = $4 where task_id = $1', [taskId, after.version, assigneeId, after.assignmentNumber]);
    const assigned = { ...task, ...after, assigneeId };
    await keepAssignment(sql, assigned, stamp);
    await recordEvents(sql, [assignedEvent({ id: taskId, assigneeId, previousAssigneeId: task.assigneeId, after }, stamp, currentTraceparent())]);
    await countForDay(sql, stamp.businessDay, { assignments: 1 });
    return assigned;
  });
}

/** The task, locked. @throws DomainError NOT_FOUND */
export async function requireTask(sql: Sql, taskId: string): Promise<TaskRow> {
  const task = await lockTask(sql, requireId('task', taskId));
  if (task === null) throw notFound('task', taskId);
  return task;
}

/** The moment, with the business day whose gate is passed for the rest of the transaction: before any lock of a row. */
export async function stampNow({ timeZone, clock }: Pick<TaskCommandOptions, 'timeZone' | 'clock'>, sql: Sql): Promise<Stamp> {
  const at = clock();
  return { at, businessDay: await stampBusinessDay(sql, timeZone, at) };
}

async function requireAssignable(sql: Sql, userId: string): Promise<void> {
  const [user] = await sql<{ assignable: boolean }>('select assignable from user_copies where user_id = $1', [userId]);
  if (user === undefined) throw notFound('user', userId);
  if (!user.assignable) {
    throw new DomainError('BAD_USER_INPUT', 'assigneeId must be an active user who is neither manager nor admin: choose another one', { field: 'assigneeId' });
  }
}

async function create(options: TaskCommandOptions, sql: Sql, creatorId: string, input: NewTask): Promise<string> {
  const text = taskText(input);
  const stamp = await stampNow(options, sql);
  await holdEmployees(sql, 'AS_THEY_ARE');
  const [employeeIds, [sequence]] = await Promise.all([assignableEmployees(sql), sql<{ number: number }>(`select nextval('task_numbers')::int as number`)]);
  const assigneeId = pickAssignee(employeeIds, options.random);
  const unassigned: TaskState = { version: 1, status: 'OPEN', assigneeId: null, assignmentNumber: 0 };
  const after = assigneeId === null ? unassigned : assign(unassigned, assigneeId);
  const task = { id: newId(), number: sequence?.number as number, ...text, creatorId };
  await insertTask(sql, { ...task, ...after }, stamp);
  const events: AtesEvent[] = [createdEvent(task, stamp)];
  if (assigneeId !== null) {
    await keepAssignment(sql, { id: task.id, assigneeId, assignmentNumber: after.assignmentNumber }, stamp);
    events.push(assignedEvent({ id: task.id, assigneeId, previousAssigneeId: null, after }, stamp, currentTraceparent()));
  }
  await recordEvents(sql, events);
  await countForDay(sql, stamp.businessDay, { assignments: events.length - 1, lastTaskNumber: task.number });
  return task.id;
}

type CreatedTask = Pick<TaskRow, 'id' | 'number' | 'ticket' | 'title' | 'description' | 'creatorId'>;

async function insertTask(sql: Sql, task: CreatedTask & TaskState, { at }: Stamp): Promise<void> {
  await sql.later(
    `with made as (
       insert into tasks (id, status, created_at, number, ticket, title, description, creator_id) values ($1, $2, $3, $4, $5, $6, $7, $8)
     )
     insert into task_holders (task_id, status, created_at, creator_id, version, assignee_id, assignment_number) values ($1, $2, $3, $8, $9, $10, $11)`,
    [task.id, task.status, at, task.number, task.ticket, task.title, task.description, task.creatorId, task.version, task.assigneeId, task.assignmentNumber],
  );
}

function createdEvent({ id, ...task }: CreatedTask, { at }: Stamp): AtesEvent {
  const data = { version: 1, ...task, status: 'OPEN' as const, createdAt: at.toISOString() };
  return newEvent(taskCreatedV2, id, data, { time: at, traceparent: currentTraceparent() });
}

function completedEvent(task: TaskRow, assigneeId: string, { at, businessDay }: Stamp): AtesEvent {
  const data = { version: task.version, assignmentNumber: task.assignmentNumber, assigneeId, businessDay, completedAt: at.toISOString() };
  return newEvent(taskCompletedV1, task.id, data, { time: at, traceparent: currentTraceparent() });
}
