import { PARTITIONS } from '@ates/shared-events/streams';
import type { Contract } from './catalogue.ts';
import type { JsonSchema } from './compatibility.ts';

/** The attributes of every event besides its data. Each event narrows `source`, `type` and `dataschema` to its own. */
export const ENVELOPE: JsonSchema & Required<Pick<JsonSchema, 'properties'>> = {
  title: 'CloudEvents 1.0',
  type: 'object',
  required: ['specversion', 'id', 'source', 'type', 'dataschema', 'subject', 'time', 'datacontenttype', 'traceparent', 'sequence', 'data'],
  properties: {
    specversion: { const: '1.0' },
    id: { type: 'string', format: 'uuid', description: 'A UUIDv7, unique to the event: one that comes twice has it twice.' },
    source: { type: 'string', description: 'The producer as a path: /tasks.' },
    type: { type: 'string', description: 'What happened: task.assigned.' },
    dataschema: { type: 'string', description: 'Type and version: task.assigned.v1. It names the JSON Schema of the data.' },
    subject: { type: 'string', format: 'uuid', description: 'The id of the aggregate.' },
    time: { type: 'string', format: 'date-time', description: 'When it happened, in UTC.' },
    datacontenttype: { const: 'application/json' },
    traceparent: { type: 'string', description: 'The W3C trace context of the request that caused it.' },
    sequence: { type: 'string', pattern: '^[0-9]+$', description: "The position in the producer's outbox." },
    data: { type: 'object' },
  },
};

const HEADERS: JsonSchema = {
  type: 'object',
  required: ['Nats-Msg-Id'],
  properties: { 'Nats-Msg-Id': { type: 'string', format: 'uuid', description: "The event's id, by which JetStream knows one that is published twice." } },
};

/** The AsyncAPI 3.0 document of all events: who sends what where, and who receives it. */
export function asyncApi(contracts: readonly Contract[]): object {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Events of aTES',
      version: '1.0.0',
      description:
        'Everything that Users, Tasks and Accounting tell. One JetStream stream per producer (USERS, TASKS, ACCOUNTING) keeps its events ' +
        'for ever. Delivery is at least once. Within one subject, events are in order: data.version counts them without gaps. ' +
        'Within one version of an event only optional fields are ever added, so ignore what you do not know.',
    },
    defaultContentType: 'application/cloudevents+json',
    servers: {
      nats: {
        host: 'nats:4222',
        protocol: 'nats',
        description: 'NATS with JetStream, at its address inside docker compose. The embedded stack chooses a free port.',
        security: [{ $ref: '#/components/securitySchemes/password' }],
      },
    },
    channels: byName(contracts, channelOf),
    operations: Object.fromEntries(contracts.flatMap(operationsOf)),
    components: {
      messages: byName(contracts, messageOf),
      schemas: { headers: HEADERS, envelope: ENVELOPE, ...byName(contracts, ({ schema: { $schema: _draft, $id: _id, ...schema } }) => schema) },
      parameters: {
        partition: {
          description: `The last byte of the event's subject, a UUID, modulo ${PARTITIONS}: one subject is always in one partition.`,
          location: '$message.payload#/subject',
          enum: Array.from({ length: PARTITIONS }, (_, partition) => String(partition)),
        },
      },
      securitySchemes: { password: { type: 'userPassword' } },
    },
  };
}

function byName(contracts: readonly Contract[], part: (contract: Contract) => object): Record<string, object> {
  return Object.fromEntries(contracts.map((contract) => [contract.dataschema, part(contract)]));
}

function channelOf({ dataschema, natsSubject, producer }: Contract): object {
  return {
    address: `${natsSubject}.{partition}`,
    title: dataschema,
    description: `In the stream ${producer.toUpperCase()}.`,
    servers: [{ $ref: '#/servers/nats' }],
    parameters: { partition: { $ref: '#/components/parameters/partition' } },
    messages: { [dataschema]: { $ref: `#/components/messages/${dataschema}` } },
  };
}

/** The producer sends the newest version only; consumers receive all of them, since streams keep the old ones. */
function operationsOf({ dataschema, producer, consumers, supersededBy }: Contract): [string, object][] {
  const operation = (service: string, action: 'send' | 'receive'): [string, object] => [
    `${service}.${action}.${dataschema}`,
    {
      action,
      summary: `${capitalized(service)} ${action}s ${dataschema}${supersededBy === undefined ? '' : `, and reads it as ${supersededBy}`}.`,
      channel: { $ref: `#/channels/${dataschema}` },
      messages: [{ $ref: `#/channels/${dataschema}/messages/${dataschema}` }],
      tags: [{ name: service }],
    },
  ];
  return [...(supersededBy === undefined ? [operation(producer, 'send')] : []), ...consumers.map((service) => operation(service, 'receive'))];
}

function messageOf({ dataschema, type, producer, description, supersededBy, fixture }: Contract): object {
  return {
    name: dataschema,
    title: dataschema,
    description: supersededBy === undefined ? description : `${description} Superseded by ${supersededBy}: only old events have this version.`,
    headers: { $ref: '#/components/schemas/headers' },
    payload: {
      allOf: [
        { $ref: '#/components/schemas/envelope' },
        {
          type: 'object',
          properties: {
            source: { const: `/${producer}` },
            type: { const: type },
            dataschema: { const: dataschema },
            data: { $ref: `#/components/schemas/${dataschema}` },
          },
        },
      ],
    },
    examples: [{ name: 'stored', headers: { 'Nats-Msg-Id': fixture.id }, payload: fixture }],
  };
}

function capitalized(service: string): string {
  return `${service.charAt(0).toUpperCase()}${service.slice(1)}`;
}
