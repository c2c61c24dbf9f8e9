import type { Sql } from '@ates/service-kit/database';

/** What Accounting says of a day that it closed, and what the events come to here. Money in cents. */
export interface DayFigures {
  readonly companyEarnings: number;
  readonly paidOut: number;
  readonly paidEmployees: number;
  readonly employeesInTheRed: number;
  readonly assignments: number;
  readonly completions: number;
}

export interface Comparison {
  /** `YYYY-MM-DD` */
  readonly day: string;
  readonly closedAt: Date;
  readonly theirs: DayFigures;
  readonly ours: DayFigures;
}

/** Whether an event is still on its way is not to be known; after this long it should have come. */
export const DELAY_MAX_MS = 120_000;
const DAY_MS = 86_400_000;
/** Older days are settled: a look costs the same however long there has been a company. */
export const LOOK_BACK_DAYS = 400;

const COMPARE = `
  select closing.day::text, closed_at as "closedAt",
    json_build_object('companyEarnings', closing.company_earnings, 'paidOut', closing.paid_out, 'paidEmployees', closing.paid_employees,
      'employeesInTheRed', employees_in_the_red, 'assignments', assignments, 'completions', completions) as theirs,
    json_build_object('companyEarnings', coalesce(total.company_earnings, 0), 'paidOut', coalesce(total.paid_out, 0), 'paidEmployees', coalesce(total.paid_employees, 0),
      'employeesInTheRed', red.count, 'assignments', coalesce(assigned, 0), 'completions', coalesce(completed, 0)) as ours
  from day_closings as closing left join day_totals as total using (day)
  cross join lateral (
    select (select coalesce(sum(red_change), 0) from month_totals where month < date_trunc('month', closing.day::timestamp)::date)
      + (select coalesce(sum(red_change), 0) from day_totals as one where one.day between date_trunc('month', closing.day::timestamp)::date and closing.day) as count
  ) as red
  where closing.day between $1 and $2 order by closing.day`;

/** The closed days from a day to a day, both included, in order; a day costs a row for each month that there was and at most 31 others. */
export function compareWithClosings(sql: Sql, from: string, to: string): Promise<Comparison[]> {
  return sql<Comparison>(COMPARE, [from, to]);
}

export function isReconciled({ theirs, ours }: Pick<Comparison, 'theirs' | 'ours'>): boolean {
  return (Object.keys(theirs) as (keyof DayFigures)[]).every((name) => theirs[name] === ours[name]);
}

/** Whether Accounting has closed the day, and its figures are ours. */
export async function reconciled(sql: Sql, day: string): Promise<boolean> {
  const [comparison] = await compareWithClosings(sql, day, day);
  return comparison !== undefined && isReconciled(comparison);
}

/**
 * The days whose figures differ and should not any more. The events of accounts and of the close come by different partitions, so right
 * after a close ours may be behind.
 */
export async function unreconciledDays(sql: Sql, now: Date): Promise<Comparison[]> {
  const dateAt = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const closed = await compareWithClosings(sql, dateAt(now.getTime() - LOOK_BACK_DAYS * DAY_MS), dateAt(now.getTime() + DAY_MS));
  return closed.filter((comparison) => now.getTime() - comparison.closedAt.getTime() > DELAY_MAX_MS && !isReconciled(comparison));
}
