import { DiscardPolicy, JetStreamApiError, type JetStreamManager, RetentionPolicy, StorageType, type StreamInfo } from '@nats-io/jetstream';
import type { Producer } from './event.ts';

/** How many ways the aggregates of a stream are shared out; that many replicas of a consuming service can work at once. */
export const PARTITIONS = 8;
/** Where messages come whose subject carries no partition: those published by hand, or before there were partitions. */
export const UNPARTITIONED = PARTITIONS;

const STREAM_MAX_BYTES = 1024 ** 3;
const DUPLICATE_WINDOW_NS = 120 * 1_000_000_000;
const STREAM_NOT_FOUND = 10_059;

/** The name of a producer's one stream, for example `TASKS`. */
export function streamOf(producer: Producer): string {
  return producer.toUpperCase();
}

/** The NATS subject of an event: its contract's and its aggregate's partition, for example `ates.tasks.task.assigned.v1.3`. */
export function subjectOf(natsSubject: string, aggregateId: string): string {
  return `${natsSubject}.${partitionOf(aggregateId)}`;
}

/** The last byte of the aggregate's id, which is random in a UUID, decides. The relay computes the same in SQL. */
export function partitionOf(aggregateId: string): number {
  return Number.parseInt(aggregateId.slice(-2), 16) % PARTITIONS;
}

/** The JetStream consumer by which a service reads one partition, for example `accounting-3`. */
export function consumerName(service: string, partition: number): string {
  return partition === UNPARTITIONED ? `${service}-unpartitioned` : `${service}-${partition}`;
}

/**
 * The subjects of one partition of a producer's events.
 * @param about only events of these aggregates, the first word of their types: `task` takes `task.priced` and not `account.charged`
 */
export function partitionSubjects(producer: Producer, partition: number, about = '*'): string {
  return `ates.${producer}.${about}.*.*${partition === UNPARTITIONED ? '' : `.${partition}`}`;
}

/** The least that a consumer reads: one partition's events about one kind of aggregate, for example `task.3`; null for a subject without a partition. */
export function laneOf(subject: string): string | null {
  const [, , about, , , partition] = subject.split('.');
  return partition === undefined ? null : `${about}.${partition}`;
}

/** The stream as the server has it, or null when there is none. */
export async function streamInfo(manager: JetStreamManager, producer: Producer): Promise<StreamInfo | null> {
  try {
    return await manager.streams.info(streamOf(producer));
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return null;
    throw error;
  }
}

/**
 * The producer's stream, made if there is none: on disk, kept without an age limit so that read models can be rebuilt,
 * refusing new messages rather than forgetting old ones when it is full.
 */
export async function ensureStream(manager: JetStreamManager, producer: Producer): Promise<StreamInfo> {
  const settings = {
    name: streamOf(producer),
    subjects: [`ates.${producer}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    max_bytes: STREAM_MAX_BYTES,
    duplicate_window: DUPLICATE_WINDOW_NS,
  };
  return (await streamInfo(manager, producer)) ?? manager.streams.add(settings);
}
