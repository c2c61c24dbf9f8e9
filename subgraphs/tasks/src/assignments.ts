import type { Sql } from '@ates/service-kit/database';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { assign, pickAssignee, type RandomIndex, type Stamp, type TaskState } from './task.ts';

/** Which open tasks get a new assignee. */
export type Assignable = 'EVERY_OPEN_TASK' | 'TASKS_WITHOUT_EMPLOYEE';

interface OpenTask {
  readonly id: string;
  readonly version: number;
  readonly assignment_number: number;
  readonly assignee_id: string | null;
}

/** Shared by whoever makes a task, exclusive for whoever changes who the employees are. */
const EMPLOYEES_LOCK = 7_061_011;

/**
 * Keeps employees as they are, or takes the right to change them, until the transaction ends: no task is made for want of
 * an employee while one arrives, to be found by neither. After the day gate, before any row lock.
 */
export async function holdEmployees(sql: Sql, how: 'AS_THEY_ARE' | 'TO_CHANGE_THEM'): Promise<void> {
  await sql(`select pg_advisory_xact_lock${how === 'AS_THEY_ARE' ? '_shared' : ''}($1)`, [EMPLOYEES_LOCK]);
}

/** The ids of all active employees who can get tasks. */
export async function assignableEmployees(sql: Sql): Promise<string[]> {
  const rows = await sql<{ user_id: string }>('select user_id from user_copies where assignable order by user_id');
  return rows.map(({ user_id }) => user_id);
}

/**
 * Gives tasks random employees, in a few statements however many there are, with their events. The rows are locked in one
 * order, so two of these, or one and a completion, wait for each other and never deadlock.
 * @returns how many were assigned; 0 when there is no employee
 */
export async function assignOpenTasks(
  sql: Sql,
  which: Assignable,
  { stamp, random, traceparent }: { readonly stamp: Stamp; readonly random: RandomIndex; readonly traceparent: string },
): Promise<number> {
  const employeeIds = await assignableEmployees(sql);
  if (employeeIds.length === 0) return 0;
  const rows = await sql<OpenTask>(
    `select id, version, assignment_number, assignee_id from tasks
     where status = 'OPEN' ${which === 'EVERY_OPEN_TASK' ? '' : 'and (assignee_id is null or not exists (select from user_copies where user_id = assignee_id and assignable))'}
     order by id for update`,
  );
  const assigned = rows.map((row) => {
    const task: TaskState = { version: row.version, status: 'OPEN', assigneeId: row.assignee_id, assignmentNumber: row.assignment_number };
    const assigneeId = pickAssignee(employeeIds, random) as string;
    return { id: row.id, assigneeId, previousAssigneeId: row.assignee_id, after: assign(task, assigneeId) };
  });
  if (assigned.length === 0) return 0;
  await sql(
    `with assigned as (
       select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::int[]) as assigned (id, assignee_id, assignment_number, version)
     ), recorded as (
       insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at)
       select id, assignment_number, assignee_id, $5, $6 from assigned
     )
     update tasks set assignee_id = assigned.assignee_id, assignment_number = assigned.assignment_number, version = assigned.version
     from assigned where tasks.id = assigned.id`,
    [
      assigned.map(({ id }) => id),
      assigned.map(({ assigneeId }) => assigneeId),
      assigned.map(({ after }) => after.assignmentNumber),
      assigned.map(({ after }) => after.version),
      stamp.businessDay,
      stamp.at,
    ],
  );
  await recordEvents(
    sql,
    assigned.map(({ id, previousAssigneeId, assigneeId, after }) =>
      assignedEvent({ id, previousAssigneeId, assigneeId, after }, stamp, traceparent),
    ),
  );
  return assigned.length;
}

/** The event of one assignment. */
export function assignedEvent(
  { id, assigneeId, previousAssigneeId, after }: { id: string; assigneeId: string; previousAssigneeId: string | null; after: TaskState },
  { at, businessDay }: Stamp,
  traceparent: string,
): AtesEvent {
  const data = {
    version: after.version,
    assignmentNumber: after.assignmentNumber,
    assigneeId,
    previousAssigneeId,
    businessDay,
    assignedAt: at.toISOString(),
  };
  return newEvent(taskAssignedV1, id, data, { time: at, traceparent });
}
