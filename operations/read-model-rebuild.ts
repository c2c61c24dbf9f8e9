import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { EventLogger } from '@ates/shared-events/event-consumer';
import type { Subscription } from '../contracts/subscriptions.ts';
import { MIGRATIONS } from '../subgraphs/analytics/migrations/all.ts';
import { openRebuilding, type Rebuilding } from '../subgraphs/analytics/src/rebuild-model.ts';
import type { ServiceDatabase } from './connections.ts';
import { OperationError } from './errors.ts';
import { switchOver } from './model-switch.ts';
import { counted, duration, type Output } from './output.ts';
import { lastPositions, pendingAfter } from './pipe-state.ts';
import { examine, type Goal } from './stream-examination.ts';

export interface RebuildOptions {
  /** The service's. */
  readonly database: ServiceDatabase;
  readonly databaseUrl: string;
  readonly nats: NatsConnection;
  /** All that the service reads. */
  readonly subscriptions: readonly Subscription[];
  /** The time zone of its days, where the service has not noted it. */
  readonly timeZone: string;
  /** How long to wait for something to move. */
  readonly patienceMs: number;
  readonly out: Output;
}

interface Progress {
  readonly events: number;
  /** Grows with each message, however few there are. */
  readonly positions: number;
  readonly isDone: boolean;
}

/** A rebuild that is under way. */
interface Run extends RebuildOptions {
  readonly manager: JetStreamManager;
  readonly rebuilding: Rebuilding;
  readonly startedAt: number;
  /** How many events it was about when it began. */
  readonly total: number;
}

const ONE_REBUILD_LOCK = 7_061_003;
const POLL_MS = 250;
/** So many are read soon enough while the running service waits. */
const NEARLY_LEVEL_EVENTS = 2_000;
/** Tables that grow from nothing are looked at again whenever they have doubled. */
const ANALYZE_FROM_EVENTS = 10_000;

/**
 * Makes the read model anew beside the one in use, by the service's own consumers in this process, and puts it in its place. Until then nothing
 * is changed that anybody sees; whatever ends this process, the next call begins from the beginning.
 * @returns whether it is done; false when nothing moved for `patienceMs`
 * @throws OperationError, with the model in use as it was, when the streams can't give everything back
 */
export async function rebuildReadModel(options: RebuildOptions): Promise<boolean> {
  const { database, databaseUrl, nats, out } = options;
  // A large model takes longer to look at, and to drop, than the role's statements usually may.
  await database.rows('set statement_timeout = 0');
  const [lock] = await database.rows<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [ONE_REBUILD_LOCK]);
  if (lock?.taken !== true) throw new OperationError(`${database.service} is being rebuilt already. Wait for that command, or end it: the model in use stays as it is.`);
  await seeVersion(database);
  const manager = await jetstreamManager(nats);
  const goals = await Promise.all(options.subscriptions.map((subscription) => examine(database, manager, subscription)));
  const total = sum(goals.flatMap(({ messages }) => messages));
  const startedAt = performance.now();
  await begin(database);
  out.line(`A new read model of ${database.service} is being made beside the one in use, of ${counted(total, 'event')}.`);
  const timeZone = (await notedTimeZone(database)) ?? options.timeZone;
  const rebuilding = await openRebuilding({ databaseUrl, nats, timeZone, logger: errorsTo(out) });
  try {
    rebuilding.start();
    const heldMs = await makeAndSwitch({ ...options, manager, rebuilding, startedAt, total }, goals);
    if (heldMs === null) return false;
    const ms = performance.now() - startedAt;
    out.line(`Done: ${counted(total, 'event')} in ${(ms / 1_000).toFixed(1)} s (${Math.round(total / (ms / 1_000))} per second); the switch took ${duration(heldMs)}.`);
    await tellParked(database, out);
    return true;
  } finally {
    await rebuilding.close();
  }
}

/** This process applies events by the code that it has: to tables of another version it must not. */
async function seeVersion(database: ServiceDatabase): Promise<void> {
  const rows = await database.rows<{ name: string }>('select name from mikro_orm_migrations');
  const known = new Set(rows.map(({ name }) => name));
  const { service } = database;
  if (MIGRATIONS.some(({ name }) => !known.has(name))) throw new OperationError(`${service}'s database is of an older version: start ${service} in this version, then run this again. Nothing was done.`);
  if (known.size > MIGRATIONS.length) throw new OperationError(`${service}'s database is of a newer version than this command. Run the newer one's. Nothing was done.`);
}

async function begin(database: ServiceDatabase): Promise<void> {
  try {
    await database.rows('select begin_rebuild()');
  } catch (error) {
    throw new OperationError(`${database.service} is not rebuilt, nothing was done: ${(error as Error).message}`, { cause: error });
  }
}

async function notedTimeZone(database: ServiceDatabase): Promise<string | undefined> {
  const [row] = await database.rows<{ zone: string }>('select business_time_zone as zone from read_model_settings');
  return row?.zone;
}

