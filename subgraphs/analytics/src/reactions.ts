import type { Sql } from '@ates/service-kit/database';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { project, type AuditEntry, type Changes } from './projections.ts';

/** Brings the read model up to date with a batch of events, in a few statements, inside the inbox's transaction. */
export async function reactToEvents(sql: Sql, timeZone: string, events: readonly PublishedAtesEvent[]): Promise<void> {
  const changes = project(events);
  await changeDays(sql, changes.days);
  await addAuditEntries(sql, changes.auditEntries);
  await countAttempts(sql, timeZone, changes.attempts);
  await addTaskFacts(sql, changes);
}

async function changeDays(sql: Sql, days: Changes['days']): Promise<void> {
  if (days.size === 0) return;
  const changes = [...days].sort(([a], [b]) => (a < b ? -1 : 1));
  await sql(
    `insert into day_totals as total (day, company_earnings, assigned, completed)
     select * from unnest($1::date[], $2::bigint[], $3::int[], $4::int[])
     on conflict (day) do update set
       company_earnings = total.company_earnings + excluded.company_earnings,
       assigned = total.assigned + excluded.assigned,
       completed = total.completed + excluded.completed`,
    [
      changes.map(([day]) => day),
      changes.map(([, { companyEarnings }]) => companyEarnings),
      changes.map(([, { assigned }]) => assigned),
      changes.map(([, { completed }]) => completed),
    ],
  );
}

async function addAuditEntries(sql: Sql, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await sql(
    `with added as (
       insert into audit_entries (entry_id, posted_at, day, kind, amount, description, employee_id, task_id)
       select * from unnest($1::uuid[], $2::timestamptz[], $3::date[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[])
       on conflict do nothing returning employee_id, day, amount
     )
     insert into employee_days as known (employee_id, day, net)
     select employee_id, day, sum(amount) from added group by employee_id, day order by employee_id, day
     on conflict (employee_id, day) do update set net = known.net + excluded.net`,
    [
      entries.map(({ id }) => id),
      entries.map(({ postedAt }) => postedAt),
      entries.map(({ businessDay }) => businessDay),
      entries.map(({ kind }) => kind),
      entries.map(({ amount }) => amount),
      entries.map(({ description }) => description),
      entries.map(({ employeeId }) => employeeId),
      entries.map(({ taskId }) => taskId),
    ],
  );
}

async function countAttempts(sql: Sql, timeZone: string, attempts: Changes['attempts']): Promise<void> {
  if (attempts.length === 0) return;
  await sql(
    `insert into day_totals as total (day, sign_ins, denied_sign_ins)
     select (attempted_at at time zone $1)::date as day, count(*) filter (where not denied), count(*) filter (where denied)
     from unnest($2::timestamptz[], $3::boolean[]) as attempt (attempted_at, denied) group by 1 order by 1
     on conflict (day) do update set
       sign_ins = total.sign_ins + excluded.sign_ins,
       denied_sign_ins = total.denied_sign_ins + excluded.denied_sign_ins`,
    [timeZone, attempts.map(({ attemptedAt }) => attemptedAt), attempts.map(({ denied }) => denied)],
  );
}

async function addTaskFacts(sql: Sql, { tasks: written, rewards, completions }: Changes): Promise<void> {
  // One statement can't write a row twice: of several states of a task the last counts.
  const tasks = [...new Map(written.map((task) => [task.taskId, task])).values()];
  if (tasks.length > 0) {
    await sql(
      `insert into task_copies (task_id, number, ticket, title) select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[])
       on conflict (task_id) do update set number = excluded.number, ticket = excluded.ticket, title = excluded.title`,
      [tasks.map(({ taskId }) => taskId), tasks.map(({ number }) => number), tasks.map(({ ticket }) => ticket), tasks.map(({ title }) => title)],
    );
  }
  if (rewards.length > 0) {
    await sql('insert into task_rewards (task_id, reward) select * from unnest($1::uuid[], $2::bigint[]) on conflict do nothing', [
      rewards.map(({ taskId }) => taskId),
      rewards.map(({ reward }) => reward),
    ]);
  }
  if (completions.length > 0) {
    await sql('insert into completions (task_id, day, completed_at) select * from unnest($1::uuid[], $2::date[], $3::timestamptz[]) on conflict do nothing', [
      completions.map(({ taskId }) => taskId),
      completions.map(({ day }) => day),
      completions.map(({ completedAt }) => completedAt),
    ]);
  }
}
