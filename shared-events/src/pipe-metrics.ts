import { Counter, Gauge, type Registry } from 'prom-client';
import type { Producer } from './event.ts';
import type { EventConsumer } from './event-consumer.ts';
import type { Relay, RelayFacts } from './outbox-relay.ts';

/** The parts of the pipe in one process. */
export interface PipeParts {
  readonly relay?: Relay;
  readonly consumers?: Readonly<Partial<Record<Producer, EventConsumer>>>;
}

/** Values by producer; null where there is none to name, or nothing to be read. */
type Read = () => Readings | Promise<Readings>;
type Readings = readonly (readonly [producer: string | null, value: number | null])[];

/**
 * Shows the pipe of a process to Prometheus. Everything is read when it is asked for; what can't be read then (a lag while NATS
 * is away) is left out rather than shown as it was.
 */
export function registerPipe(registry: Registry, { relay, consumers = {} }: PipeParts): void {
  const metric = (Kind: typeof Gauge | typeof Counter, name: string, help: string, read: Read): void => {
    const made: Gauge | Counter = new Kind({
      name,
      help,
      labelNames: ['producer'],
      registers: [registry],
      collect: async () => {
        made.reset();
        for (const [producer, value] of await read()) if (value !== null) made.inc(producer === null ? {} : { producer }, value);
      },
    });
  };
  if (relay !== undefined) {
    const own = (value: (facts: RelayFacts) => number): Read => () => [[null, value(relay.facts())]];
    metric(Gauge, 'ates_outbox_unpublished_events', 'Events in the outbox that the stream does not have, up to 100,000', own(({ unpublished }) => unpublished));
    metric(Gauge, 'ates_outbox_oldest_unpublished_seconds', 'Age of the oldest unpublished event', own(({ oldestMs }) => oldestMs / 1_000));
    metric(Gauge, 'ates_relay_leads', '1 in the process whose relay is the active one', own(({ leads }) => Number(leads)));
    metric(Counter, 'ates_relay_published_events_total', 'Events published since the start of the process', own(({ published }) => published));
    metric(Counter, 'ates_relay_resyncs_total', 'How often the stream was not as the outbox had left it, since the start', own(({ resyncs }) => resyncs));
  }
  if (Object.keys(consumers).length === 0) return;
  const each = (value: (consumer: EventConsumer) => number | Promise<number>): Read => () =>
    Promise.all(Object.entries(consumers).map(async ([producer, consumer]) => [producer, await (async () => value(consumer))().catch(() => null)] as const));
  metric(Gauge, 'ates_consumer_lag_events', 'Events of the partitions read here that are not applied yet', each((consumer) => consumer.lag()));
  metric(Gauge, 'ates_consumer_partitions', 'Partitions that this process owns', each((consumer) => consumer.facts().partitions.length));
  metric(Counter, 'ates_consumer_applied_events_total', 'Events applied since the start of the process', each((consumer) => consumer.facts().applied));
  metric(Counter, 'ates_consumer_retries_total', 'Times that events could not be applied for now, since the start', each((consumer) => consumer.facts().retries));
  metric(Gauge, 'ates_parked_events', 'Events that wait for an operator', each((consumer) => consumer.parked()));
}
