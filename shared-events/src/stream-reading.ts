import { AckPolicy, DeliverPolicy, jetstream, type ConsumerMessages, type JetStreamManager } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import type { Producer } from './event.ts';
import type { Standing } from './inbox-positions.ts';
import { consumerName, streamOf, subjectsOf, type Reading } from './streams.ts';

/** A server doesn't tell every reader that its consumer is gone, as with a deleted stream: whoever hears nothing twice looks. */
const HEARTBEAT_MS = 1_000;
/** The server forgets a consumer that nobody reads by for so long. */
const INACTIVE_MS = 60_000;
/** As many messages are asked for at a time. */
const FETCH_MAX_EVENTS = 500;

/** Makes the reading's JetStream consumer anew, where the reading stands, and its messages from there on. */
export async function readFrom(
  nats: NatsConnection,
  manager: JetStreamManager,
  { producer, service, reading, start }: { readonly producer: Producer; readonly service: string; readonly reading: Reading; readonly start: Standing },
): Promise<ConsumerMessages> {
  const stream = streamOf(producer);
  const name = consumerName(service, reading);
  await manager.consumers.delete(stream, name).catch(() => {});
  const info = await manager.consumers.add(stream, {
    name,
    filter_subject: subjectsOf(producer, reading),
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    // The message that it stands at comes once more, to see that it is still the same.
    opt_start_seq: start.messageId === null ? start.position + 1 : start.position,
    inactive_threshold: nanos(INACTIVE_MS),
    mem_storage: true,
  });
  return jetstream(nats).consumers.getConsumerFromInfo(info).consume({ max_messages: FETCH_MAX_EVENTS, abort_on_missing_resource: true, idle_heartbeat: HEARTBEAT_MS });
}
