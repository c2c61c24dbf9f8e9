import { plainArray, type Sql } from '@ates/service-kit/database';
import { cents } from '@ates/shared-events/cents';
import { monthOf, type AuditEntry, type Changes, type DayChange, type SignInAttempt, type TaskFact } from './projections.ts';

/** The best candidate of a batch for the most expensive task of a day. */
export interface TopCandidate {
  readonly day: string;
  readonly taskId: string;
  /** In cents, and the moment, as the database wrote them. */
  readonly reward: string;
  readonly completedAt: string;
}

export type DayPart = readonly [day: string, change: Partial<DayChange>];

// What is new of the entries, and what that does to the closings of each employee from their earliest day here on. `since` and the two
// lateral parts read one index range per employee: the day before, and those after, of which there is nearly always one or none.
// A timeline is the base, the rows that are there and the new nets, laid upon one another; `before` and `after` are its running sums.
const ADD_ENTRIES = `
  with added as (
    insert into audit_entries (entry_id, posted_at, day, kind, amount, description, employee_id, task_id)
    select * from unnest($1::uuid[], $2::timestamptz[], $3::date[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], $8::uuid[])
      as entry (entry_id, posted_at, day) order by day, posted_at, entry_id
    on conflict do nothing returning employee_id, day, kind, amount
  ), net as materialized (
    select employee_id, day, sum(amount) as net from added group by employee_id, day
  ), since as materialized (
    select employee_id, min(day) as day from net group by employee_id
  ), laid as (
    select employee_id, day, 0 as known, net as change from net
    union all
    select since.employee_id, later.day, later.net, 0 from since cross join lateral (
      select day, net from employee_days as one where one.employee_id = since.employee_id and one.day >= since.day offset 0
    ) as later
    union all
    select since.employee_id, '-infinity', prior.closing, 0 from since cross join lateral (
      select closing from employee_days as one where one.employee_id = since.employee_id and one.day < since.day order by one.day desc limit 1
    ) as prior
  ), timeline as materialized (
    select employee_id, day, sum(known + change) as net, sum(sum(known)) over so_far as before, sum(sum(known + change)) over so_far as after
    from laid group by employee_id, day
    window so_far as (partition by employee_id order by day)
  ), written as (
    insert into employee_days as known (employee_id, day, net, closing)
    select employee_id, day, net, after from timeline where day <> '-infinity' order by employee_id, day
    on conflict (employee_id, day) do update set net = excluded.net, closing = excluded.closing where known.net <> excluded.net or known.closing <> excluded.closing
  ), standing as (
    insert into employees as known (employee_id, balance, first_day)
    select distinct on (employee_id) employee_id, after, day from timeline order by employee_id, day desc
    on conflict (employee_id) do update set balance = excluded.balance where known.balance <> excluded.balance
  ), red as (
    select day, more - lag(more, 1, 0) over (partition by employee_id order by day) as change
    from (select employee_id, day, (after < 0)::integer - (before < 0)::integer as more from timeline) as ended
  )
  select day::text, sum(earned)::text as earned, sum(paid)::text as paid, sum(payouts)::integer as payouts, sum(red)::integer as red from (
    select day, -sum(amount) filter (where kind <> 'PAYOUT') as earned, -sum(amount) filter (where kind = 'PAYOUT') as paid,
      count(*) filter (where kind = 'PAYOUT') as payouts, 0 as red from added group by day
    union all
    select day, 0, 0, 0, sum(change) from red where change <> 0 group by day
  ) as part group by day`;

/**
 * Adds to the audit log what is new of these entries, and brings the employees' days and balances up to date. Whoever is named must have
 * been locked by `lockEmployees`.
 * @returns what it changes of the days' totals
 */
export async function addEntries(sql: Sql, entries: readonly AuditEntry[]): Promise<DayPart[]> {
  if (entries.length === 0) return [];
  const rows = await sql<{ day: string; earned: string | null; paid: string | null; payouts: number; red: number }>(ADD_ENTRIES, [
    plainArray(entries.map(({ id }) => id)),
    plainArray(entries.map(({ postedAt }) => postedAt)),
    plainArray(entries.map(({ businessDay }) => businessDay)),
    plainArray(entries.map(({ kind }) => kind)),
    plainArray(entries.map(({ amount }) => amount)),
    entries.map(({ description }) => description),
    plainArray(entries.map(({ employeeId }) => employeeId)),
    plainArray(entries.map(({ taskId }) => taskId)),
  ]);
  return rows.map(({ day, earned, paid, payouts, red }) => [day, { companyEarnings: cents(earned ?? '0'), paidOut: cents(paid ?? '0'), paidEmployees: payouts, redChange: red }]);
}

