import { newId } from '@ates/shared-events/new-id';
import type { Sql } from '@ates/service-kit/database';
import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { recordEvents } from '@ates/shared-events/outbox';
import { isAssignable } from '@ates/shared-events/user-events';
import { copyTasks, copyUsers } from './copies.ts';
import type { DayWork } from './day-closing.ts';
import { countPosted, passPostingGate, postingDays, recordMarkers, type PostingDays } from './day-register.ts';
import { feeCause, feeFor, reversalCause, reversalOf, rewardCause, rewardFor, type Posting, type Reversible, type TaskLabel } from './ledger.ts';
import { lockAccounts, openAccounts, post, postedFor, type PostedEntry } from './posting.ts';
import { knownTasks, setPrices } from './prices.ts';
import type { Price, RandomBetween } from './pricing.ts';

export interface ReactionOptions {
  readonly clock: () => Date;
  readonly random: RandomBetween;
  /** Whose calendar dates are the business days. */
  readonly timeZone: string;
}

/** What a batch of Tasks' events came to. */
export interface TasksReaction {
  /** The employees' entries that were posted, for those who watch. */
  readonly posted: readonly PostedEntry[];
  /** Whether it may be what the close of a day waited for. */
  readonly mayClose: boolean;
}

type TaskWritten = Extract<PublishedAtesEvent, { dataschema: 'task.created.v2' | 'task.updated.v1' }>;
type TaskMovement = Extract<PublishedAtesEvent, { dataschema: 'task.assigned.v1' | 'task.completed.v1' | 'task.deleted.v1' }>;

/** What Accounting does about Users' events: keeps names, and opens an account for everybody who gets tasks. */
export async function reactToUsers(sql: Sql, events: readonly PublishedAtesEvent[]): Promise<void> {
  const users = events.filter(isUserState).map(({ subject, data }) => ({ id: subject, ...data }));
  if (users.length === 0) return;
  await copyUsers(sql, users);
  await openAccounts(sql, users.filter(isAssignable).map(({ id }) => id));
}

/**
 * What Accounting does about Tasks' events: prices each task it hears of, charges the fee of every assignment, pays the reward of every
 * completion and gives back the last fee of what is deleted, in the order of the events; and keeps what the markers of days say.
 */
export async function reactToTasks(options: ReactionOptions, sql: Sql, events: readonly PublishedAtesEvent[]): Promise<TasksReaction> {
  const { posted, mayClose } = await reactToWork(options, sql, events);
  const ended = await recordMarkers(sql, events);
  return { posted, mayClose: mayClose || ended };
}

async function reactToWork({ clock, random, timeZone }: ReactionOptions, sql: Sql, events: readonly PublishedAtesEvent[]): Promise<TasksReaction> {
  const written = events.filter((event): event is TaskWritten => event.dataschema === 'task.created.v2' || event.dataschema === 'task.updated.v1');
  const heardOf = events.filter((event): event is TaskWritten | TaskMovement => event.source === '/tasks' && event.type.startsWith('task.'));
  if (heardOf.length === 0) return { posted: [], mayClose: false };
  const now = clock();
  const movements = movementsOf(events);
  if (movements.length > 0) await passPostingGate(sql);
  await copyTasks(sql, written.map(({ subject, data }) => ({ id: subject, number: data.number, ticket: data.ticket, title: data.title })));
  const taken = movements.filter(({ reversed }) => reversed !== null).map(({ reversed }) => reversed as string);
  // Questions that don't wait for each other: they leave in one packet.
  const [known, accounts, posted, days] = await Promise.all([
    knownTasks(sql, [...new Set(heardOf.map(({ subject }) => subject))]),
    movements.length === 0 ? null : lockAccounts(sql, movements.map(({ employeeId }) => employeeId), movements.map(({ cause }) => cause)),
    taken.length === 0 ? new Map<string, Reversible>() : postedFor(sql, taken),
    movements.length === 0 ? null : postingDays(sql, [...new Set(movements.map(({ event }) => event.data.businessDay))], { timeZone, now }),
  ]);
  const prices = new Map([...known].flatMap(([taskId, { price }]) => (price === undefined ? [] : [[taskId, price] as const])));
  const priced = await setPrices(sql, heardOf.map(({ subject, traceparent }) => ({ taskId: subject, traceparent })), prices, { random, at: now });
  const result = accounts === null || days === null ? { posted: [], events: [] } : await post(sql, postingsFor(movements, { prices, labelOf: (taskId) => known.get(taskId)?.label, posted, days }), accounts, days.postedAt);
  const work = workOf(result.posted, events);
  await countPosted(sql, work);
  await recordEvents(sql, [...priced, ...result.events]);
  // Without days nothing was posted: then there may have been deletions of what nobody had.
  return { posted: result.posted, mayClose: days?.someEnded ?? work.size > 0 };
}

