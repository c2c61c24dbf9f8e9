import type { Database, Sql } from '@ates/service-kit/database';
import { traceOf } from '@ates/service-kit/trace-context';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { tasksDayEndedV1 } from '@ates/shared-events/task-events';

/** Shared by whoever stamps something with a day, exclusive for whoever ends one. */
const DAY_GATE_LOCK = 7_061_010;
/** So many days are in the register ahead of today, so that a day ended early has a successor. */
const DAYS_AHEAD = 2;

/**
 * Passes the day gate, for the rest of the transaction, and reads the business day that counts now: today in the
 * business time zone or, if today has ended already, the earliest day still open. Must come before any row lock:
 * who waits at the gate with a row in hand could stop those who are through it.
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

/** Adds today and the days right after it to the register; the database alone computes where a day begins and ends. */
export async function extendRegister(sql: Sql, timeZone: string, now: Date): Promise<void> {
  await sql(
    `insert into business_days (day, starts_at, ends_at)
     select day, starts_at, ends_at
     from generate_series(0, $3::int) as ahead,
       lateral (select ($2::timestamptz at time zone $1)::date + ahead as day),
       lateral (select
         coalesce((select ends_at from business_days where business_days.day = date_add.day - 1), day::timestamp at time zone $1) as starts_at,
         (day + 1)::timestamp at time zone $1 as ends_at
       from (select day) as date_add)
     where ends_at > starts_at
     order by day
     on conflict (day) do nothing`,
    [timeZone, now, DAYS_AHEAD],
  );
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
    const day = await database.transaction((_em, sql) => endOldestElapsedDay(sql, clock()));
    if (day === null) return ended;
    ended.push(day);
  }
}

async function endOldestElapsedDay(sql: Sql, now: Date): Promise<string | null> {
  await sql('select pg_advisory_xact_lock($1)', [DAY_GATE_LOCK]);
  const [day] = await sql<{ id: string; day: string }>(
    `update business_days set ended_at = $1
     where day = (select day from business_days where ended_at is null and ends_at <= $1 order by day limit 1)
     returning id, day::text`,
    [now],
  );
  if (day === undefined) return null;
  const [totals] = await sql<{ last_number: number; assignments: number; completions: number }>(
    `select
       (select coalesce(max(number), 0) from tasks) as last_number,
       (select count(*)::int from assignments where business_day = $1) as assignments,
       (select count(*)::int from tasks where completed_business_day = $1) as completions`,
    [day.day],
  );
  if (totals === undefined) throw new Error(`The totals of ${day.day} could not be counted`);
  const marker = {
    version: 1,
    businessDay: day.day,
    endedAt: now.toISOString(),
    lastTaskNumber: totals.last_number,
    assignments: totals.assignments,
    completions: totals.completions,
  };
  await recordEvents(sql, [newEvent(tasksDayEndedV1, day.id, marker, { time: now, traceparent: traceOf(undefined).traceparent })]);
  return day.day;
}

async function passGate(sql: Sql, now: Date): Promise<string | null> {
  const [row] = await sql<{ day: string | null }>('select pass_day_gate($1, $2)::text as day', [DAY_GATE_LOCK, now]);
  return row?.day ?? null;
}
