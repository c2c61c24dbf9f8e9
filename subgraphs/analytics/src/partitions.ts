import type { Sql } from '@ates/service-kit/database';
import { monthOf } from './projections.ts';

/** Further from now, in years, facts go to the default partition: a wrong date is no reason to make tables. */
const PARTITIONED_YEARS = { back: 10, ahead: 2 } as const;

const MAKE_PARTITIONS = `
  select make_partitions(month, month, current_schema()) from unnest($1::date[]) as month
  where month between current_date - interval '${PARTITIONED_YEARS.back} years' and current_date + interval '${PARTITIONED_YEARS.ahead} years'
  order by month`;

/**
 * Makes the monthly partitions that facts of these days need; call it before they are inserted, since PostgreSQL makes none for facts that the
 * default partition has already. Nothing is kept in memory of what exists: asking the catalogue of a month costs some microseconds and leaves
 * with the next statement, and what a transaction made goes with it when it is rolled back.
 *
 * A month is normally there: the robot makes the next ones ahead. One that is made here is locked until the transaction ends, which those
 * wait for who write or read the audit log. To be called before a transaction locks anything else of the model, lest two deadlock.
 *
 * A month that is over can be put away by the owner, `alter table audit_entries detach partition audit_entries_2023_01`: the audit log
 * ends there, dashboards stay right, for they read rollups only. As long as the detached table has its name, facts that come still go to the
 * default partition.
 * @param days `YYYY-MM-DD`, in any order
 */
export async function ensurePartitions(sql: Sql, days: Iterable<string>): Promise<void> {
  const months = new Set<string>();
  for (const day of days) months.add(monthOf(day));
  if (months.size > 0) await sql.later(MAKE_PARTITIONS, [[...months]]);
}

/** The months from that of a moment on, as first days: `2026-11-01`. In UTC: a day more or less does not matter a month ahead. */
export function monthsFrom(moment: Date, count: number): string[] {
  return Array.from({ length: count }, (_, index) => new Date(Date.UTC(moment.getUTCFullYear(), moment.getUTCMonth() + index, 1)).toISOString().slice(0, 10));
}
