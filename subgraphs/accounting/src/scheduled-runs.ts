import type { Sql } from '@ates/service-kit/database';

export type RunOutcome = 'NOTHING_TO_DO' | 'DONE' | 'WAITING' | 'OVERDUE' | 'FAILED';

/** How a robot's run ended. */
export interface RunResult {
  /** The business day that it was about, `YYYY-MM-DD`; null for none. */
  readonly day: string | null;
  readonly outcome: RunOutcome;
  /** For people; what to do next, if there is anything to do. */
  readonly message: string | null;
}

const KEPT_DAYS = 90;

/** Keeps how a robot's run ended. What ends like the run before it shares its row. */
export async function recordRun(sql: Sql, robot: string, { day, outcome, message }: RunResult, at: Date): Promise<void> {
  await sql(
    `with last as (
       select id, day, outcome, message from scheduled_runs where robot = $1 order by last_at desc, id desc limit 1
     ), again as (
       update scheduled_runs set last_at = greatest(last_at, $5), runs = runs + 1
       where id = (select id from last where outcome = $3 and day is not distinct from $2::date and message is not distinct from $4) returning 1
     )
     insert into scheduled_runs (robot, day, outcome, message, first_at, last_at) select $1, $2, $3, $4, $5, $5 where not exists (select from again)`,
    [robot, day, outcome, message, at],
  );
}

const RECORD_EVERY_MS = 60_000;

/** For robots that run all the time: keeps a run that ended otherwise than the one before it, and of those that end alike one a minute. */
export function runRecorder(sql: Sql, robot: string): (result: RunResult, at: Date) => Promise<void> {
  let [last, lastAt] = ['', 0];
  return async (result, at) => {
    const text = JSON.stringify(result);
    if (text === last && at.getTime() - lastAt < RECORD_EVERY_MS) return;
    [last, lastAt] = [text, at.getTime()];
    await recordRun(sql, robot, result, at);
  };
}

/** Forgets the runs that are not kept any more. */
export async function forgetOldRuns(sql: Sql, now: Date): Promise<void> {
  await sql('delete from scheduled_runs where last_at < $1::timestamptz - make_interval(days => $2)', [now, KEPT_DAYS]);
}
