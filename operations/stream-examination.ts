import type { JetStreamManager } from '@nats-io/jetstream';
import { streamInfo, streamOf } from '@ates/shared-events/streams';
import type { Subscription } from '../contracts/subscriptions.ts';
import type { ServiceDatabase } from './connections.ts';
import { OperationError } from './errors.ts';
import { counted } from './output.ts';
import { lastPositions, pendingAfter, positionsIn } from './pipe-state.ts';

/** What has to be read of one stream, by partition. */
export interface Goal {
  readonly subscription: Subscription;
  readonly stream: string;
  readonly created: string | null;
  /** The position of each partition's last message, as it was when this was looked at; 0 where there was none. */
  readonly last: readonly number[];
  /** How many messages that is. */
  readonly messages: readonly number[];
}

/** @throws OperationError when the stream does not hold everything that the service has had from it */
export async function examine(database: ServiceDatabase, manager: JetStreamManager, subscription: Subscription): Promise<Goal> {
  const { service } = database;
  const stream = streamOf(subscription.producer);
  const refuse = (reason: string): never => {
    throw new OperationError(`${service} is not rebuilt, nothing was done: ${reason}`);
  };
  const known = await knownOf(database, subscription);
  const info = await streamInfo(manager, subscription.producer);
  const hadHistory = known.position > 0 || known.events > 0;
  if (info === null) {
    if (hadHistory) refuse(`there is no stream ${stream}, but ${service} knows ${known.events} of its events: their effects would be lost.`);
    return { subscription, stream, created: null, last: [], messages: [] };
  }
  const { first_seq: first, last_seq: last, num_deleted: deleted } = info.state;
  if (first > 1) refuse(`the stream ${stream} begins at position ${first}: what came before would be lost. Restore the stream from a backup first.`);
  if (deleted > 0) refuse(`${counted(deleted, 'message')} of the stream ${stream} ${deleted === 1 ? 'was' : 'were'} deleted: their effects would be lost. Restore the stream from a backup first.`);
  const again = 'Wait until its producer has published again what it lost (npm run events -- lag), or restore the stream from a backup.';
  if (last < known.position) refuse(`the stream ${stream} ends at position ${last}, but ${service} has read up to ${known.position}. ${again}`);
  if (info.state.messages < known.events) refuse(`the stream ${stream} holds ${counted(info.state.messages, 'message')}, but ${service} knows ${known.events} of its events. ${again}`);
  const [positions, messages] = await Promise.all([lastPositions(manager, subscription), pendingAfter(manager, subscription, [])]);
  return { subscription, stream, created: info.created, last: positions, messages };
}

/** How far the service has read, and how many events it knows at least: each aggregate's versions count from 1 without gaps. */
async function knownOf(database: ServiceDatabase, { producer }: Subscription): Promise<{ readonly position: number; readonly events: number }> {
  const [row] = await database.rows<{ events: string }>('select coalesce(sum(version), 0) as events from inbox_versions where source = $1', [`/${producer}`]);
  return { position: Math.max(...(await positionsIn(database, {}, { name: streamOf(producer), created: null }))), events: Number(row?.events ?? 0) };
}
