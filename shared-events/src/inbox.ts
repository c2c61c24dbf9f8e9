import type { PublishedAtesEvent } from './catalog.ts';
import type { RunSql } from './outbox.ts';

/** The tables that a consumer needs; part of its first migration. */
export const INBOX_TABLES = [
  'create table inbox (event_id uuid primary key, received_at timestamptz not null default now())',
  // How far each aggregate of another service has been applied here.
  `create table inbox_versions (
    source text not null, aggregate_id uuid not null, version integer not null,
    primary key (source, aggregate_id)
  )`,
  // Events that came before one of their aggregate's earlier events.
  `create table inbox_waiting (
    source text not null, aggregate_id uuid not null, version integer not null, event json not null,
    primary key (source, aggregate_id, version)
  )`,
  // Messages that can't be read, with the reason; nothing else waits for them.
  `create table dead_letters (
    stream text not null, stream_seq bigint not null, reason text not null, message text not null,
    parked_at timestamptz not null default now(),
    primary key (stream, stream_seq)
  )`,
] as const;

interface Arrival {
  readonly fresh: readonly string[];
  /** Of each aggregate: the version known before this batch, and the one after it that has been written already. */
  readonly versions: Readonly<Record<string, { readonly known: number; readonly written: number }>>;
  readonly waiting: readonly PublishedAtesEvent[];
}

/** What to do with a batch. Pure: see `sequenceEvents`. */
export interface Sequenced {
  /** To be applied now, in this order. */
  readonly apply: readonly PublishedAtesEvent[];
  /** To be kept until the gap before them is filled. */
  readonly wait: readonly PublishedAtesEvent[];
  /** The version of each aggregate after the batch. */
  readonly versions: ReadonlyMap<string, number>;
}

// One round trip: remembers the batch's ids, tells which were new, locks the aggregates and tells their versions. Where an
// aggregate's versions go on without a gap, as nearly always, it also writes the new one; `settle` mends the rest.
const ARRIVE = `
  with arrived as (
    select * from unnest($2::uuid[], $3::uuid[], $4::int[]) as event (event_id, aggregate_id, version)
  ), fresh as (
    insert into inbox (event_id) select distinct event_id from arrived order by event_id
    on conflict do nothing returning event_id
  ), aggregate as (
    select aggregate_id, min(version) as first, max(version) as last, max(version) - min(version) + 1 = count(distinct version) as gapless
    from arrived group by aggregate_id
  ), reached as (
    insert into inbox_versions as seen (source, aggregate_id, version)
    select $1, aggregate_id, case when gapless and first = 1 then last else 0 end from aggregate order by aggregate_id
    on conflict (source, aggregate_id) do update set version = (
      select case when gapless and first <= seen.version + 1 then greatest(last, seen.version) else seen.version end
      from aggregate where aggregate.aggregate_id = seen.aggregate_id
    )
    returning aggregate_id, coalesce(old.version, 0) as known, new.version as written
  )
  select
    (select coalesce(json_agg(event_id), '[]') from fresh) as fresh,
    (select coalesce(json_object_agg(aggregate_id, json_build_object('known', known, 'written', written)), '{}') from reached) as versions,
    (select coalesce(json_agg(event order by version), '[]') from inbox_waiting
      where source = $1 and aggregate_id in (select aggregate_id from aggregate)) as waiting`;

/**
 * Admits a batch of one producer's events into the caller's transaction, which must also hold their effects.
 * @returns the events to apply, in order: never one twice, never one before its aggregate's earlier ones
 */
export async function admitEvents(sql: RunSql, source: string, batch: readonly PublishedAtesEvent[]): Promise<readonly PublishedAtesEvent[]> {
  const [arrival] = await sql<Arrival>(ARRIVE, [
    source,
    batch.map(({ id }) => id),
    batch.map(({ subject }) => subject),
    batch.map(({ data }) => data.version),
  ]);
  if (arrival === undefined) throw new Error('The inbox answered nothing');
  const fresh = new Set(arrival.fresh);
  const sequenced = sequenceEvents(
    batch.filter(({ id }) => fresh.delete(id)),
    arrival.waiting,
    new Map(Object.entries(arrival.versions).map(([aggregateId, { known }]) => [aggregateId, known])),
  );
  await settle(sql, source, arrival, sequenced);
  return sequenced.apply;
}

async function settle(sql: RunSql, source: string, { versions: arrived, waiting: waited }: Arrival, { apply, wait, versions }: Sequenced): Promise<void> {
  const unwritten = [...versions].filter(([aggregateId, version]) => arrived[aggregateId]?.written !== version);
  if (unwritten.length > 0) {
    await sql(
      `update inbox_versions set version = reached.version
       from unnest($2::uuid[], $3::int[]) as reached (aggregate_id, version)
       where source = $1 and inbox_versions.aggregate_id = reached.aggregate_id`,
      [source, unwritten.map(([aggregateId]) => aggregateId), unwritten.map(([, version]) => version)],
    );
  }
  const applied = new Set(apply);
  const arrivedAtLast = waited.filter((event) => applied.has(event));
  if (arrivedAtLast.length > 0) {
    await sql(
      `delete from inbox_waiting using unnest($2::uuid[], $3::int[]) as done (aggregate_id, version)
       where source = $1 and inbox_waiting.aggregate_id = done.aggregate_id and inbox_waiting.version = done.version`,
      [source, arrivedAtLast.map(({ subject }) => subject), arrivedAtLast.map(({ data }) => data.version)],
    );
  }
  if (wait.length > 0) {
    await sql(
      `insert into inbox_waiting (source, aggregate_id, version, event)
       select $1, * from unnest($2::uuid[], $3::int[], $4::json[]) on conflict do nothing`,
      [source, wait.map(({ subject }) => subject), wait.map(({ data }) => data.version), wait.map((event) => JSON.stringify(event))],
    );
  }
}

/**
 * The order in which events take effect. Per aggregate: at or below the known version → dropped, the next → applied
 * (and with it those that waited for it), beyond a gap → waits.
 */
export function sequenceEvents(
  fresh: readonly PublishedAtesEvent[],
  waiting: readonly PublishedAtesEvent[],
  known: ReadonlyMap<string, number>,
): Sequenced {
  const versions = new Map(known);
  const apply: PublishedAtesEvent[] = [];
  const held = new Map<string, PublishedAtesEvent>(waiting.map((event) => [placeOf(event.subject, event.data.version), event]));
  const wait = new Map<string, PublishedAtesEvent>();
  for (const event of fresh) {
    const reached = versions.get(event.subject) ?? 0;
    if (event.data.version <= reached) continue;
    if (event.data.version > reached + 1) {
      const place = placeOf(event.subject, event.data.version);
      if (!held.has(place)) wait.set(place, event);
      held.set(place, held.get(place) ?? event);
      continue;
    }
    for (let next: PublishedAtesEvent | undefined = event; next !== undefined; ) {
      apply.push(next);
      versions.set(next.subject, next.data.version);
      wait.delete(placeOf(next.subject, next.data.version));
      next = held.get(placeOf(next.subject, next.data.version + 1));
    }
  }
  return { apply, wait: [...wait.values()], versions };
}

function placeOf(aggregateId: string, version: number): string {
  return `${aggregateId}/${version}`;
}
