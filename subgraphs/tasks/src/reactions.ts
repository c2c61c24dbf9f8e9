import type { Sql } from '@ates/service-kit/database';
import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { assignOpenTasks, holdEmployees } from './assignments.ts';
import { stampBusinessDay } from './business-day.ts';
import type { TaskCommandOptions } from './task-commands.ts';
import { copyUser } from './user-copies.ts';

/**
 * What Tasks does about Users' events: keeps its copy, and gives every open task that is nobody's, or of somebody who gets
 * no tasks any more, to an employee, as soon as there is one.
 */
export async function reactToUsers(
  { timeZone, clock, random }: Omit<TaskCommandOptions, 'database'>,
  sql: Sql,
  events: readonly PublishedAtesEvent[],
): Promise<void> {
  const changes = events.filter(isUserState);
  const last = changes.at(-1);
  if (last === undefined) return;
  const at = clock();
  const stamp = { at, businessDay: await stampBusinessDay(sql, timeZone, at) };
  await holdEmployees(sql, 'TO_CHANGE_THEM');
  for (const { subject, data } of changes) await copyUser(sql, { id: subject, ...data });
  await assignOpenTasks(sql, 'TASKS_WITHOUT_EMPLOYEE', { stamp, random, traceparent: last.traceparent });
}

/** What Tasks does about Accounting's events: keeps a copy of each task's prices. */
export async function reactToAccounting(sql: Sql, events: readonly PublishedAtesEvent[]): Promise<void> {
  const prices = events.filter((event) => event.dataschema === 'task.priced.v1');
  if (prices.length === 0) return;
  await sql(
    `update tasks set fee = price.fee, reward = price.reward
     from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as price (task_id, fee, reward) where tasks.id = price.task_id`,
    [prices.map(({ subject }) => subject), prices.map(({ data }) => data.fee), prices.map(({ data }) => data.reward)],
  );
}
