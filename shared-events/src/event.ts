import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { newId } from './new-id.ts';

/** A service that produces events; each has one stream of its own. */
export type Producer = (typeof PRODUCERS)[number];
export const PRODUCERS = ['users', 'tasks', 'accounting'] as const;

/** One version of one event type: its contract. */
export interface EventDefinition<Name extends string = string, Schema extends TSchema = TSchema> {
  readonly producer: Producer;
  /** For example `task.assigned`. */
  readonly type: string;
  /** Contract version; within one only optional fields are ever added. */
  readonly schemaVersion: number;
  /** Type and version together, for example `task.assigned.v1`: what tells events apart. */
  readonly dataschema: Name;
  /** The NATS subject without the partition, for example `ates.tasks.task.assigned.v1`. */
  readonly natsSubject: string;
  /** JSON Schema of `data`, titled and described. */
  readonly schema: Schema;
  readonly validator: Validator;
}

/**
 * A CloudEvents 1.0 envelope with JSON data.
 * `subject` is the aggregate's id, `data.version` counts that aggregate's events from 1 without gaps.
 */
export interface DomainEvent<Name extends string = string, Data = { readonly version: number }> {
  readonly specversion: '1.0';
  /** UUIDv7; also the `Nats-Msg-Id`. */
  readonly id: string;
  /** The producer as a path: `/tasks`. */
  readonly source: string;
  readonly type: string;
  readonly dataschema: Name;
  readonly subject: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** W3C trace context of the request that caused it. */
  readonly traceparent: string;
  readonly data: Data;
}

/** An event as it is on the stream: with the producer's outbox position (CloudEvents `sequence`, a decimal string). */
export type PublishedEvent<Event extends DomainEvent = DomainEvent> = Event & { readonly sequence: string };

/** The event type that a definition describes. */
export type EventOf<Definition> =
  Definition extends EventDefinition<infer Name, infer Schema> ? DomainEvent<Name, Static<Schema>> : never;

/** An event does not fit its contract; the message names each place. */
export class EventContractError extends Error {
  override readonly name = 'EventContractError';
}

/**
 * Declares one version of an event.
 * @param dataschema type and version, for example `task.assigned.v1`
 * @param description what it tells and whom its subject names, for those who read the documents made of the catalogue
 * @param fields the members of `data` besides the aggregate's version
 */
export function defineEvent<Name extends `${string}.v${number}`, Fields extends Record<string, TSchema>>(
  producer: Producer,
  dataschema: Name,
  description: string,
  fields: Fields,
) {
  const end = dataschema.lastIndexOf('.v');
  const schema = Type.Object(
    { version: Type.Integer({ minimum: 1, description: 'Counts the events of the subject, from 1 without gaps.' }), ...fields },
    { title: dataschema, description },
  );
  return {
    producer,
    type: dataschema.slice(0, end),
    schemaVersion: Number(dataschema.slice(end + 2)),
    dataschema,
    natsSubject: `ates.${producer}.${dataschema}`,
    schema,
    validator: Compile<TSchema>(schema),
  } satisfies EventDefinition<Name>;
}

/** When, and within which trace, an event happens. */
export interface Occurrence {
  readonly time: Date;
  readonly traceparent: string;
}

/**
 * Makes an event of a definition.
 * @param aggregateId the aggregate that changed; becomes `subject`
 * @throws EventContractError when `data` does not fit the schema
 */
export function newEvent<Definition extends EventDefinition>(
  definition: Definition,
  aggregateId: string,
  data: EventOf<Definition>['data'],
  { time, traceparent }: Occurrence,
): EventOf<Definition> {
  assertContract(definition, data);
  return {
    specversion: '1.0',
    id: newId(),
    source: `/${definition.producer}`,
    type: definition.type,
    dataschema: definition.dataschema,
    subject: aggregateId,
    time: time.toISOString(),
    datacontenttype: 'application/json',
    traceparent,
    data,
  } as unknown as EventOf<Definition>;
}

/** @throws EventContractError when `data` does not fit the definition's schema. */
export function assertContract(definition: EventDefinition, data: unknown): void {
  if (definition.validator.Check(data)) return;
  const problems = [...definition.validator.Errors(data)].map(({ instancePath, message }) => `data${instancePath} ${message}`);
  throw new EventContractError(`${definition.dataschema} does not fit its schema: ${problems.slice(0, 5).join('; ')}`);
}
