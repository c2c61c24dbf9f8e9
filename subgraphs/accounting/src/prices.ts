import type { Sql } from '@ates/service-kit/database';
import { taskPricedV1 } from '@ates/shared-events/accounting-events';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { cents } from '@ates/shared-events/cents';
import { newEvent } from '@ates/shared-events/event';
import { drawPrice, type Price, type RandomBetween } from './pricing.ts';

/** A task that has been heard of, and within which trace. */
export interface HeardOf {
  readonly taskId: string;
  readonly traceparent: string;
}

/**
 * The prices of tasks, by task id; what has none yet is priced now, once, whichever event told of it first.
 * @returns the prices, and an event for each new one, to be recorded in the same transaction
 */
export async function pricesOf(
  sql: Sql,
  tasks: readonly HeardOf[],
  { random, at }: { readonly random: RandomBetween; readonly at: Date },
): Promise<{ prices: ReadonlyMap<string, Price>; events: AtesEvent[] }> {
  const heardOf = new Map(tasks.map((task) => [task.taskId, task]));
  const prices = await knownPrices(sql, [...heardOf.keys()]);
  const unpriced = [...heardOf.values()].filter(({ taskId }) => !prices.has(taskId));
  if (unpriced.length === 0) return { prices, events: [] };

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
  for (const [taskId, price] of await knownPrices(sql, lost)) prices.set(taskId, price);
  const events = settled.map(({ taskId, fee, reward, traceparent }) =>
    newEvent(taskPricedV1, taskId, { version: 1, fee, reward, pricedAt: at.toISOString() }, { time: at, traceparent }),
  );
  return { prices, events };
}

async function knownPrices(sql: Sql, taskIds: readonly string[]): Promise<Map<string, Price>> {
  if (taskIds.length === 0) return new Map();
  const rows = await sql<{ task_id: string; fee: string; reward: string }>('select task_id, fee, reward from prices where task_id = any($1::uuid[])', [taskIds]);
  return new Map(rows.map(({ task_id, fee, reward }) => [task_id, { fee: cents(fee), reward: cents(reward) }]));
}
