import { upcast, type PublishedAtesEvent } from './catalog.ts';
import type { RunSql } from './outbox.ts';

/** How far one partition of a stream gets by a batch: from the position before it to that of its last message. */
export interface Move {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** `Nats-Msg-Id` of the message at `to`. */
  readonly messageId: string;
}

/** Whose events, from where. */
export interface InboxSource {
  /** The producer as in the envelope: `/tasks`. */
  readonly source: string;
  readonly stream: string;
  /** When the stream was made that this consumer reads; null before it reads one. Positions in another one are not moved. */
  readonly created: string | null;
}

/** The positions are not where this consumer left them: another one has taken over, or a rebuild began. */
export class PositionLostError extends Error {
  override readonly name = 'PositionLostError';
}

/** The inbox, in a transaction that also holds the effects of what it admits. */
export interface Inbox {
  /**
   * Admits a batch: remembers its ids, moves the positions.
   * @returns the events to apply, in order: never one twice, never one before its aggregate's earlier ones
   * @throws PositionLostError
   */
  admit(batch: readonly PublishedAtesEvent[], moves: readonly Move[]): Promise<readonly PublishedAtesEvent[]>;
  /** Admits a batch to be applied one by one, by `takeNext`. @throws PositionLostError */
  hold(batch: readonly PublishedAtesEvent[], moves: readonly Move[]): Promise<void>;
  /** The event that comes next for the aggregate, of those that wait; it counts as applied from here on. */
  takeNext(aggregateId: string): Promise<PublishedAtesEvent | undefined>;
}

