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

/** What a consumer reads on its own: one partition, of events about everything or about one kind of aggregate. */
export interface Reading {
  /** Its place among the consumer's readings; what its position is kept under. */
  readonly number: number;
  readonly partition: number;
  /** The first word of the types; `*` is all. */
  readonly about: string;
}

/**
 * All that a consumer reads, by number: of each kind of aggregate all partitions, in the order of the kinds. One that is added
 * later comes last, so that the numbers before it stay.
 * @param about only events of these aggregates; default all
 */
export function readingsOf(about: readonly string[] = ['*']): Reading[] {
  return about.flatMap((word, place) =>
    Array.from({ length: UNPARTITIONED + 1 }, (_, partition) => ({ number: place * (UNPARTITIONED + 1) + partition, partition, about: word })),
  );
}

/** The JetStream consumer by which a service reads, for example `accounting-3`. */
export function consumerName(service: string, { number }: Pick<Reading, 'number'>): string {
  return number === UNPARTITIONED ? `${service}-unpartitioned` : `${service}-${number}`;
}

/** The subjects of a reading: `task` takes `task.priced` and not `account.charged`. */
export function subjectsOf(producer: Producer, { partition, about }: Reading): string {
  return `ates.${producer}.${about}.*.*${partition === UNPARTITIONED ? '' : `.${partition}`}`;
}

/** All of a producer's events about one kind of aggregate, as they are published: for listening, not for reading from the stream. */
export function eventsAbout(producer: Producer, about: string): string {
  return `ates.${producer}.${about}.>`;
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