/** @returns how long the switch took, in ms; null when nothing moved */
async function makeAndSwitch(run: Run, first: readonly Goal[]): Promise<number | null> {
  const { database, rebuilding, out, patienceMs } = run;
  let goals = first;
  let lastTried = 0;
  let reason = '';
  for (;;) {
    if (!(await follow(run, goals))) return null;
    await database.rows('select complete_rebuild()');
    goals = await goalsNow(run, goals);
    if (sum(goals.flatMap(({ messages }) => messages)) > NEARLY_LEVEL_EVENTS) continue;
    if (lastTried === 0) lastTried = performance.now();
    const outcome = await switchOver(database, rebuilding);
    if ('heldMs' in outcome) return outcome.heldMs;
    reason = outcome.notYet;
    if (performance.now() - lastTried > patienceMs) break;
    out.progress(`The new model is made; it is not in place yet: ${reason}`);
    await delay(POLL_MS);
  }
  out.line(`Not done: the new model is made, but could not be put in place within ${duration(patienceMs)}: ${reason}. The one in use is as it was; run this again when less is going on.`);
  return null;
}

/** Reads until all of these were read that the streams held; false when nothing moves. */
async function follow({ database, patienceMs, out, startedAt, total, rebuilding }: Run, goals: readonly Goal[]): Promise<boolean> {
  let movedAt = performance.now();
  let positions = -1;
  let analyzeAt = ANALYZE_FROM_EVENTS;
  for (;;) {
    const now = await progressOf(database, goals);
    if (now.isDone) return true;
    if (now.positions !== positions) movedAt = performance.now();
    positions = now.positions;
    const { events } = now;
    const idleMs = performance.now() - movedAt;
    if (idleMs > patienceMs) {
      out.line(`Not done: nothing has moved for ${duration(idleMs)}, ${events} of ${counted(total, 'event')} are read. ${rebuilding.check() ?? 'NATS and PostgreSQL may tell why.'} The model in use is as it was.`);
      return false;
    }
    out.progress(progressText(Math.min(events, total), total, performance.now() - startedAt));
    if (events >= analyzeAt) {
      await database.rows('select analyze_rebuild()');
      analyzeAt = events * 2;
    }
    await delay(POLL_MS);
  }
}

/** Partitions are about evenly filled, so how far one got in positions says how far it got in events; at both ends that is exact. */
async function progressOf(database: ServiceDatabase, goals: readonly Goal[]): Promise<Progress> {
  const standing = await rebuiltPositions(database);
  const partitions = goals.flatMap((goal) =>
    goal.last.map((last, partition) => {
      const position = standing(goal)[partition] ?? 0;
      const share = last === 0 ? 1 : Math.min(position / last, 1);
      return { position, isDone: share === 1, events: (goal.messages[partition] ?? 0) * share };
    }),
  );
  return {
    events: Math.floor(sum(partitions.map(({ events }) => events))),
    positions: sum(partitions.map(({ position }) => position)),
    isDone: partitions.every(({ isDone }) => isDone),
  };
}

/** Where the new model stands, by partition; nowhere where it has read nothing of this making of the stream. */
async function rebuiltPositions(database: ServiceDatabase): Promise<(goal: Goal) => number[]> {
  const rows = await database.rows<{ stream: string; created: string | null; partition: number; position: string }>(
    'select stream, stream_created as created, partition, position from rebuild_model.inbox_positions',
  );
  return (goal) => {
    const positions: number[] = [];
    for (const { stream, created, partition, position } of rows) if (stream === goal.stream && created === goal.created) positions[partition] = Number(position);
    return positions;
  };
}

/** What has come since: the same streams up to their present ends, and how many messages are still to be read. */
async function goalsNow({ database, manager }: Run, goals: readonly Goal[]): Promise<Goal[]> {
  const standing = await rebuiltPositions(database);
  return Promise.all(
    goals.map(async (goal) => {
      if (goal.created === null) return goal;
      const [last, messages] = await Promise.all([lastPositions(manager, goal.subscription), pendingAfter(manager, goal.subscription, standing(goal))]);
      return { ...goal, last, messages };
    }),
  );
}

function progressText(events: number, total: number, elapsedMs: number): string {
  const perMs = events / elapsedMs;
  const remaining = events === 0 ? '' : `, about ${duration((total - events) / perMs)} to go`;
  return `${Math.floor((events / Math.max(total, 1)) * 100)} %: ${events} of ${total} events, ${Math.round(perMs * 1_000)} per second${remaining}`;
}

async function tellParked(database: ServiceDatabase, out: Output): Promise<void> {
  const [parked] = await database.rows<{ open: number }>('select count(*)::int as open from parked_events where outcome is null');
  const open = parked?.open ?? 0;
  if (open > 0) out.note(`${counted(open, 'event')} of ${database.service} ${open === 1 ? 'is' : 'are'} parked and stay${open === 1 ? 's' : ''} so until decided on: npm run events -- parked`);
}

/** Of what the consumers say only what keeps an event from being applied. */
function errorsTo(out: Output): EventLogger {
  return {
    info: () => {},
    warn: () => {},
    error: (facts, message) => {
      const { err } = facts as { err?: { message?: string } };
      out.note(err?.message === undefined ? message : `${message}: ${err.message}`);
    },
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, count) => total + count, 0);
}
