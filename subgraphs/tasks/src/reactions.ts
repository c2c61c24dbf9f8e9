import type { Sql } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { assignOpenTasks, holdEmployees } from './assignments.ts';
import { endEarly } from './business-day.ts';
import { stampNow, type TaskCommandOptions } from './task-commands.ts';
import { copyUsers } from './user-copies.ts';

/**
 * What Tasks does about Users' events: keeps its copy, and gives every open task that is nobody's, or of somebody who gets
 * no tasks any more, to an employee, as soon as there is one.
 */
export async function reactToUsers(options: Omit<TaskCommandOptions, 'database'>, sql: Sql, events: readonly PublishedAtesEvent[]): Promise<void> {
  const changes = events.filter(isUserState);
  const last = changes.at(-1);
  if (last === undefined) return;
  const stamp = await stampNow(options, sql);
  await holdEmployees(sql, 'TO_CHANGE_THEM');
  const isAnotherMarket = await copyUsers(sql, changes.map(({ subject, data }) => ({ id: subject, ...data })));
  if (isAnotherMarket) await assignOpenTasks(sql, 'TASKS_WITHOUT_EMPLOYEE', { stamp, random: options.random, traceparent: last.traceparent });
}

/**
 * What Tasks does about Accounting's events: keeps a copy of each task's prices, and lets days end that are to be closed.
 * @returns whether a day may end now
 */
export async function reactToAccounting(
  { timeZone, clock, logger }: Pick<TaskCommandOptions, 'timeZone' | 'clock'> & { readonly logger: Pick<Logger, 'info'> },
  sql: Sql,
  events: readonly PublishedAtesEvent[],
): Promise<boolean> {
  let mayEnd = false;
  for (const event of events) {
    if (event.dataschema !== 'day.close_requested.v1') continue;
    const { businessDay } = event.data;
    if (await endEarly(sql, businessDay, timeZone, clock())) mayEnd = true;
    // Who asks is told by the marker, which has been published by then or comes at the day's end.
    else logger.info({ businessDay }, 'a day was to end that has ended already, or that has not begun');
  }
  // Last: rows of tasks are not to be held by whoever waits for the register.
  await copyPrices(sql, events);
  return mayEnd;
}

async function copyPrices(sql: Sql, events: readonly PublishedAtesEvent[]): Promise<void> {
  const prices = events.filter((event) => event.dataschema === 'task.priced.v1');
  if (prices.length === 0) return;
  await sql(
    `update tasks set fee = price.fee, reward = price.reward
     from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as price (task_id, fee, reward) where id = price.task_id`,
    [prices.map(({ subject }) => subject), prices.map(({ data }) => data.fee), prices.map(({ data }) => data.reward)],
  );
}
