import type { Sql } from '@ates/service-kit/database';
import { cents, type Cents } from '@ates/shared-events/cents';
import { daysIn, requireFew, type DayRange } from './day-range.ts';
import type { TopTask } from './top-tasks.ts';

/** What is known of a business day; one of which nothing is known has zeros. */
export interface DayStats {
  /** `YYYY-MM-DD` */
  readonly day: string;
  readonly companyEarnings: Cents;
  readonly paidOut: Cents;
  readonly paidEmployees: number;
  readonly assigned: number;
  readonly completed: number;
  readonly signIns: number;
  readonly deniedSignIns: number;
  /** How many employees are below zero at its end. */
  readonly popugsInTheRed: number;
  /** Whether Accounting has closed it with these very totals. */
  readonly reconciled: boolean;
  readonly mostExpensiveTask: TopTask | null;
}

interface Row extends Omit<DayStats, 'companyEarnings' | 'paidOut' | 'mostExpensiveTask'> {
  readonly companyEarnings: string;
  readonly paidOut: string;
  readonly taskId: string | null;
  readonly reward: string;
  readonly completedAt: Date;
}

/**
 * Of each day a row of each rollup. Who is in the red at its end is what all days until then come to: the months before the first of the
 * days that are asked for, and each day from there to the last, added up once for all of them.
 */
const STATS = `
  with asked as (
    select day, place from unnest($1::date[]) with ordinality as one (day, place)
  ), bounds as (
    select date_trunc('month', min(day)::timestamp)::date as first, max(day) as last from asked
  ), red as materialized (
    select day, ((select coalesce(sum(red_change), 0) from month_totals, bounds where month < first) + sum(sum(change)) over (order by day))::int as count
    from (
      select day, red_change as change from day_totals, bounds where day between first and last
      union all
      select day, 0 from asked
    ) as each_day group by day
  )
  select asked.day::text, coalesce(totals.company_earnings, 0)::text as "companyEarnings", coalesce(totals.paid_out, 0)::text as "paidOut",
    coalesce(totals.paid_employees, 0) as "paidEmployees", coalesce(totals.assigned, 0) as assigned, coalesce(totals.completed, 0) as completed,
    coalesce(totals.sign_ins, 0) as "signIns", coalesce(totals.denied_sign_ins, 0) as "deniedSignIns", red.count as "popugsInTheRed",
    top.task_id as "taskId", top.reward::text, top.completed_at as "completedAt",
    coalesce((closing.assignments, closing.completions, closing.company_earnings, closing.paid_out, closing.paid_employees, closing.employees_in_the_red) =
      (coalesce(totals.assigned, 0), coalesce(totals.completed, 0), coalesce(totals.company_earnings, 0), coalesce(totals.paid_out, 0), coalesce(totals.paid_employees, 0), red.count),
      false) as reconciled
  from asked join red using (day)
  left join day_totals as totals on totals.day = asked.day
  left join day_tops as top on top.day = asked.day
  left join day_closings as closing on closing.day = asked.day
  order by place`;

/** What is known of days, in their order. */
export async function readDays(sql: Sql, days: readonly string[]): Promise<DayStats[]> {
  return (await sql<Row>(STATS, [days])).map(({ taskId, reward, completedAt, companyEarnings, paidOut, ...row }) => ({
    ...row,
    companyEarnings: cents(companyEarnings),
    paidOut: cents(paidOut),
    mostExpensiveTask: taskId === null ? null : { taskId, reward: cents(reward), completedAt, from: row.day, to: row.day },
  }));
}

/**
 * Each day of a range.
 * @throws DomainError BAD_USER_INPUT for more than 366
 */
export function readRange(sql: Sql, range: DayRange): Promise<DayStats[]> {
  const count = daysIn(range);
  requireFew(count, 'days');
  return readDays(
    sql,
    Array.from({ length: count }, (_, place) => {
      const day = new Date(`${range.from}T00:00:00Z`);
      day.setUTCDate(day.getUTCDate() + place);
      return day.toISOString().slice(0, 10);
    }),
  );
}
