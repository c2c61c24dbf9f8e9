import type { AtesEvent } from './catalog.ts';

/** A statement with real binds inside the caller's transaction. */
export interface RunSql {
  <Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /** One whose answer nobody needs: it may leave as late as with the commit, which fails if it does. */
  later(text: string, params?: readonly unknown[]): Promise<void>;
}

/** The channel on which a commit with events wakes the relay. */
export const OUTBOX_CHANNEL = 'outbox_filled';

/**
 * The outbox of a producer; part of its first migration. `seq` is drawn while the aggregate's row is locked, so within
 * one aggregate its order is the order of commits; between aggregates a higher one may become visible first, which
 * is why readers ask for unpublished rows and never for rows above a position.
 */
export const OUTBOX_TABLE = [
  `create table outbox (
    seq bigint generated always as identity primary key,
    id uuid not null unique,
    aggregate_id uuid not null,
    version integer not null check (version >= 1),
    type text not null,
    dataschema text not null,
    occurred_at timestamptz not null,
    traceparent text not null,
    data json not null,
    published_at timestamptz,
    stream_seq bigint,
    unique (aggregate_id, version)
  )`,
  'create index outbox_unpublished on outbox (seq) where published_at is null',
] as const;

/**
 * Writes events into the outbox, in the transaction that changes the state they tell of. The aggregate's row must
 * be locked by then (or its version checked): a second event with the same version fails on the unique key.
 */
export async function recordEvents(sql: RunSql, events: readonly AtesEvent[]): Promise<void> {
  if (events.length === 0) return;
  await sql.later(
    `with recorded as (
       insert into outbox (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data)
       select id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data
       from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::json[])
         with ordinality as event (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, position)
       order by position
     )
     select pg_notify($9, '')`,
    [
      events.map(({ id }) => id),
      events.map(({ subject }) => subject),
      events.map(({ data }) => data.version),
      events.map(({ type }) => type),
      events.map(({ dataschema }) => dataschema),
      events.map(({ time }) => time),
      events.map(({ traceparent }) => traceparent),
      events.map(({ data }) => JSON.stringify(data)),
      OUTBOX_CHANNEL,
    ],
  );
}
