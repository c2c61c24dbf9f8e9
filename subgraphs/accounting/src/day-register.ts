import type { Sql } from '@ates/service-kit/database';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { dayCloseRequestedV1 } from '@ates/shared-events/accounting-events';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { COMPANY_ACCOUNT, PAYOUTS_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import type { DayState, DayWork } from './day-closing.ts';
import type { PostingDay } from './ledger.ts';

/** Whoever posts passes it, shared; whoever closes a day has it alone. Before any other lock but the inbox's. */
const POSTING_GATE = 7_061_020;

type DayEnded = Extract<PublishedAtesEvent, { dataschema: 'tasks.day_ended.v1' }>;

/** Passes the gate for the rest of the transaction: no day closes before it has committed. */
export async function passPostingGate(sql: Sql): Promise<void> {
  await sql.later(`select pg_advisory_xact_lock_shared(${POSTING_GATE})`);
}

/** Waits for everybody who is posting, and keeps all others out for the rest of the transaction. */
export async function shutPostingGate(sql: Sql): Promise<void> {
  await sql(`select pg_advisory_xact_lock(${POSTING_GATE})`);
}

/** What a transaction that posts has to know of days. */
export interface PostingDays {
  /** The day that something stamped with `day` is posted to. */
  readonly dayFor: (day: string) => PostingDay;
  /** When it is posted: now, or as late as what was posted last, if another replica's clock is ahead. */
  readonly postedAt: Date;
  /** Whether one of the days has ended, so that it may be what its close waits for. */
  readonly someEnded: boolean;
}

/** Asks where what is stamped with these days goes. To be asked behind the gate and with the company's account locked. */
export async function postingDays(sql: Sql, days: readonly string[], { timeZone, now }: { readonly timeZone: string; readonly now: Date }): Promise<PostingDays> {
  const [known] = await sql<{ closed_through: string | null; first_open: string | null; last_posted_at: Date | null; some_ended: boolean }>(
    `select closed_through::text, next_business_day(closed_through, $2)::text as first_open,
       exists (select from day_closings where day = any($1::date[]) and ended_at is not null) as some_ended,
       (select max(posted_at) from accounts join entries on account_id = accounts.id and number = entry_count join postings on postings.id = posting_id
         where accounts.id in ('${COMPANY_ACCOUNT}', '${PAYOUTS_ACCOUNT}')) as last_posted_at
     from (select max(day) as closed_through from day_closings where closed_at is not null) as closed`,
    [days, timeZone],
  );
  const closedThrough = known?.closed_through ?? '';
  return {
    dayFor: (day) => (day > closedThrough ? { businessDay: day, lateFor: null } : { businessDay: known?.first_open as string, lateFor: day }),
    postedAt: new Date(Math.max(now.getTime(), known?.last_posted_at?.getTime() ?? 0)),
    someEnded: known?.some_ended === true,
  };
}

/** Counts what was posted of the work of days, in the transaction that posted it. */
export async function countPosted(sql: Sql, work: ReadonlyMap<string, DayWork>): Promise<void> {
  if (work.size === 0) return;
  const days = [...work].sort(([a], [b]) => (a < b ? -1 : 1));
  await sql.later(
    `insert into day_closings as known (day, assignments, completions, deletions) select * from unnest($1::date[], $2::int[], $3::int[], $4::int[])
     on conflict (day) do update set assignments = known.assignments + excluded.assignments, completions = known.completions + excluded.completions,
       deletions = known.deletions + excluded.deletions`,
    [days.map(([day]) => day), days.map(([, { assignments }]) => assignments), days.map(([, { completions }]) => completions), days.map(([, { deletions }]) => deletions)],
  );
}

/** Keeps what the markers of days' ends say. @returns whether there were any */
export async function recordMarkers(sql: Sql, events: readonly PublishedAtesEvent[]): Promise<boolean> {
  const markers = events.filter((event): event is DayEnded => event.dataschema === 'tasks.day_ended.v1').map(({ data }) => data);
  if (markers.length === 0) return false;
  // A day ends once; were it told twice, the first would count.
  await sql(
    `insert into day_closings as known (day, ended_at, marked_assignments, marked_completions, marked_deletions)
     select distinct on (day) * from unnest($1::date[], $2::timestamptz[], $3::int[], $4::int[], $5::int[]) as marker (day) order by day
     on conflict (day) do update set ended_at = excluded.ended_at, marked_assignments = excluded.marked_assignments,
       marked_completions = excluded.marked_completions, marked_deletions = excluded.marked_deletions
     where known.ended_at is null`,
    [
      markers.map(({ businessDay }) => businessDay),
      markers.map(({ endedAt }) => endedAt),
      markers.map(({ assignments }) => assignments),
      markers.map(({ completions }) => completions),
      markers.map(({ deletions }) => deletions ?? null),
    ],
  );
  return true;
}

/** A day that is to be closed next. */
export interface NextDay extends DayState {
  readonly day: string;
  /** The time of that day is over in the business time zone. */
  readonly isOver: boolean;
  readonly requestedAt: Date | null;
  readonly endedAt: Date | null;
}

/** The day after the last closed one, or at first the earliest that was heard of; null when there is nothing yet. Days close in order. */
export async function nextDayToClose(sql: Sql, { timeZone, now }: { readonly timeZone: string; readonly now: Date }): Promise<NextDay | null> {
  interface Row extends DayWork {
    readonly day: string | null;
    readonly is_over: boolean;
    readonly requested_at: Date | null;
    readonly ended_at: Date | null;
    readonly marked_assignments: number | null;
    readonly marked_completions: number | null;
    readonly marked_deletions: number | null;
    readonly is_accepted: boolean;
  }
  const [row] = await sql<Row>(
    `select next.day::text, next.day < ($2::timestamptz at time zone $1)::date as is_over, requested_at, ended_at,
       coalesce(assignments, 0) as assignments, coalesce(completions, 0) as completions,
       case when known.day is null then 0 else deletions end as deletions, marked_assignments, marked_completions, marked_deletions, accepted_why is not null as is_accepted
     from (select coalesce(
         next_business_day((select max(day) from day_closings where closed_at is not null), $1),
         (select min(day) from day_closings where closed_at is null)) as day) as next
     left join day_closings as known on known.day = next.day`,
    [timeZone, now],
  );
  if (row?.day == null) return null;
  const { day, is_over, requested_at, ended_at, assignments, completions, deletions, marked_assignments, marked_completions, marked_deletions, is_accepted: isAccepted } = row;
  const marked = ended_at === null ? null : { assignments: marked_assignments ?? 0, completions: marked_completions ?? 0, deletions: marked_deletions };
  return { day, isOver: is_over, requestedAt: requested_at, endedAt: ended_at, posted: { assignments, completions, deletions }, marked, isAccepted };
}

/**
 * Asks Tasks to end a day, once, so that it can be closed. Nothing is asked for a day that has ended.
 * @param requestedBy the admin; null for the schedule
 * @returns whether this call asked
 */
export async function requestClose(sql: Sql, { day, requestedBy, at }: { readonly day: string; readonly requestedBy: string | null; readonly at: Date }): Promise<boolean> {
  await sql('insert into day_closings (day) values ($1) on conflict (day) do nothing', [day]);
  const [requested] = await sql<{ id: string; version: number }>(
    `update day_closings set requested_at = $2, requested_by = $3, version = version + 1
     where day = $1 and requested_at is null and ended_at is null returning id, version`,
    [day, at, requestedBy],
  );
  if (requested === undefined) return false;
  const data = { version: requested.version, businessDay: day, requestedBy, requestedAt: at.toISOString() };
  await recordEvents(sql, [newEvent(dayCloseRequestedV1, requested.id, data, { time: at, traceparent: currentTraceparent() })]);
  return true;
}
