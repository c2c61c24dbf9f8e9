import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { ensureStream, subjectOf } from '@ates/shared-events/streams';

/** An event as it is on a stream. */
export interface TestEvent {
  readonly id: string;
  readonly source: string;
  readonly dataschema: string;
  readonly subject: string;
  readonly data: object;
}

/** A new event like the stored one of this version. */
export function eventLike(dataschema: string, subject: string, data: { readonly version: number; readonly [field: string]: unknown }): TestEvent {
  const stored = JSON.parse(readFileSync(new URL(`../../shared-events/fixtures/${dataschema}.json`, import.meta.url), 'utf8')) as TestEvent;
  return { ...stored, id: randomUUID(), subject, data: { ...stored.data, ...data } };
}

/** Publishes as the producers' relays would, in this order. */
export async function publishAll(nats: NatsConnection, events: readonly TestEvent[]): Promise<void> {
  const client = jetstream(nats, { timeout: 10_000 });
  const publish = ({ source, dataschema, subject, id, ...event }: TestEvent) =>
    client.publish(subjectOf(`ates${source.replace('/', '.')}.${dataschema}`, subject), JSON.stringify({ ...event, source, dataschema, subject, id }), { msgID: id });
  for (let index = 0; index < events.length; index += 500) await Promise.all(events.slice(index, index + 500).map(publish));
}

export async function ensureStreams(nats: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(nats);
  for (const producer of ['users', 'tasks', 'accounting'] as const) await ensureStream(manager, producer);
}
