import type { Sql } from '@ates/service-kit/database';
import { taskPricedV1 } from '@ates/shared-events/accounting-events';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent } from '@ates/shared-events/event';
import type { TaskLabel } from './ledger.ts';
import { drawPrice, type Price, type RandomBetween } from './pricing.ts';

/** A task that has been heard of, and within which trace. */
export interface HeardOf {
  readonly taskId: string;
  readonly traceparent: string;
}

/** What is known here of a task: its text and its price. */
export interface KnownTask {
  readonly label: TaskLabel | undefined;
  readonly price: Price | undefined;
}

/** What is known of these tasks, by id. */
export async function knownTasks(sql: Sql, taskIds: readonly string[]): Promise<Map<string, KnownTask>> {
  interface Row {
    readonly task_id: string;
    readonly number: number | null;
    readonly ticket: string | null;
    readonly title: string | null;
    readonly fee: string | null;
    readonly reward: string | null;
  }
  const rows = await sql<Row>(
    `select task_id, number, ticket, title, fee, reward from unnest($1::uuid[]) as asked (task_id)
     left join task_copies using (task_id) left join prices using (task_id)`,
    [taskIds],
  );
  return new Map(
    rows.map(({ task_id, number, ticket, title, fee, reward }) => {
      const label = number === null || title === null ? undefined : { number, ticket, title };
      return [task_id, { label, price: fee === null || reward === null ? undefined : { fee: cents(fee), reward: cents(reward) } }];
    }),
  );
}

/**
 * The prices of tasks, by task id; what has none yet is priced now, once, whichever event told of it first.
 * @param prices those known already; the new ones are added
 * @returns an event for each new price, to be recorded in the same transaction
 */
export async function setPrices(
  sql: Sql,
  tasks: readonly HeardOf[],
  prices: Map<string, Price>,
  { random, at }: { readonly random: RandomBetween; readonly at: Date },
): Promise<AtesEvent[]> {
  const heardOf = new Map(tasks.map((task) => [task.taskId, task]));
  const unpriced = [...heardOf.values()].filter(({ taskId }) => !prices.has(taskId));
  if (unpriced.length === 0) return [];

  const drawn = unpriced.map((task) => ({ ...task, ...drawPrice(random) }));
  const inserted = await sql<{ task_id: string }>(
    `insert into prices (task_id, fee, reward, priced_at)
     select task_id, fee, reward, $4 from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as price (task_id, fee, reward)
     order by task_id on conflict do nothing returning task_id`,
    [drawn.map(({ taskId }) => taskId), drawn.map(({ fee }) => fee), drawn.map(({ reward }) => reward), at],
  );
  const first = new Set(inserted.map(({ task_id }) => task_id));
  const settled = drawn.filter(({ taskId }) => first.has(taskId));
  for (const { taskId, fee, reward } of settled) prices.set(taskId, { fee, reward });
  const lost = drawn.map(({ taskId }) => taskId).filter((taskId) => !first.has(taskId));
  if (lost.length > 0) for (const [taskId, { price }] of await knownTasks(sql, lost)) if (price !== undefined) prices.set(taskId, price);
  return settled.map(({ taskId, fee, reward, traceparent }) =>
    newEvent(taskPricedV1, taskId, { version: 1, fee, reward, pricedAt: at.toISOString() }, { time: at, traceparent }),
  );
}
