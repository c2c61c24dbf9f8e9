import { DiscardPolicy, jetstreamManager, JetStreamApiError, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Producer } from './event.ts';

const STREAM_MAX_BYTES = 1024 ** 3;
const DUPLICATE_WINDOW_NS = 120 * 1_000_000_000;
const STREAM_NOT_FOUND = 10_059;

/** The name of a producer's one stream, for example `TASKS`. */
export function streamOf(producer: Producer): string {
  return producer.toUpperCase();
}

/**
 * Makes the producer's stream if it does not exist: on disk, kept without an age limit so that read models can be
 * rebuilt, refusing new messages rather than forgetting old ones when it is full.
 */
export async function ensureStream(connection: NatsConnection, producer: Producer): Promise<void> {
  const manager = await jetstreamManager(connection);
  const name = streamOf(producer);
  try {
    await manager.streams.info(name);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NOT_FOUND) throw error;
    await manager.streams.add({
      name,
      subjects: [`ates.${producer}.>`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      max_bytes: STREAM_MAX_BYTES,
      duplicate_window: DUPLICATE_WINDOW_NS,
    });
  }
}
