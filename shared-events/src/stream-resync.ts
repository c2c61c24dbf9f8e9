import type { JetStreamManager } from '@nats-io/jetstream';
import type { Client } from 'pg';
import type { Producer } from './event.ts';
import type { EventLogger } from './event-applier.ts';
import { pause } from './pause.ts';
import { ensureStream, streamInfo, streamOf } from './streams.ts';

export interface Agreement {
  /** The last position of the stream. */
  readonly position: number;
  /** When the server made the stream: what tells it from one made anew. */
  readonly created: string;
  /** Whether the stream was other than the outbox had left it. */
  readonly repaired: boolean;
}

const READS_AT_ONCE = 200;
/** A server (2.9) removes the files of a deleted stream after it has said so, and with them those of a stream of this name that was made meanwhile. */
const REMOVAL_MS = 2_000;

const KNOWN = 'select published::text, stream_created from outbox_relay';

/**
 * The messages $3 are in the stream at $4. Events whose position after $1 is taken by another message, and those behind them, get ones
 * after $2, in their order. That many are the last batches at most: what a stream lost keeps its positions, however much it is.
 */
const AGREE = `
  with found as (
    select id, position from unnest($3::uuid[], $4::bigint[]) as message (id, position) join outbox using (id)
  ), displaced as (
    select id, $2::bigint + row_number() over (order by stream_seq) as position from outbox
    where stream_seq > $1::bigint and not exists (select from found where found.id = outbox.id)
      and exists (select from outbox as taken where taken.stream_seq > $1::bigint and taken.stream_seq <= $2::bigint
        and not exists (select from found where found.id = taken.id))
  ), moved as (
    update outbox set stream_seq = agreed.position from (select * from found union all select * from displaced) as agreed
    where outbox.id = agreed.id and stream_seq is distinct from agreed.position
  ), remembered as (
    update outbox_relay set published = $2::bigint, stream_created = $5
  )
  select (select count(*) from found)::int as found, greatest((select max(stream_seq) from outbox) - $2::bigint, 0)::int as due`;

/**
 * Makes outbox and stream agree on positions, before anything is published:
 * stream gone → made anew, and everything that the outbox retains is published again; stream behind → what it lost is published
 * again at the same positions; stream ahead (publishes whose answer or whose note of it was lost) → its messages are matched by id.
 * A message that the outbox does not know keeps its position, and the events that were to have it come after.
 */
export async function resync(options: {
  readonly producer: Producer;
  readonly session: Client;
  readonly manager: JetStreamManager;
  readonly logger: EventLogger;
  /** When the relay stops, or its session is lost. */
  readonly over: AbortSignal;
}): Promise<Agreement> {
  const { producer, session, manager, logger, over } = options;
  const known = (await session.query<{ published: string; stream_created: string | null }>(KNOWN)).rows[0];
  if (known === undefined) throw new Error('The table outbox_relay is empty: the migrations fill it');
  const published = Number(known.published);
  if (known.stream_created !== null && (await streamInfo(manager, producer)) === null) {
    logger.warn({ producer, waitMs: REMOVAL_MS }, 'the stream is gone and is made anew');
    await pause(REMOVAL_MS, over);
    over.throwIfAborted();
  }
  const info = await ensureStream(manager, producer);
  const position = info.state.last_seq;
  // Another stream than the one that was left, as restored from a copy: only what is at its end tells whether it is this outbox's.
  const isOther = known.stream_created !== null && known.stream_created !== info.created;
  const shared = position > 0 && isOther && !(await endsAsKnown(options, Math.min(published, position))) ? 0 : Math.min(published, position);
  const tail = position > published ? await readIds(manager, producer, published + 1, position) : [];
  const { rows } = await session.query<{ found: number; due: number }>(AGREE, [
    shared,
    position,
    tail.map(({ id }) => id),
    tail.map(({ position: at }) => at),
    info.created,
  ]);
  const facts = { producer, published, position, recovered: rows[0]?.found ?? 0, toPublish: rows[0]?.due ?? 0, foreign: Math.max(position - published - (rows[0]?.found ?? 0), 0) };
  const repaired = position !== published || shared !== position;
  if (facts.foreign > 0) logger.error(facts, 'the stream holds messages that this outbox does not know: was the database restored from a backup?');
  if (repaired) logger.warn(facts, 'the stream was not as the outbox left it; they agree again');
  return { position, created: info.created, repaired };
}

/** @throws when the stream is not what the relay left */
export async function assertUnchanged(left: { readonly producer: Producer; readonly manager: JetStreamManager; readonly position: number; readonly created: string }): Promise<void> {
  const info = await streamInfo(left.manager, left.producer);
  const last = info?.state.last_seq;
  if (info?.created === left.created && last === left.position) return;
  throw new Error(`The stream ${streamOf(left.producer)} ${info === null ? 'is gone' : `ends at ${last}`}, not at ${left.position}`);
}

async function endsAsKnown({ producer, session, manager }: Parameters<typeof resync>[0], position: number): Promise<boolean> {
  const [message] = await readIds(manager, producer, position, position);
  const { rowCount } = await session.query('select from outbox where stream_seq = $1 and id = $2', [position, message?.id ?? null]);
  return rowCount === 1;
}

/** The ids of the messages at these positions; those without an id of ours are left out. */
async function readIds(manager: JetStreamManager, producer: Producer, from: number, to: number): Promise<{ id: string; position: number }[]> {
  const found: { id: string; position: number }[] = [];
  for (let start = from; start <= to; start += READS_AT_ONCE) {
    const positions = Array.from({ length: Math.min(READS_AT_ONCE, to - start + 1) }, (_, offset) => start + offset);
    const ids = await Promise.all(positions.map(async (seq) => (await manager.streams.getMessage(streamOf(producer), { seq }))?.header.get('Nats-Msg-Id') ?? ''));
    ids.forEach((id, index) => {
      if (/^[0-9a-f-]{36}$/.test(id)) found.push({ id, position: positions[index] as number });
    });
  }
  return found;
}
