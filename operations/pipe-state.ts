import { AckPolicy, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { readingsOf, streamOf, subjectsOf } from '@ates/shared-events/streams';
import type { Subscription } from '../contracts/subscriptions.ts';
import type { ServiceDatabase } from './connections.ts';

/** How each replica's session is called that owns partitions of a stream (shared-events/src/partition-lease.ts). */
const LEASE_SESSIONS = `pid <> pg_backend_pid() and datname = current_database() and usename = current_user and application_name like 'lease of ' || $1`;
const COUNTER_INACTIVE_MS = 5_000;

/** How many replicas of the service read this stream now. */
export async function replicasReading(database: ServiceDatabase, stream: string): Promise<number> {
  const [row] = await database.rows<{ replicas: number }>(`select count(*)::int as replicas from pg_stat_activity where ${LEASE_SESSIONS}`, [stream]);
  return row?.replicas ?? 0;
}

/** Where a service stands in a stream, by reading; 0 where it has read nothing of this stream yet. */
export async function positionsIn(database: ServiceDatabase, { about }: Pick<Subscription, 'about'>, { name, created }: { readonly name: string; readonly created: string | null }): Promise<number[]> {
  const rows = await database.rows<{ partition: number; position: string; stream_created: string | null }>(
    'select partition, position, stream_created from inbox_positions where stream = $1',
    [name],
  );
  const known = new Map(rows.map((row) => [row.partition, created === null || row.stream_created === created ? Number(row.position) : 0]));
  return readingsOf(about).map(({ number }) => known.get(number) ?? 0);
}

/** How many messages of the subscription each reading has after its position. */
export async function pendingAfter(manager: JetStreamManager, { producer, about }: Subscription, positions: readonly number[]): Promise<number[]> {
  return Promise.all(
    readingsOf(about).map(async (reading) => {
      // The server counts it for a consumer that begins there.
      const { name, num_pending } = await manager.consumers.add(streamOf(producer), {
        filter_subject: subjectsOf(producer, reading),
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: (positions[reading.number] ?? 0) + 1,
        inactive_threshold: nanos(COUNTER_INACTIVE_MS),
        mem_storage: true,
      });
      await manager.consumers.delete(streamOf(producer), name);
      return num_pending;
    }),
  );
}

/** The position of each reading's last message; 0 where there is none. */
export async function lastPositions(manager: JetStreamManager, { producer, about }: Subscription): Promise<number[]> {
  return Promise.all(
    readingsOf(about).map(async (reading) => {
      const message = await manager.streams.getMessage(streamOf(producer), { last_by_subj: subjectsOf(producer, reading) });
      return message?.seq ?? 0;
    }),
  );
}
