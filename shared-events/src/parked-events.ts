import { readEvent, type PublishedAtesEvent } from './catalog.ts';
import type { InboxSource } from './inbox.ts';
import type { RunSql } from './outbox.ts';

/** An event that can't be read or applied, and why. */
export interface ParkedLetter {
  /** The event's id; of a message that can't be read `STREAM:position:hash of its text`, since a stream made anew may have another one at that position. */
  readonly messageKey: string;
  /** Null when the message does not say. */
  readonly aggregateId: string | null;
  readonly version: number | null;
  readonly dataschema: string | null;
  readonly reason: string;
  readonly message: string;
}

/** What an operator decided about a parked event: to try it again, or to do without it. */
export interface Verdict {
  readonly id: number;
  readonly command: 'REPLAY' | 'DISCARD';
  readonly aggregateId: string | null;
  readonly version: number | null;
  readonly message: string;
  /** The how manieth decision about the event this is. */
  readonly decision: number;
}

/** The events of one source that are parked, in a transaction. */
export interface ParkedEvents {
  /** Parks; what waited in the inbox waits no more. One that comes to be parked again has its new reason; if it was discarded before, it will be again. */
  park(letters: readonly ParkedLetter[]): Promise<void>;
  /** Lets the event, or that it is done without, wait in the inbox for its turn. @returns the aggregate to drain, if it has one */
  putBack(verdict: Verdict): Promise<string | null>;
  /** Notes the outcome, unless the event was parked again, or another decision was made meanwhile. */
  settled(verdict: Verdict): Promise<void>;
}

const PARK = `
  with letter as (
    select * from unnest($2::text[], $3::uuid[], $4::int[], $5::text[], $6::text[], $7::text[])
      as letter (message_key, aggregate_id, version, dataschema, reason, message)
  ), parked as (
    insert into parked_events as known (source, message_key, aggregate_id, version, dataschema, reason, message)
    select $1, * from letter
    on conflict (source, message_key) do update set reason = excluded.reason,
      command = case when known.outcome = 'DISCARDED' then 'DISCARD' end, outcome = null, settled_at = null
  )
  delete from inbox_waiting using letter
  where source = $1 and inbox_waiting.aggregate_id = letter.aggregate_id and inbox_waiting.version = letter.version`;

const WAIT = `
  with known as (
    insert into inbox_versions (source, aggregate_id, version) values ($1, $2, 0) on conflict do nothing
  ), remembered as (
    insert into inbox (event_id) select $5::uuid where $5::uuid is not null on conflict do nothing
  )
  insert into inbox_waiting (source, aggregate_id, version, event)
  select $1, $2, $3, $4::json where $3 > coalesce((select version from inbox_versions where source = $1 and aggregate_id = $2), 0)
  on conflict (source, aggregate_id, version) do update set event = excluded.event`;

/** The parked events of one source in PostgreSQL, inside the caller's transaction. */
export function parkedIn(sql: RunSql, { source }: Pick<InboxSource, 'source'>): ParkedEvents {
  return {
    park: async (letters) => {
      if (letters.length === 0) return;
      await sql(PARK, [
        source,
        letters.map(({ messageKey }) => messageKey),
        letters.map(({ aggregateId }) => aggregateId),
        letters.map(({ version }) => version),
        letters.map(({ dataschema }) => dataschema),
        letters.map(({ reason }) => reason),
        letters.map(({ message }) => message),
      ]);
    },
    putBack: async ({ id, command, aggregateId, version, message }) => {
      if (command === 'DISCARD') {
        if (aggregateId === null) return null;
        await sql(WAIT, [source, aggregateId, version, JSON.stringify({ discarded: true, subject: aggregateId, data: { version } }), null]);
        return aggregateId;
      }
      try {
        const event = readEvent(message);
        await sql(WAIT, [source, event.subject, event.data.version, JSON.stringify(event), event.id]);
        return event.subject;
      } catch (error) {
        await sql('update parked_events set reason = $2, command = null where id = $1', [id, error instanceof Error ? error.message : String(error)]);
        return null;
      }
    },
    settled: async ({ id, command, decision }) => {
      await sql(`update parked_events set outcome = $3, settled_at = now() where id = $1 and command = $2 and decisions = $4 and outcome is null`, [
        id,
        command,
        command === 'REPLAY' ? 'REPLAYED' : 'DISCARDED',
        decision,
      ]);
    },
  };
}

/** How many wait for a decision. */
export async function countParked(sql: RunSql, { source }: Pick<InboxSource, 'source'>): Promise<number> {
  const [row] = await sql<{ parked: number }>('select count(*)::int as parked from parked_events where source = $1 and outcome is null', [source]);
  return row?.parked ?? 0;
}

/** The verdicts that have not been carried out, oldest first. */
export async function dueVerdicts(sql: RunSql, { source }: Pick<InboxSource, 'source'>): Promise<Verdict[]> {
  return sql<Verdict>(
    `select id, command, aggregate_id as "aggregateId", version, message, decisions as decision from parked_events
     where source = $1 and command is not null and outcome is null order by id`,
    [source],
  );
}

/** Whether this stands for an event that is done without. */
export function isDiscarded(event: PublishedAtesEvent): boolean {
  return 'discarded' in event;
}
