import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CATALOG, UPCASTS } from '@ates/shared-events/catalog';
import type { EventDefinition, Producer } from '@ates/shared-events/event';
import type { JsonSchema } from './compatibility.ts';
import { SUBSCRIPTIONS } from './subscriptions.ts';

/** A stored event: the envelope with its data. */
export interface Fixture {
  readonly id: string;
  readonly subject: string;
  readonly data: object;
}

/** One version of an event, with all that the documents tell of it. */
export interface Contract {
  readonly dataschema: string;
  readonly producer: Producer;
  readonly type: string;
  /** Without the partition. */
  readonly natsSubject: string;
  readonly description: string;
  /** JSON Schema of `data`, draft 2020-12. */
  readonly schema: JsonSchema;
  /** Names of services. */
  readonly consumers: readonly string[];
  /** The version that consumers read it as, when there is a newer one. */
  readonly supersededBy: string | undefined;
  readonly fixture: Fixture;
}

const FIXTURES = join(import.meta.dirname, '../shared-events/fixtures');

/** All that is published, in the catalogue's order. */
export function contracts(): Contract[] {
  return CATALOG.map(contractOf);
}

function contractOf(definition: EventDefinition): Contract {
  const { dataschema, producer, type, natsSubject } = definition;
  const upcasts: Readonly<Record<string, { readonly to: EventDefinition }>> = UPCASTS;
  const supersededBy = upcasts[dataschema]?.to.dataschema;
  // What TypeBox itself needs to know of a schema is not enumerable; the copy is the plain JSON Schema.
  const { title, description = '', ...rest } = JSON.parse(JSON.stringify(definition.schema)) as JsonSchema;
  return {
    dataschema,
    producer,
    type,
    natsSubject,
    description,
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: `urn:ates:${producer}:${dataschema}`,
      title,
      description,
      ...(supersededBy !== undefined && { deprecated: true }),
      ...rest,
    },
    consumers: SUBSCRIPTIONS.filter((each) => each.producer === producer && (each.about?.some((kind) => type.startsWith(`${kind}.`)) ?? true)).map(
      ({ service }) => service,
    ),
    supersededBy,
    fixture: JSON.parse(readFileSync(join(FIXTURES, `${dataschema}.json`), 'utf8')) as Fixture,
  };
}
