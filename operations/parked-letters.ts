import type { SubgraphName } from '../scripts/stack-secrets.ts';
import type { ServiceDatabase } from './connections.ts';
import { OperationError, UsageError } from './errors.ts';
import { CONSUMING_SERVICES } from './installation.ts';

/** A parked event as a service's database has it, by the id that is unique among all services. */
export interface ParkedEvent {
  readonly service: SubgraphName;
  readonly id: number;
  /** The producer: `/users`. */
  readonly source: string;
  /** The event's id, or its place in the stream when it has none. */
  readonly messageKey: string;
  /** Null when the message does not say. */
  readonly aggregateId: string | null;
  readonly version: number | null;
  readonly dataschema: string | null;
  readonly reason: string;
  readonly message: string;
  readonly parkedAt: Date;
  readonly command: 'REPLAY' | 'DISCARD' | null;
  readonly why: string | null;
  readonly outcome: 'REPLAYED' | 'DISCARDED' | null;
  readonly settledAt: Date | null;
  /** How many later events of its aggregate wait behind it. */
  readonly waiting: number;
}

/** The name of a parked event that people use: the service, and the number in its database. */
export interface Handle {
  readonly service: SubgraphName;
  readonly id: number;
}

const READ = `
  select id, source, message_key as "messageKey", aggregate_id as "aggregateId", version, dataschema, reason, message,
    parked_at as "parkedAt", command, why, outcome, settled_at as "settledAt",
    (select count(*)::int from inbox_waiting where source = parked.source and aggregate_id = parked.aggregate_id and version > parked.version) as waiting
  from parked_events as parked`;

const HIGHEST_ID = 2 ** 31 - 1;

/** For example `accounting-17`. */
export function handleText({ service, id }: Handle): string {
  return `${service}-${id}`;
}

/** @throws UsageError */
export function readHandle(text: string): Handle {
  const [, name, digits] = /^([a-z]+)-(\d{1,10})$/.exec(text) ?? [];
  const service = CONSUMING_SERVICES.find((known) => known === name);
  if (service === undefined || Number(digits) > HIGHEST_ID) {
    throw new UsageError(`"${text}" is no id of a parked event. They are like ${CONSUMING_SERVICES.at(-1)}-17; \`npm run events -- parked\` lists them.`);
  }
  return { service, id: Number(digits) };
}

/** `--service`: one that consumes events. @throws UsageError */
export function readService(text: string): SubgraphName {
  const service = CONSUMING_SERVICES.find((known) => known === text);
  if (service === undefined) throw new UsageError(`"${text}" is no service that takes events. These do: ${CONSUMING_SERVICES.join(', ')}.`);
  return service;
}

/** Those that nobody has settled, oldest first. */
export async function openParkedEvents(database: ServiceDatabase): Promise<ParkedEvent[]> {
  const rows = await database.rows<Omit<ParkedEvent, 'service'>>(`${READ} where outcome is null order by id`);
  return rows.map((row) => ({ ...row, service: database.service }));
}

/** @throws OperationError when there is none */
export async function parkedEvent(database: ServiceDatabase, id: number): Promise<ParkedEvent> {
  const [row] = await database.rows<Omit<ParkedEvent, 'service'>>(`${READ} where id = $1`, [id]);
  if (row === undefined) throw new OperationError(`There is no parked event ${handleText({ service: database.service, id })}. \`npm run events -- parked\` lists them.`);
  return { ...row, service: database.service };
}

/** A later event of the same aggregate that waits. */
export interface WaitingEvent {
  readonly version: number;
  readonly event: { readonly id?: string; readonly dataschema?: string; readonly time?: string };
}

export async function waitingBehind(database: ServiceDatabase, { source, aggregateId, version }: ParkedEvent): Promise<WaitingEvent[]> {
  return database.rows<WaitingEvent>('select version, event from inbox_waiting where source = $1 and aggregate_id = $2 and version > $3 order by version', [source, aggregateId, version]);
}

/** What of the same aggregate is parked now, from this version on, besides the event itself. */
export async function parkedFrom(database: ServiceDatabase, { id, source, aggregateId, version }: ParkedEvent): Promise<ParkedEvent[]> {
  const rows = await database.rows<Omit<ParkedEvent, 'service'>>(`${READ} where outcome is null and source = $1 and aggregate_id = $2 and version >= $3 and id <> $4 order by version`, [
    source,
    aggregateId,
    version,
    id,
  ]);
  return rows.map((row) => ({ ...row, service: database.service }));
}

/** Whether the event itself waits in the inbox: it was put back, but an earlier one of its aggregate is missing. */
export async function waitsItself(database: ServiceDatabase, { source, aggregateId, version }: ParkedEvent): Promise<boolean> {
  const rows = await database.rows('select from inbox_waiting where source = $1 and aggregate_id = $2 and version = $3', [source, aggregateId, version]);
  return rows.length > 0;
}

/**
 * Notes what was decided; the running service carries it out.
 * @throws OperationError when it has been settled meanwhile
 */
export async function noteDecision(database: ServiceDatabase, { id }: ParkedEvent, command: 'REPLAY' | 'DISCARD', why: string | null): Promise<void> {
  const rows = await database.rows('update parked_events set command = $2, why = $3, decisions = decisions + 1 where id = $1 and outcome is null returning id', [id, command, why]);
  if (rows.length === 0) throw new OperationError(settledText(await parkedEvent(database, id)));
}

/** That nothing is left to decide. */
export function settledText(parked: ParkedEvent): string {
  const why = parked.outcome === 'DISCARDED' && parked.why !== null ? ` ("${parked.why}")` : '';
  return `${handleText(parked)} was ${parked.outcome?.toLowerCase()} on ${parked.settledAt?.toISOString()}${why}: nothing is left to decide. \`npm run events -- parked\` lists those that are open.`;
}
