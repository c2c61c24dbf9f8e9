import type { Sql } from '@ates/service-kit/database';
import { readDays, type DayStats } from './day-stats.ts';

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
  /** Whether they are the same. */
  readonly reconciled: boolean;
}

/** Whether an event is still on its way is not to be known; after this long it should have come. */
export const DELAY_MAX_MS = 120_000;
const DAY_MS = 86_400_000;
/** Older days are settled: a look costs the same however long there has been a company. */
export const LOOK_BACK_DAYS = 400;

const CLOSED = `
  select day::text, closed_at as "closedAt", json_build_object('companyEarnings', company_earnings, 'paidOut', paid_out, 'paidEmployees', paid_employees,
    'employeesInTheRed', employees_in_the_red, 'assignments', assignments, 'completions', completions) as theirs
  from day_closings where day between $1 and $2 order by day_closings.day`;

/** The closed days from a day to a day, both included, in order. Whether figures agree is for `readDays` alone to say. */
export async function compareWithClosings(sql: Sql, from: string, to: string): Promise<Comparison[]> {
  const closed = await sql<Pick<Comparison, 'day' | 'closedAt' | 'theirs'>>(CLOSED, [from, to]);
  const known = new Map((await readDays(sql, closed.map(({ day }) => day))).map((stats) => [stats.day, stats]));
  return closed.map((closing) => {
    const { reconciled, companyEarnings, paidOut, paidEmployees, popugsInTheRed, assigned, completed } = known.get(closing.day) as DayStats;
    const ours = { companyEarnings, paidOut, paidEmployees, employeesInTheRed: popugsInTheRed, assignments: assigned, completions: completed };
    return { ...closing, ours, reconciled };
  });
}

/**
 * The days whose figures differ and should not any more. The events of accounts and of the close come by different partitions, so right
 * after a close ours may be behind.
 */
export async function unreconciledDays(sql: Sql, now: Date): Promise<Comparison[]> {
  const dateAt = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  const closed = await compareWithClosings(sql, dateAt(now.getTime() - LOOK_BACK_DAYS * DAY_MS), dateAt(now.getTime() + DAY_MS));
  return closed.filter(({ closedAt, reconciled }) => now.getTime() - closedAt.getTime() > DELAY_MAX_MS && !reconciled);
}
