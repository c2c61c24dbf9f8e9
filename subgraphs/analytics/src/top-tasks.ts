import type { Sql } from '@ates/service-kit/database';
import { cents, type Cents } from '@ates/shared-events/cents';
import { daysIn, requireFew, type DayRange } from './day-range.ts';

/** The completed task with the highest reward of some days. */
export interface TopTask {
  readonly taskId: string;
  readonly reward: Cents;
  readonly completedAt: Date;
  /** The first and the last of the days, `YYYY-MM-DD`. */
  readonly from: string;
  readonly to: string;
}

export type Period = 'DAY' | 'WEEK' | 'MONTH';

interface Row {
  readonly task_id: string;
  readonly reward: string;
  readonly completed_at: Date;
  readonly from: string;
  readonly to: string;
}

const topOf = ({ task_id, reward, completed_at, from, to }: Row): TopTask => ({ taskId: task_id, reward: cents(reward), completedAt: completed_at, from, to });

/** Of equals the one completed first, then the one of the lower id: as the rollups have it. */
const BEST = 'reward desc, completed_at, task_id';

/** The tops of a range ($1 to $2): of its whole months one each, and of the other days, at most sixty. */
const WHOLE_MONTHS_AND_DAYS = `
  range as (
    select $1::date as first_day, $2::date as last_day,
      date_trunc('month', $1::date::timestamp + interval '1 month' - interval '1 day')::date as first_month,
      date_trunc('month', $2::date::timestamp + interval '1 day')::date as end_month
  ), tops as (
    select month as day, task_id, reward, completed_at from range join month_tops on month >= first_month and month < end_month
    union all
    select day, task_id, reward, completed_at from range join day_tops on day between first_day and least(first_month - 1, last_day)
    union all
    select day, task_id, reward, completed_at from range join day_tops on day between greatest(end_month, first_month) and last_day
  )`;

const BY_PERIOD: Record<Period, string> = {
  DAY: `select day::text as "from", day::text as "to", task_id, reward::text, completed_at from day_tops where day between $1 and $2 order by day`,
  WEEK: cutToRange(`tops as (select day, task_id, reward, completed_at from day_tops where day between $1 and $2)`, 'week'),
  MONTH: cutToRange(WHOLE_MONTHS_AND_DAYS, 'month'),
};

function cutToRange(tops: string, period: 'week' | 'month'): string {
  return `
    with ${tops}, best as (
      select distinct on (first_day) date_trunc('${period}', day::timestamp) as first_day, task_id, reward, completed_at from tops order by first_day, ${BEST}
    )
    select greatest(first_day::date, $1)::text as "from", least((first_day + interval '1 ${period}' - interval '1 day')::date, $2)::text as "to",
      task_id, reward::text, completed_at from best order by first_day`;
}

/** The most expensive task that was completed within a range, however long: a row for each of its months, and some for the days at its ends. */
export async function mostExpensiveTask(sql: Sql, { from, to }: DayRange): Promise<TopTask | null> {
  const [row] = await sql<Row>(
    `with ${WHOLE_MONTHS_AND_DAYS} select $1::text as "from", $2::text as "to", task_id, reward::text, completed_at from tops order by tops.reward desc, completed_at, task_id limit 1`,
    [from, to],
  );
  return row === undefined ? null : topOf(row);
}

/**
 * The most expensive task of each period that has one, the earliest first. Of periods that begin before the range or end after it, what lies
 * within counts.
 * @throws DomainError BAD_USER_INPUT for more than 366 periods
 */
export async function mostExpensiveTasks(sql: Sql, period: Period, range: DayRange): Promise<TopTask[]> {
  requireFew(periodsIn(period, range), `${period.toLowerCase()}s`);
  return (await sql<Row>(BY_PERIOD[period], [range.from, range.to])).map(topOf);
}

/** How many periods a range touches. */
export function periodsIn(period: Period, range: DayRange): number {
  if (period === 'DAY') return daysIn(range);
  if (period === 'MONTH') {
    const monthOf = (day: string): number => Number(day.slice(0, 4)) * 12 + Number(day.slice(5, 7));
    return monthOf(range.to) - monthOf(range.from) + 1;
  }
  const sinceMonday = (new Date(`${range.from}T00:00:00Z`).getUTCDay() + 6) % 7;
  return Math.ceil((sinceMonday + daysIn(range)) / 7);
}
