import type { Sql } from '@ates/service-kit/database';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { RECORDING } from '@ates/shared-events/outbox';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { countForDay } from './business-day.ts';
import { drawAssignees, type RandomIndex, type Stamp, type TaskState } from './task.ts';

/** Which open tasks get a new assignee. */
export type Assignable = 'EVERY_OPEN_TASK' | 'TASKS_WITHOUT_EMPLOYEE';

const CONDITIONS: Readonly<Record<Assignable, string>> = {
  EVERY_OPEN_TASK: `status = 'OPEN'`,
  TASKS_WITHOUT_EMPLOYEE: `status = 'OPEN' and (assignee_id is null or assignee_id in (select user_id from user_copies where not assignable))`,
};

/** What a round of random assignments is made with. */
export interface Round {
  readonly stamp: Stamp;
  readonly random: RandomIndex;
  readonly traceparent: string;
  /** The shuffle that it is, if it is one. */
  readonly shuffleId?: string;
}

const ROUND_TIMEOUT_MS = 30_000;
/** Shared by whoever gives tasks to employees, exclusive for whoever changes who the employees are. */
const EMPLOYEES_LOCK = 7_061_011;

/**
 * Keeps employees as they are, or takes the right to change them, until the transaction ends: no task is made for want of
 * an employee while one arrives, to be found by neither; none is given to somebody who is leaving. After the day gate, before any
 * row lock.
 */
export async function holdEmployees(sql: Sql, how: 'AS_THEY_ARE' | 'TO_CHANGE_THEM'): Promise<void> {
  await sql(`select pg_advisory_xact_lock${how === 'AS_THEY_ARE' ? '_shared' : ''}($1)`, [EMPLOYEES_LOCK]);
}

/** The ids of all active employees who can get tasks. */
export async function assignableEmployees(sql: Sql): Promise<string[]> {
  const rows = await sql<{ user_id: string }>('select user_id from user_copies where assignable order by user_id');
  return rows.map(({ user_id }) => user_id);
}

/** One assignment's row, kept for ever. */
export async function keepAssignment(sql: Sql, task: { readonly id: string; readonly assigneeId: string; readonly assignmentNumber: number }, { at, businessDay }: Stamp): Promise<void> {
  await sql.later('insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at) values ($1, $2, $3, $4, $5)', [
    task.id,
    task.assignmentNumber,
    task.assigneeId,
    businessDay,
    at,
  ]);
}

/**
 * Tasks that are locked in one order, so that two of these, or one and a completion, wait for each other and never deadlock; a
 * completion that was first is seen, and leaves its task out. Then rows, assignments and events of all of them.
 */
const assignAll = (which: Assignable, isShuffle: boolean): string => `
  with task as materialized (
    select task_id, version, assignment_number, assignee_id from task_holders where ${CONDITIONS[which]} order by task_id for update
  ), assigned as materialized (
    select task_id, version + 1 as version, assignment_number + 1 as assignment_number, assignee_id as previous_assignee_id, place,
      ($2::uuid[])[($3::int[])[(place - 1) % $1::int + 1] + 1] as assignee_id
    from (select *, row_number() over (order by task_id) as place from task) as numbered
  ), moved as (
    update task_holders set assignee_id = assigned.assignee_id, assignment_number = assigned.assignment_number, version = assigned.version
    from assigned where task_holders.task_id = assigned.task_id
  ), kept as (
    insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at)
    select task_id, assignment_number, assignee_id, $4, $5::timestamptz from assigned
  ), event as materialized (
    select uuidv7() as id, task_id as aggregate_id, version, '${taskAssignedV1.type}' as type, '${taskAssignedV1.dataschema}' as dataschema,
      $5::timestamptz as occurred_at, $6::text as traceparent, place,
      json_build_object('version', version, 'assignmentNumber', assignment_number, 'assigneeId', assignee_id, 'previousAssigneeId', previous_assignee_id,
        'businessDay', $4::date, 'assignedAt', $7::text${isShuffle ? `, 'shuffleId', $8::uuid` : ''}) as data
    from assigned
  ), ${RECORDING}`;

/**
 * Gives open tasks random employees, with their events: two statements, however many tasks. The few that are made between the two are
 * among them, by draws that are used once more; those that are made later are not. To be called with the employees held.
 * @returns how many were assigned, and among how many employees; none when there is no employee
 */
export async function assignOpenTasks(sql: Sql, which: Assignable, round: Round): Promise<{ readonly assigned: number; readonly employees: number }> {
  const { stamp, random, traceparent, shuffleId } = round;
  const employeeIds = await assignableEmployees(sql);
  const [open] = employeeIds.length === 0 ? [] : await sql<{ count: number }>(`select count(*)::int as count from task_holders where ${CONDITIONS[which]}`);
  if (open === undefined || open.count === 0) return { assigned: 0, employees: employeeIds.length };
  const draws = drawAssignees(open.count, employeeIds.length, random);
  const parameters = [open.count, employeeIds, draws, stamp.businessDay, stamp.at, traceparent, stamp.at.toISOString(), ...(shuffleId === undefined ? [] : [shuffleId])];
  // Sorts of all open tasks stay in memory; on a busy machine it may take longer than statements are given otherwise.
  await sql.later(`set local work_mem = '64MB'`);
  await sql.later(`set local statement_timeout = '${ROUND_TIMEOUT_MS}ms'`);
  const [recorded] = await sql<{ events: number }>(assignAll(which, shuffleId !== undefined), parameters);
  const assigned = recorded?.events ?? 0;
  await countForDay(sql, stamp.businessDay, { assignments: assigned });
  return { assigned, employees: employeeIds.length };
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