interface Arrival {
  readonly moved: number;
  /** How many aggregates somebody else was at in the same moment. */
  readonly raced: number;
  /** The ids that were known before. */
  readonly stale: readonly string[];
  /** The known versions of the aggregates whose events don't simply go on from there; nothing new has been written for these. */
  readonly odd: Readonly<Record<string, number>>;
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

// A position moves only from where this consumer knows it to be, in the stream that it reads: so of two that think they own a partition one fails.
const MOVED = `moved as (
    update inbox_positions set position = move."to", message_id = move.message_id
    from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::text[]) as move (partition, "from", "to", message_id)
    where stream = $5 and stream_created = $10 and inbox_positions.partition = move.partition and position = move."from" returning 1
  ), arrived as (
    select * from unnest($7::uuid[], $8::uuid[], $9::int[]) as event (event_id, aggregate_id, version)
  ), fresh as (
    insert into inbox (event_id) select distinct event_id from arrived order by event_id
    on conflict do nothing returning event_id
  )`;

// One round trip: moves the positions, remembers the batch's ids, locks the aggregates. Where an aggregate's versions go on from the
// known one without a gap, in events never seen before, as nearly always, it writes the new version and says nothing of it; `settle` mends the rest.
const ARRIVE = `
  with ${MOVED}, aggregate as (
    select arrived.aggregate_id, max(arrived.version) as last, coalesce(seen.version, 0) as known,
      max(arrived.version) - coalesce(seen.version, 0) = count(*) and count(*) = count(distinct arrived.version)
        and min(arrived.version) = coalesce(seen.version, 0) + 1
        and count(fresh.event_id) = count(*) and count(distinct arrived.event_id) = count(*) as plain
    from arrived left join fresh using (event_id) left join inbox_versions as seen on seen.source = $6 and seen.aggregate_id = arrived.aggregate_id
    group by arrived.aggregate_id, seen.version
  ), reached as (
    insert into inbox_versions (source, aggregate_id, version)
    select $6, aggregate_id, case when plain then last else known end from aggregate order by aggregate_id
    on conflict (source, aggregate_id) do update set version = excluded.version
    returning aggregate_id, coalesce(old.version, 0) as before
  )
  select
    (select count(*) from moved)::int as moved,
    (select count(*) from reached join aggregate using (aggregate_id) where before <> known)::int as raced,
    array(select event_id::text from arrived where event_id not in (select event_id from fresh)) as stale,
    (select coalesce(json_object_agg(aggregate_id, known), '{}') from aggregate where not plain) as odd,
    (select coalesce(json_agg(event order by version), '[]') from inbox_waiting
      where source = $6 and aggregate_id in (select aggregate_id from aggregate)) as waiting`;

const HOLD = `
  with ${MOVED}, known as (
    insert into inbox_versions (source, aggregate_id, version) select distinct $6, aggregate_id, 0 from arrived on conflict do nothing
  ), kept as (
    insert into inbox_waiting (source, aggregate_id, version, event)
    select $6, aggregate_id, version, event from unnest($7::uuid[], $8::uuid[], $9::int[], $11::json[]) as held (event_id, aggregate_id, version, event)
    where event_id in (select event_id from fresh) and version > coalesce(
      (select version from inbox_versions where source = $6 and inbox_versions.aggregate_id = held.aggregate_id), 0)
    on conflict do nothing
  )
  select (select count(*) from moved)::int as moved`;

const TAKE_NEXT = `
  with known as (
    select version from inbox_versions where source = $1 and aggregate_id = $2 for update
  ), next as (
    delete from inbox_waiting using known where source = $1 and aggregate_id = $2 and inbox_waiting.version = known.version + 1
    returning inbox_waiting.version, event
  ), reached as (
    update inbox_versions set version = next.version from next where source = $1 and aggregate_id = $2
  )
  select event from next`;

/** The inbox of one source in PostgreSQL, inside the caller's transaction. */
export function inboxIn(sql: RunSql, { source, stream, created }: InboxSource): Inbox {
  const arrive = async <Answer extends { readonly moved: number }>(text: string, batch: readonly PublishedAtesEvent[], moves: readonly Move[], more: readonly unknown[] = []): Promise<Answer> => {
    const [answer] = await sql<Answer>(text, [
      moves.map(({ partition }) => partition),
      moves.map(({ from }) => from),
      moves.map(({ to }) => to),
      moves.map(({ messageId }) => messageId),
      stream,
      source,
      batch.map(({ id }) => id),
      batch.map(({ subject }) => subject),
      batch.map(({ data }) => data.version),
      created,
      ...more,
    ]);
    if (answer?.moved !== moves.length) throw new PositionLostError(`The positions in ${stream} are not where they were left`);
    return answer;
  };
  return {
    admit: async (batch, moves) => {
      const arrival = await arrive<Arrival>(ARRIVE, batch, moves);
      if (arrival.raced > 0) throw new PositionLostError('Somebody else is applying events of the same aggregates');
      const odd = new Map(Object.entries(arrival.odd));
      const seen = new Set(arrival.stale);
      const fresh = batch.filter(({ id }) => !seen.has(id) && seen.add(id));
      const sequenced = sequenceEvents(fresh, arrival.waiting.map(upcast), knownVersions(batch, odd));
      await settle(sql, source, { odd, waiting: arrival.waiting }, sequenced);
      return sequenced.apply;
    },
    hold: async (batch, moves) => {
      await arrive(HOLD, batch, moves, [batch.map((event) => JSON.stringify(event))]);
    },
    takeNext: async (aggregateId) => (await sql<{ event: PublishedAtesEvent }>(TAKE_NEXT, [source, aggregateId])).map(({ event }) => upcast(event))[0],
  };
}

/** What was known of each aggregate before a batch: where nothing else is said, all up to its first event in the batch. */
function knownVersions(batch: readonly PublishedAtesEvent[], odd: ReadonlyMap<string, number>): Map<string, number> {
  const known = new Map(odd);
  for (const { subject, data } of batch) if (!odd.has(subject)) known.set(subject, Math.min(known.get(subject) ?? data.version - 1, data.version - 1));
  return known;
}

async function settle(
  sql: RunSql,
  source: string,
  { odd, waiting: waited }: { readonly odd: ReadonlyMap<string, number>; readonly waiting: readonly PublishedAtesEvent[] },
  { apply, wait, versions }: Sequenced,
): Promise<void> {
  const released = new Set(waited.map(({ subject }) => subject));
  const unwritten = [...versions].filter(([aggregateId, version]) => (odd.has(aggregateId) && odd.get(aggregateId) !== version) || released.has(aggregateId));
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