/** Makes rows of employees who are new, and keeps others from changing the balances of any of these until the transaction ends. */
export async function lockEmployees(sql: Sql, firstDays: ReadonlyMap<string, string>): Promise<void> {
  if (firstDays.size === 0) return;
  // A conflict locks the row, whether or not it is to be updated.
  await sql.later(
    `insert into employees as known (employee_id, first_day)
     select * from unnest($1::uuid[], $2::date[]) as told (employee_id, day) order by employee_id
     on conflict (employee_id) do update set first_day = excluded.first_day where excluded.first_day < known.first_day`,
    [plainArray([...firstDays.keys()]), plainArray([...firstDays.values()])],
  );
}

// Price and completion meet in the task's row, which each of them locks: who comes second sees the first, also if both come at once.
const TELL_OF_TASKS = `
  with told as (
    insert into task_rewards as known (task_id, reward, completed_day, completed_at)
    select * from unnest($1::uuid[], $2::bigint[], $3::date[], $4::timestamptz[]) as fact (task_id) order by task_id
    on conflict (task_id) do update set
      reward = coalesce(known.reward, excluded.reward),
      completed_day = coalesce(known.completed_day, excluded.completed_day),
      completed_at = coalesce(known.completed_at, excluded.completed_at)
    where (known.reward is null and excluded.reward is not null) or (known.completed_at is null and excluded.completed_at is not null)
    returning task_id, reward, completed_day, completed_at, old.completed_at is null as is_completed_now
  ), completed as (
    select task_id, reward, completed_day as day, completed_at, is_completed_now from told where completed_at is not null
  ), kept as (
    insert into completions (day, task_id, completed_at) select day, task_id, completed_at from completed where is_completed_now order by task_id on conflict do nothing
  ), best as (
    select distinct on (day) day, task_id, reward, completed_at from completed where reward is not null order by day, reward desc, completed_at, task_id
  ), counted as (
    select day, count(*) filter (where is_completed_now)::integer as completed from completed group by day
  )
  select day::text, completed, task_id as "taskId", reward, completed_at::text as "completedAt" from counted left join best using (day)`;

/** Keeps prices and completions. @returns the completions that are new, by day, and the tasks that may be their days' most expensive ones */
export async function tellOfTasks(sql: Sql, facts: readonly TaskFact[]): Promise<{ readonly days: DayPart[]; readonly tops: TopCandidate[] }> {
  if (facts.length === 0) return { days: [], tops: [] };
  const rows = await sql<{ day: string; completed: number } & (TopCandidate | { taskId: null })>(TELL_OF_TASKS, [
    plainArray(facts.map(({ taskId }) => taskId)),
    plainArray(facts.map(({ reward }) => reward)),
    plainArray(facts.map(({ completedDay }) => completedDay)),
    plainArray(facts.map(({ completedAt }) => completedAt)),
  ]);
  return { days: rows.map(({ day, completed }) => [day, { completed }]), tops: rows.filter((row) => row.taskId !== null) };
}

/** Counts attempts to sign in by the day that they have in the time zone, as the database computes it. */
export async function countAttempts(sql: Sql, timeZone: string, attempts: readonly SignInAttempt[]): Promise<DayPart[]> {
  if (attempts.length === 0) return [];
  const rows = await sql<{ day: string; granted: number; denied: number }>(
    `select (attempted_at at time zone $1)::date::text as day, count(*) filter (where not denied)::integer as granted, count(*) filter (where denied)::integer as denied
     from unnest($2::timestamptz[], $3::boolean[]) as attempt (attempted_at, denied) group by 1`,
    [timeZone, plainArray(attempts.map(({ attemptedAt }) => attemptedAt)), plainArray(attempts.map(({ denied }) => String(denied)))],
  );
  return rows.map(({ day, granted, denied }) => [day, { signIns: granted, deniedSignIns: denied }]);
}

/** Compares each candidate with the most expensive task of its day, and of its month: whatever the order, the same one stays. */
export async function raiseTops(sql: Sql, tops: readonly TopCandidate[]): Promise<void> {
  if (tops.length === 0) return;
  const columns = [plainArray(tops.map(({ taskId }) => taskId)), plainArray(tops.map(({ reward }) => reward)), tops.map(({ completedAt }) => completedAt)];
  await sql.later(raiseTopsOf('day'), [plainArray(tops.map(({ day }) => day)), ...columns]);
  await sql.later(raiseTopsOf('month'), [plainArray(tops.map(({ day }) => monthOf(day))), ...columns]);
}

