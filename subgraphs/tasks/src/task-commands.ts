import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database, Sql } from '@ates/service-kit/database';
import { notFound, requireId } from '@ates/service-kit/identifiers';
import { once } from '@ates/service-kit/idempotency';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskCompletedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { v7 as uuidv7 } from 'uuid';
import { assignableEmployees, assignedEvent, assignOpenTasks, holdEmployees } from './assignments.ts';
import { stampBusinessDay } from './business-day.ts';
import { lockTask } from './task-queries.ts';
import { assign, complete, pickAssignee, taskText, type RandomIndex, type Stamp, type TaskState } from './task.ts';
import { TaskEntity, type TaskRow } from './task.entity.ts';

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

export interface TaskCommands {
  /** Makes a task; a random active employee has it at once, or nobody until there is one. @throws DomainError BAD_USER_INPUT, CONFLICT */
  createTask(creatorId: string, input: NewTask, idempotencyKey?: string | null): Promise<TaskRow>;
  /** @throws DomainError NOT_FOUND; FORBIDDEN unless called by the current assignee; CONFLICT when it is not open */
  completeTask(userId: string, taskId: string): Promise<TaskRow>;
  /** Gives every open task a random active employee. @returns how many. @throws DomainError CONFLICT for a reused key */
  assignTasks(actorId: string, idempotencyKey?: string | null): Promise<number>;
}

/** Commands on tasks: each is one transaction that holds the new state and its events. */
export function createTaskCommands(options: TaskCommandOptions): TaskCommands {
  const { database, timeZone, clock, random } = options;
  return {
    createTask: async (creatorId, input, idempotencyKey) => {
      const id = await database.transaction((em, sql) =>
        once(sql, { scope: `createTask:${creatorId}`, key: idempotencyKey, input }, () => create(options, { em, sql }, creatorId, input)),
      );
      return database.fork().findOneOrFail(TaskEntity, { id });
    },

    completeTask: (userId, taskId) =>
      database.sqlTransaction(async (sql) => {
        const stamp = await stampNow(options, sql);
        const task = await lockTask(sql, requireId('task', taskId));
        if (task === null) throw notFound('task', taskId);
        const { version, status } = complete(task, userId);
        await sql.later('update tasks set version = $2, status = $3, completed_at = $4, completed_business_day = $5 where id = $1', [
          taskId,
          version,
          status,
          stamp.at,
          stamp.businessDay,
        ]);
        const completed = { ...task, version, status, completedAt: stamp.at, completedBusinessDay: stamp.businessDay };
        await recordEvents(sql, [completedEvent(completed, userId, stamp)]);
        return completed;
      }),

    assignTasks: (actorId, idempotencyKey) =>
      database.transaction((_em, sql) =>
        once(sql, { scope: `assignTasks:${actorId}`, key: idempotencyKey, input: {} }, async () => {
          const at = clock();
          const stamp = { at, businessDay: await stampBusinessDay(sql, timeZone, at) };
          return assignOpenTasks(sql, 'EVERY_OPEN_TASK', { stamp, random, traceparent: currentTraceparent() });
        }),
      ),
  };
}

async function create(
  options: TaskCommandOptions,
  { em, sql }: { em: EntityManager; sql: Sql },
  creatorId: string,
  input: NewTask,
): Promise<string> {
  const text = taskText(input);
  const stamp = await stampNow(options, sql);
  await holdEmployees(sql, 'AS_THEY_ARE');
  const assigneeId = pickAssignee(await assignableEmployees(sql), options.random);
  const [sequence] = await sql<{ number: number }>(`select nextval('task_numbers')::int as number`);
  const id = uuidv7();
  const created: TaskState = { version: 1, status: 'OPEN', assigneeId: null, assignmentNumber: 0 };
  const task = assigneeId === null ? created : assign(created, assigneeId);
  const number = sequence?.number as number;
  em.create(TaskEntity, { id, number, ...text, ...task, creatorId, createdAt: stamp.at });
  await em.flush();
  const events: AtesEvent[] = [createdEvent({ id, number, ...text, creatorId }, stamp)];
  if (assigneeId !== null) {
    await sql('insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at) values ($1, $2, $3, $4, $5)', [
      id,
      task.assignmentNumber,
      assigneeId,
      stamp.businessDay,
      stamp.at,
    ]);
    events.push(assignedEvent({ id, assigneeId, previousAssigneeId: null, after: task }, stamp, currentTraceparent()));
  }
  await recordEvents(sql, events);
  return id;
}

async function stampNow({ timeZone, clock }: TaskCommandOptions, sql: Sql): Promise<Stamp> {
  const at = clock();
  return { at, businessDay: await stampBusinessDay(sql, timeZone, at) };
}

function createdEvent(task: Pick<TaskRow, 'id' | 'number' | 'ticket' | 'title' | 'description' | 'creatorId'>, { at }: Stamp): AtesEvent {
  const data = {
    version: 1,
    number: task.number,
    ticket: task.ticket ?? null,
    title: task.title,
    description: task.description,
    status: 'OPEN' as const,
    creatorId: task.creatorId,
    createdAt: at.toISOString(),
  };
  return newEvent(taskCreatedV2, task.id, data, { time: at, traceparent: currentTraceparent() });
}

function completedEvent(task: TaskRow, assigneeId: string, { at, businessDay }: Stamp): AtesEvent {
  const data = { version: task.version, assignmentNumber: task.assignmentNumber, assigneeId, businessDay, completedAt: at.toISOString() };
  return newEvent(taskCompletedV1, task.id, data, { time: at, traceparent: currentTraceparent() });
}
