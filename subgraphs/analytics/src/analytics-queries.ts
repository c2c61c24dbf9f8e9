import { cents, type Cents } from '@ates/shared-events/cents';
import type { Sql } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';

export interface DayStats {
  /** `YYYY-MM-DD` */
  readonly day: string;
  readonly companyEarnings: Cents;
  readonly assigned: number;
  readonly completed: number;
  readonly signIns: number;
  readonly deniedSignIns: number;
}

export interface TopTask {
  readonly taskId: string;
  readonly reward: Cents;
  readonly completedAt: Date;
}

export interface TaskCopy {
  readonly id: string;
  readonly number: number;
  readonly ticket: string | null;
  readonly title: string;
  readonly reward: Cents | null;
}

/** The totals of a day; a day of which nothing is known has zeros. */
export async function dayStats(sql: Sql, day: string): Promise<DayStats> {
  const [row] = await sql<{ company_earnings: string; assigned: number; completed: number; sign_ins: number; denied_sign_ins: number }>(
    'select company_earnings, assigned, completed, sign_ins, denied_sign_ins from day_totals where day = $1',
    [day],
  );
  return {
    day,
    companyEarnings: cents(row?.company_earnings ?? '0'),
    assigned: row?.assigned ?? 0,
    completed: row?.completed ?? 0,
    signIns: row?.sign_ins ?? 0,
    deniedSignIns: row?.denied_sign_ins ?? 0,
  };
}

/** How many employees' balances are below zero at the end of a day. */
export async function popugsInTheRed(sql: Sql, day: string): Promise<number> {
  const [row] = await sql<{ count: number }>(
    `select count(*)::int as count from (
       select employee_id from employee_days where day <= $1 group by employee_id having sum(net) < 0
     ) as in_the_red`,
    [day],
  );
  return row?.count ?? 0;
}

/** The completed task with the highest reward from a day to a day, both included; of equals the one completed first. */
export async function mostExpensiveTask(sql: Sql, from: string, to: string): Promise<TopTask | null> {
  const [row] = await sql<{ task_id: string; reward: string; completed_at: Date }>(
    `select task_id, reward, completed_at from completions join task_rewards using (task_id)
     where day between $1 and $2 order by reward desc, completed_at, task_id limit 1`,
    [from, to],
  );
  return row === undefined ? null : { taskId: row.task_id, reward: cents(row.reward), completedAt: row.completed_at };
}

/** Tasks' copies by id, one statement for all that an operation asks for at once. */
export function taskCopyLoader(sql: Sql): Loader<string, TaskCopy> {
  interface Row {
    readonly task_id: string;
    readonly number: number | null;
    readonly ticket: string | null;
    readonly title: string | null;
    readonly reward: string | null;
  }
  return batchLoader(
    (ids) =>
      sql<Row>('select task_id, number, ticket, title, reward from task_copies full join task_rewards using (task_id) where task_id = any($1::uuid[])', [ids]),
    ({ task_id }) => task_id,
    (row, id) => ({
      id,
      number: row?.number ?? 0,
      ticket: row?.ticket ?? null,
      title: row?.title ?? 'a task not known here yet',
      reward: row?.reward == null ? null : cents(row.reward),
    }),
  );
}