/** What was posted, by the day that Tasks stamped it with; and deletions of what nobody had, for which there is nothing to post. */
function workOf(posted: readonly PostedEntry[], events: readonly PublishedAtesEvent[]): Map<string, DayWork> {
  const work = new Map<string, { assignments: number; completions: number; deletions: number }>();
  const count = (day: string, kind: 'assignments' | 'completions' | 'deletions'): void => {
    const known = work.get(day) ?? { assignments: 0, completions: 0, deletions: 0 };
    known[kind] += 1;
    work.set(day, known);
  };
  for (const { kind, businessDay, lateFor } of posted) count(lateFor ?? businessDay, kind === 'FEE' ? 'assignments' : kind === 'REWARD' ? 'completions' : 'deletions');
  for (const event of events) if (event.dataschema === 'task.deleted.v1' && event.data.assigneeId === null) count(event.data.businessDay, 'deletions');
  return work;
}

/** An event that moves money, with what it is posted for and whose account it is. */
interface Movement {
  readonly event: TaskMovement;
  readonly employeeId: string;
  readonly cause: string;
  /** The cause of what it takes back, if it does. */
  readonly reversed: string | null;
}

/** Assignments, completions, and deletions of tasks that somebody had. */
function movementsOf(events: readonly PublishedAtesEvent[]): Movement[] {
  return events.flatMap((event): Movement[] => {
    if (event.dataschema === 'task.assigned.v1') return [{ event, employeeId: event.data.assigneeId, cause: feeCause(assignmentIn(event)), reversed: null }];
    if (event.dataschema === 'task.completed.v1') return [{ event, employeeId: event.data.assigneeId, cause: rewardCause(assignmentIn(event)), reversed: null }];
    if (event.dataschema !== 'task.deleted.v1' || event.data.assigneeId === null) return [];
    const reversed = feeCause(assignmentIn(event));
    return [{ event, employeeId: event.data.assigneeId, cause: reversalCause(reversed), reversed }];
  });
}

function assignmentIn({ subject, data }: TaskMovement) {
  return { taskId: subject, assignmentNumber: data.assignmentNumber };
}

interface Known {
  readonly prices: ReadonlyMap<string, Price>;
  readonly labelOf: (taskId: string) => TaskLabel | undefined;
  /** What was posted before, by cause, of all that is taken back now. */
  readonly posted: ReadonlyMap<string, Reversible>;
  readonly days: PostingDays;
}

/** @throws Error when a fee is to be given back that was never charged: the events of a task come in order, so something is wrong */
function postingsFor(movements: readonly Movement[], { prices, labelOf, posted, days }: Known): Posting[] {
  const together = new Map<string, Posting>();
  for (const { event, employeeId, cause, reversed } of movements) {
    // Of what is told twice the first counts, as it does when the two come in batches of their own.
    if (together.has(cause)) continue;
    const day = days.dayFor(event.data.businessDay);
    const assignment = { ...assignmentIn(event), employeeId, ...day };
    const price = prices.get(event.subject) as Price;
    const identity = { id: newId(), traceparent: event.traceparent };
    if (reversed === null) {
      const posting = event.dataschema === 'task.assigned.v1' ? feeFor(assignment, price, labelOf(event.subject)) : rewardFor(assignment, price, labelOf(event.subject));
      together.set(cause, { ...posting, ...identity });
      continue;
    }
    const charged = together.get(reversed);
    const original = posted.get(reversed) ?? (charged === undefined ? undefined : { ...charged, entryId: null });
    if (original === undefined) throw new Error(`${reversed} was never posted, so it can't be given back: look for the task's assignment among the parked events`);
    together.set(cause, { ...reversalOf(original, { ...day, reason: 'the task was deleted' }), ...identity });
  }
  return [...together.values()];
}
