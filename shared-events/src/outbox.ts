import type { AtesEvent } from './catalog.ts';

/** A statement with real binds inside the caller's transaction. */
export interface RunSql {
  <Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /** One whose answer nobody needs: it may leave as late as with the commit, which fails if it does. */
  later(text: string, params?: readonly unknown[]): Promise<void>;
}

/** The channel on which a commit with events wakes a relay that rests. */
export const OUTBOX_CHANNEL = 'outbox_filled';

/**
 * How a statement ends that makes events of rows and records them. What it begins with names them, `with … event as (…), ` and then
 * this: id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, and place, by which they are ordered. Its one
 * row has their number, `events`. What the rows of `data` are must fit the contracts: only a test can see to that.
 */
export const RECORDING = `
  recorded as (
    insert into outbox (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data)
    select id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data from event order by place
  ), counted as (
    insert into outbox_versions as known (aggregate_id, version, steps)
    select aggregate_id, max(version), count(*) from event group by aggregate_id order by aggregate_id
    on conflict (aggregate_id) do update set version = excluded.version, steps = excluded.steps
    returning aggregate_id, coalesce(old.version, 0) as before, new.version as after, new.steps
  ), refused as (
    select refuse_version(aggregate_id, before, after) from counted where after - before <> steps
  )
  select (select count(*)::int from event) as events, (select pg_notify('${OUTBOX_CHANNEL}', '') from outbox_relay where rests), (select count(*) from refused)`;

// The versions' own table sees that each aggregate's go on by one, over all partitions of the outbox.
const RECORD = `
  with event as (
    select * from unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::json[])
      with ordinality as event (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, place)
  ), ${RECORDING}`;

/**
 * Writes events into the outbox, in the transaction that changes the state they tell of. The aggregate's row must be
 * locked by then (or its version checked): versions that do not go on by one from the last recorded fail the transaction.
 */
export async function recordEvents(sql: RunSql, events: readonly AtesEvent[]): Promise<void> {
  if (events.length === 0) return;
  await sql.later(RECORD, [
    events.map(({ id }) => id),
    events.map(({ subject }) => subject),
    events.map(({ data }) => data.version),
    events.map(({ type }) => type),
    events.map(({ dataschema }) => dataschema),
    events.map(({ time }) => time),
    events.map(({ traceparent }) => traceparent),
    events.map(({ data }) => JSON.stringify(data)),
  ]);
}