// The first comparison is for the many that are no better: they need not wait for those who hold the row.
function raiseTopsOf(period: 'day' | 'month'): string {
  const isBetter = (one: string): string => `(${one}.reward, known.completed_at, known.task_id) > (known.reward, ${one}.completed_at, ${one}.task_id)`;
  return `
    insert into ${period}_tops as known (${period}, task_id, reward, completed_at)
    select best.* from (
      select distinct on (period) * from unnest($1::date[], $2::uuid[], $3::bigint[], $4::timestamptz[]) as candidate (period, task_id, reward, completed_at)
      order by period, reward desc, completed_at, task_id
    ) as best left join ${period}_tops as known on known.${period} = best.period
    where known.task_id is null or ${isBetter('best')} order by best.period
    on conflict (${period}) do update set task_id = excluded.task_id, reward = excluded.reward, completed_at = excluded.completed_at where ${isBetter('excluded')}`;
}

/** Adds to the totals of days, and to how many more are in the red by month. The rows that everybody shares: to be called last. */
export async function addToTotals(sql: Sql, days: ReadonlyMap<string, DayChange>): Promise<void> {
  if (days.size === 0) return;
  const changes = [...days.values()];
  const of = (field: keyof DayChange): string => plainArray(changes.map((change) => change[field]));
  await sql.later(
    `insert into day_totals as total (day, company_earnings, paid_out, paid_employees, assigned, completed, sign_ins, denied_sign_ins, red_change)
     select * from unnest($1::date[], $2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[]) as change (day) order by day
     on conflict (day) do update set
       company_earnings = total.company_earnings + excluded.company_earnings, paid_out = total.paid_out + excluded.paid_out,
       paid_employees = total.paid_employees + excluded.paid_employees, assigned = total.assigned + excluded.assigned,
       completed = total.completed + excluded.completed, sign_ins = total.sign_ins + excluded.sign_ins,
       denied_sign_ins = total.denied_sign_ins + excluded.denied_sign_ins, red_change = total.red_change + excluded.red_change`,
    [plainArray([...days.keys()]), of('companyEarnings'), of('paidOut'), of('paidEmployees'), of('assigned'), of('completed'), of('signIns'), of('deniedSignIns'), of('redChange')],
  );
  // Also where nothing changes: then a model has the same rows however its events were cut into batches.
  await sql.later(
    `insert into month_totals as total (month, red_change)
     select month, sum(red_change) from unnest($1::date[], $2::int[]) as change (month, red_change) group by month order by month
     on conflict (month) do update set red_change = total.red_change + excluded.red_change`,
    [plainArray([...days.keys()].map(monthOf)), of('redChange')],
  );
}

/** Copies of what others own, as they were told last. */
export async function keepCopies(sql: Sql, { tasks, users, closings }: Changes): Promise<void> {
  if (tasks.size > 0) {
    const copies = [...tasks.values()];
    await sql.later(
      `insert into task_copies as known (task_id, number, ticket, title) select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[]) as copy (task_id) order by task_id
       on conflict (task_id) do update set number = excluded.number, ticket = excluded.ticket, title = excluded.title`,
      [plainArray([...tasks.keys()]), plainArray(copies.map(({ number }) => number)), copies.map(({ ticket }) => ticket), copies.map(({ title }) => title)],
    );
  }
  if (users.size > 0) {
    await sql.later(
      `insert into user_copies as known (user_id, name) select * from unnest($1::uuid[], $2::text[]) as copy (user_id) order by user_id
       on conflict (user_id) do update set name = excluded.name where known.name <> excluded.name`,
      [plainArray([...users.keys()]), [...users.values()]],
    );
  }
  if (closings.length === 0) return;
  const of = (field: keyof Changes['closings'][number]): string => plainArray(closings.map((closing) => closing[field]));
  await sql.later(
    `insert into day_closings (day, closed_at, assignments, completions, company_earnings, paid_out, paid_employees, carried_over, employees_in_the_red)
     select * from unnest($1::date[], $2::timestamptz[], $3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::int[], $8::bigint[], $9::int[]) as closing (day) order by day
     on conflict do nothing`,
    [of('businessDay'), of('closedAt'), of('assignments'), of('completions'), of('companyEarnings'), of('paidOut'), of('paidEmployees'), of('carriedOver'), of('employeesInTheRed')],
  );
}
