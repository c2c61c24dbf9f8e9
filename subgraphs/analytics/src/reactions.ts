import type { Sql } from '@ates/service-kit/database';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { ensurePartitions } from './partitions.ts';
import { employeesTold, project, sumOfDays, type Changes } from './projections.ts';
import { addEntries, addToTotals, countAttempts, keepCopies, lockEmployees, raiseTops, tellOfTasks } from './rollups.ts';

/**
 * Brings the read model up to date with a batch of events, inside the inbox's transaction: at most sixteen statements however large the batch
 * is, in two packets, of which the second leaves with the commit. Rows are locked in one order by every batch, tables too: partitions,
 * employees, audit entries, employees' days, tasks, copies, tops, totals; those that everybody shares come last.
 * @returns the business days, `YYYY-MM-DD`, whose own figures changed, in order. How many are in the red may have changed on days after them too.
 */
export async function reactToEvents(sql: Sql, timeZone: string, events: readonly PublishedAtesEvent[]): Promise<{ readonly days: readonly string[] }> {
  const changes = project(events);
  const facts = [...changes.taskFacts.values()];
  if (changes.entries.length + facts.length > 0) await prepare(sql, changes);
  await lockEmployees(sql, employeesTold(changes));
  // Questions that don't wait for each other: they leave in one packet.
  const [posted, told, attempts] = await Promise.all([addEntries(sql, changes.entries), tellOfTasks(sql, facts), countAttempts(sql, timeZone, changes.attempts)]);
  const assigned = [...changes.assignments].map(([day, count]) => [day, { assigned: count }] as const);
  const days = sumOfDays([...assigned, ...posted, ...told.days, ...attempts]);
  await keepCopies(sql, changes);
  await raiseTops(sql, told.tops);
  await addToTotals(sql, days);
  const changed = new Set([...days.keys(), ...told.tops.map(({ day }) => day), ...changes.closings.map(({ businessDay }) => businessDay)]);
  return { days: [...changed].sort() };
}

async function prepare(sql: Sql, { entries, taskFacts }: Changes): Promise<void> {
  // Plans are kept, and tables that were small when they were made grow: each row is to be found by its index from the first one on.
  await sql.later('set local enable_seqscan = off');
  const days = new Set<string>();
  for (const { businessDay } of entries) days.add(businessDay);
  for (const { completedDay } of taskFacts.values()) if (completedDay !== null) days.add(completedDay);
  await ensurePartitions(sql, days);
  // Who makes a partition locks the tables until its commit: whoever comes meanwhile is to wait here, where it holds no rows yet that the other may need.
  await sql.later('lock table audit_entries, completions in row exclusive mode');
}
