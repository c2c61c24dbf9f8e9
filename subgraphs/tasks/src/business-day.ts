import type { Database, Sql } from '@ates/service-kit/database';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { tasksDayEndedV1 } from '@ates/shared-events/task-events';
import { DAY_GATES } from '../migrations/2026-11-21-market.ts';

/** Held by whoever ends a day: days end one after the other. */
const DAY_END_LOCK = 7_061_012;
/** So many days are in the register ahead of today, so that a day ended early has a successor. */
const DAYS_AHEAD = 2;

/** What was stamped with a day. */
export interface DayWork {
  readonly assignments?: number;
  readonly completions?: number;
  readonly deletions?: number;
  /** The highest number that a task was given. */
  readonly lastTaskNumber?: number;
}

/**
 * Reads the business day that counts now, and passes its gate for the rest of the transaction: today in the business time zone
 * or, if today has ended already, the earliest day still open. Each day has a gate of its own, so that whoever begins after
 * midnight waits for nobody who began before. Must come before any row lock: who waits at the gate with a row in hand could stop
 * those who are through it.
 * @returns `YYYY-MM-DD`
 */
export async function stampBusinessDay(sql: Sql, timeZone: string, now: Date): Promise<string> {
  const open = await passGate(sql, now);
  if (open !== null) return open;
  await extendRegister(sql, timeZone, now);
  const opened = await passGate(sql, now);
  if (opened === null) throw new Error(`The register of business days has no open day at ${now.toISOString()}`);
  return opened;
}

/**
 * Counts what the transaction has stamped with a day, for the day's marker. The last thing that it does: who counts in the same
 * place waits until it has committed.
 */
export async function countForDay(sql: Sql, day: string, { assignments = 0, completions = 0, deletions = 0, lastTaskNumber = 0 }: DayWork): Promise<void> {
  await sql.later('select count_for_day($1, $2, $3, $4, $5)', [day, assignments, completions, deletions, lastTaskNumber]);
}

/**
 * Adds the days since the last one in the register up to a few after today; at first, today and those. The database alone computes
 * where a day begins and ends: where the one before it ends, and at the next midnight of the time zone, as daylight saving moves it.
 * A date that the zone's calendar leaves out is no day.
 */
export async function extendRegister(sql: Sql, timeZone: string, now: Date): Promise<void> {
  await sql(
    `with today as (
       select ($2::timestamptz at time zone $1)::date as date
     ), missing as (
       select each::date as day from today, generate_series(
         coalesce((select max(day) + 1 from business_days), today.date)::timestamp, (today.date + $3::int)::timestamp, interval '1 day') as each
     )
     insert into business_days (day, starts_at, ends_at)
     select missing.day, bounds.starts_at, bounds.ends_at
     from missing left join business_days as before on before.day = missing.day - 1,
       lateral (select
         coalesce(before.ends_at, start_of_day(missing.day, $1)) as starts_at, start_of_day(missing.day + 1, $1) as ends_at) as bounds
     where bounds.ends_at > bounds.starts_at
     order by missing.day
     on conflict (day) do nothing`,
    [timeZone, now, DAYS_AHEAD],
  );
}

/**
 * Lets a day end now, before its time is over: from here on nothing begins to be stamped with it. `endElapsedDays` ends it when
 * what is under way has committed.
 * @returns false for a day that has ended, or that has not begun
 */
export async function endEarly(sql: Sql, day: string, timeZone: string, now: Date): Promise<boolean> {
  await extendRegister(sql, timeZone, now);
  const shortened = await sql(
    `update business_days set ends_at = greatest(starts_at, least(ends_at, $2))
     where day = $1 and ended_at is null and day <= ($2::timestamptz at time zone $3)::date returning day`,
    [day, now, timeZone],
  );
  return shortened.length > 0;
}

/**
 * Ends every day whose time is over, in order, each with its marker: whatever was in flight with that stamp is committed
 * before the marker, and nothing gets the stamp after it. Any replica may call it at any time; a day ends once.
 * @returns the days that this call ended, `YYYY-MM-DD`
 */
export async function endElapsedDays(database: Database, timeZone: string, clock: () => Date): Promise<string[]> {
  await extendRegister(database.sql, timeZone, clock());
  const ended: string[] = [];
  for (;;) {
    const day = await database.sqlTransaction((sql) => endOldestElapsedDay(sql, clock()));
    if (day === null) return ended;
    ended.push(day);
  }
}

async function endOldestElapsedDay(sql: Sql, now: Date): Promise<string | null> {
  await sql('select pg_advisory_xact_lock($1)', [DAY_END_LOCK]);
  const [oldest] = await sql<{ id: string; day: string }>(
    'select id, day::text from business_days where ended_at is null and ends_at <= $1 order by day limit 1',
    [now],
  );
  if (oldest === undefined) return null;
  await sql('select pg_advisory_xact_lock($1, day_gate($2))', [DAY_GATES, oldest.day]);
  const [totals] = await sql<Required<DayWork>>(
    `with counted as (delete from business_day_counts where day = $1 returning *)
     update business_days set ended_at = $2, (assignments, completions, deletions, last_task_number) = (
       select coalesce(sum(assignments), 0), coalesce(sum(completions), 0), coalesce(sum(deletions), 0), greatest(max(last_task_number),
         (select last_task_number from business_days as earlier where earlier.day < $1 and last_task_number is not null order by day desc limit 1), 0)
       from counted)
     where day = $1 returning assignments, completions, deletions, last_task_number as "lastTaskNumber"`,
    [oldest.day, now],
  );
  if (totals === undefined) throw new Error(`${oldest.day} is not in the register any more`);
  const marker = { version: 1, businessDay: oldest.day, endedAt: now.toISOString(), ...totals };
  await recordEvents(sql, [newEvent(tasksDayEndedV1, oldest.id, marker, { time: now, traceparent: currentTraceparent() })]);
  return oldest.day;
}

async function passGate(sql: Sql, now: Date): Promise<string | null> {
  const [row] = await sql<{ day: string | null }>('select pass_day_gate($1)::text as day', [now]);
  return row?.day ?? null;
}
