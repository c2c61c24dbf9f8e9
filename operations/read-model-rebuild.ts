import { setTimeout as delay } from 'node:timers/promises';
import type { JetStreamManager } from '@nats-io/jetstream';
import { streamInfo, streamOf } from '@ates/shared-events/streams';
import type { Subscription } from '../contracts/subscriptions.ts';
import type { ServiceDatabase } from './connections.ts';
import { OperationError } from './errors.ts';
import { counted, duration, type Output } from './output.ts';
import { lastPositions, pendingAfter, positionsIn, replicasReading } from './pipe-state.ts';

export interface RebuildOptions {
  /** The service's. */
  readonly database: ServiceDatabase;
  readonly manager: JetStreamManager;
  /** All that the service reads. */
  readonly subscriptions: readonly Subscription[];
  /** How long to wait for something to move. */
  readonly patienceMs: number;
  readonly out: Output;
}

/** What has to be read again of one stream, by partition. */
interface Goal {
  readonly stream: string;
  readonly created: string | null;
  /** The position of each partition's last message, as it was when the rebuild began; 0 where there was none. */
  readonly last: readonly number[];
  /** How many messages that is. */
  readonly messages: readonly number[];
}

interface Progress {
  readonly events: number;
  readonly isDone: boolean;
}

const ONE_REBUILD_LOCK = 7_061_003;
const POLL_MS = 250;
const EMPTY_ATTEMPTS_MAX = 5;
const EMPTY_RETRY_MS = 200;
/** A deadlock, a lock that did not come in time: somebody was in the middle of something. */
const BUSY = ['40P01', '55P03'];
const UNDEFINED_FUNCTION = '42883';

/**
 * Empties the read model and follows the running service until it has read again all that the streams held at the beginning. All that
 * this process does is one transaction; what follows is the service's own work and goes on without it.
 * @returns whether it got there; false when nothing moved for `patienceMs`
 * @throws OperationError, with nothing done, when the streams can't give everything back or nobody would read them
 */
export async function rebuildReadModel(options: RebuildOptions): Promise<boolean> {
  const { database, out } = options;
  const [lock] = await database.rows<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [ONE_REBUILD_LOCK]);
  if (lock?.taken !== true) throw new OperationError(`Another rebuild of ${database.service} is being followed. Wait for it, or end that command: the rebuild itself goes on.`);
  const goals = await Promise.all(options.subscriptions.map((subscription) => examine(options, subscription)));
  const total = sum(goals.flatMap(({ messages }) => messages));
  const [parked] = await database.rows<{ open: number }>('select count(*)::int as open from parked_events where outcome is null');
  if (parked !== undefined && parked.open > 0) out.note(`${counted(parked.open, 'event')} of ${database.service} ${parked.open === 1 ? 'is' : 'are'} parked and stay${parked.open === 1 ? 's' : ''} so until decided on: npm run events -- parked`);
  const startedAt = performance.now();
  await empty(database);
  out.line(`The read model of ${database.service} is empty; ${counted(total, 'event')} are read again.`);
  const isDone = await follow(options, goals, total);
  if (!isDone) return false;
  const ms = performance.now() - startedAt;
  out.line(`Done: ${counted(total, 'event')} in ${(ms / 1_000).toFixed(1)} s (${Math.round(total / (ms / 1_000))} per second).`);
  return true;
}

/** @throws OperationError when the stream does not hold everything that the service has had from it, or nobody reads it */
async function examine({ database, manager }: RebuildOptions, subscription: Subscription): Promise<Goal> {
  const { service } = database;
  const stream = streamOf(subscription.producer);
  const refuse = (reason: string): never => {
    throw new OperationError(`${service} is not rebuilt, nothing was done: ${reason}`);
  };
  const known = await knownOf(database, subscription);
  if ((await replicasReading(database, stream)) === 0) refuse(`it isn't running (nobody reads ${stream} for it). Start it, then run this again.`);
  const info = await streamInfo(manager, subscription.producer);
  const nothing = Array.from({ length: 0 }, () => 0);
  const hadHistory = known.position > 0 || known.events > 0;
  if (info === null) return hadHistory ? refuse(`there is no stream ${stream}, but ${service} knows ${known.events} of its events: their effects would be lost.`) : { stream, created: null, last: nothing, messages: nothing };
  const { first_seq: first, last_seq: last, num_deleted: deleted } = info.state;
  if (first > 1) refuse(`the stream ${stream} begins at position ${first}: what came before would be lost. Restore the stream from a backup first.`);
  if (deleted > 0) refuse(`${counted(deleted, 'message')} of the stream ${stream} ${deleted === 1 ? 'was' : 'were'} deleted: their effects would be lost. Restore the stream from a backup first.`);
  const again = 'Wait until its producer has published again what it lost (npm run events -- lag), or restore the stream from a backup.';
  if (last < known.position) refuse(`the stream ${stream} ends at position ${last}, but ${service} has read up to ${known.position}. ${again}`);
  if (info.state.messages < known.events) refuse(`the stream ${stream} holds ${counted(info.state.messages, 'message')}, but ${service} knows ${known.events} of its events. ${again}`);
  const [positions, messages] = await Promise.all([lastPositions(manager, subscription), pendingAfter(manager, subscription, [])]);
  return { stream, created: info.created, last: positions, messages };
}

/** How far the service has read, and how many events it knows at least: each aggregate's versions count from 1 without gaps. */
async function knownOf(database: ServiceDatabase, { producer }: Subscription): Promise<{ readonly position: number; readonly events: number }> {
  const [row] = await database.rows<{ events: string }>('select coalesce(sum(version), 0) as events from inbox_versions where source = $1', [`/${producer}`]);
  return { position: Math.max(...(await positionsIn(database, {}, { name: streamOf(producer), created: null }))), events: Number(row?.events ?? 0) };
}

/** One transaction: whatever happens to this process, either all of it was done or nothing. */
async function empty(database: ServiceDatabase): Promise<void> {
  // A large model takes longer to empty than the role's statements usually may.
  await database.rows('set statement_timeout = 0');
  for (let attempt = 1; ; attempt++) {
    try {
      await database.rows('begin');
      await database.rows('select empty_read_model()');
      await database.rows('commit');
      return;
    } catch (error) {
      await database.rows('rollback').catch(() => {});
      const { code = '', message } = error as { code?: string; message: string };
      if (code === UNDEFINED_FUNCTION) throw new OperationError(`${database.service}'s database is of an older version: start ${database.service} in this version, then run this again. Nothing was done.`, { cause: error });
      if (!BUSY.includes(code) || attempt === EMPTY_ATTEMPTS_MAX) throw new OperationError(`${database.service} is not rebuilt, nothing was done: ${message}`, { cause: error });
      await delay(EMPTY_RETRY_MS);
    }
  }
}

async function follow({ database, patienceMs, out }: RebuildOptions, goals: readonly Goal[], total: number): Promise<boolean> {
  const startedAt = performance.now();
  let movedAt = startedAt;
  let events = -1;
  for (;;) {
    const now = await progressOf(database, goals);
    if (now.isDone && (await nothingIsDue(database))) return true;
    if (now.events !== events) movedAt = performance.now();
    events = now.events;
    const idleMs = performance.now() - movedAt;
    if (idleMs > patienceMs) {
      out.line(`Not done: nothing has moved for ${duration(idleMs)}, ${events} of ${counted(total, 'event')} are read again. ${await whyIdle(database, goals)}`);
      return false;
    }
    out.progress(progressText(events, total, performance.now() - startedAt));
    await delay(POLL_MS);
  }
}

/** Partitions are about evenly filled, so how far one got in positions says how far it got in events; at both ends that is exact. */
async function progressOf(database: ServiceDatabase, goals: readonly Goal[]): Promise<Progress> {
  const byStream = await Promise.all(
    goals.map(async ({ stream, created, last, messages }) => {
      const positions = await positionsIn(database, {}, { name: stream, created });
      return last.map((goal, partition) => {
        const share = goal === 0 ? 1 : Math.min((positions[partition] ?? 0) / goal, 1);
        return { isDone: share === 1, events: (messages[partition] ?? 0) * share };
      });
    }),
  );
  const partitions = byStream.flat();
  return { isDone: partitions.every(({ isDone }) => isDone), events: Math.floor(sum(partitions.map(({ events }) => events))) };
}

/** Where a batch held an event that can't be applied, its events are taken first and applied after that, one by one. */
async function nothingIsDue(database: ServiceDatabase): Promise<boolean> {
  const due = await database.rows('select from inbox_waiting join inbox_versions using (source, aggregate_id) where inbox_waiting.version = inbox_versions.version + 1 limit 1');
  return due.length === 0;
}

function progressText(events: number, total: number, elapsedMs: number): string {
  const perMs = events / elapsedMs;
  const remaining = events === 0 ? '' : `, about ${duration((total - events) / perMs)} to go`;
  return `${Math.floor((events / Math.max(total, 1)) * 100)} %: ${events} of ${total} events, ${Math.round(perMs * 1_000)} per second${remaining}`;
}

async function whyIdle(database: ServiceDatabase, goals: readonly Goal[]): Promise<string> {
  const replicas = await Promise.all(goals.map(({ stream }) => replicasReading(database, stream)));
  const how = replicas.includes(0) ? `${database.service} isn't running: it goes on when it is started.` : `${database.service} runs; its /readyz and its log say what keeps it.`;
  return `${how} The rebuild needs nothing else; npm run events -- lag tells how far it is.`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, count) => total + count, 0);
}
