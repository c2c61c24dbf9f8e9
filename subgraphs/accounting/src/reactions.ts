import { newId } from '@ates/shared-events/new-id';
import type { Sql } from '@ates/service-kit/database';
import { isUserState, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { recordEvents } from '@ates/shared-events/outbox';
import { isAssignable } from '@ates/shared-events/user-events';
import { copyTasks, copyUsers } from './copies.ts';
import { feeCause, feeFor, rewardCause, rewardFor, type Assignment, type Posting, type TaskLabel } from './ledger.ts';
import { lockAccounts, openAccounts, post, type PostedEntry } from './posting.ts';
import { knownTasks, setPrices } from './prices.ts';
import type { Price, RandomBetween } from './pricing.ts';

export interface ReactionOptions {
  readonly clock: () => Date;
  readonly random: RandomBetween;
}

type TaskMovement = Extract<PublishedAtesEvent, { dataschema: 'task.assigned.v1' | 'task.completed.v1' }>;

/** What Accounting does about Users' events: keeps names, and opens an account for everybody who gets tasks. */
export async function reactToUsers(sql: Sql, events: readonly PublishedAtesEvent[]): Promise<void> {
  const users = events.filter(isUserState).map(({ subject, data }) => ({ id: subject, ...data }));
  if (users.length === 0) return;
  await copyUsers(sql, users);
  await openAccounts(sql, users.filter(isAssignable).map(({ id }) => id));
}

/**
 * What Accounting does about Tasks' events: prices each task it hears of, charges the fee of every assignment and pays
 * the reward of every completion, in the order of the events.
 * @returns the entries that were posted, for those who watch
 */
export async function reactToTasks({ clock, random }: ReactionOptions, sql: Sql, events: readonly PublishedAtesEvent[]): Promise<PostedEntry[]> {
  const created = events.filter((event) => event.dataschema === 'task.created.v2');
  const movements = events.filter((event) => event.dataschema === 'task.assigned.v1' || event.dataschema === 'task.completed.v1');
  if (created.length + movements.length === 0) return [];
  const at = clock();
  const copies = created.map(({ subject, data }) => ({ id: subject, number: data.number, ticket: data.ticket, title: data.title }));
  await copyTasks(sql, copies);
  // Two questions that don't wait for each other: they leave in one packet.
  const [known, accounts] = await Promise.all([
    knownTasks(sql, [...new Set([...copies.map(({ id }) => id), ...movements.map(({ subject }) => subject)])]),
    movements.length === 0 ? null : lockAccounts(sql, movements.map(({ data }) => data.assigneeId), movements.map(causeOf)),
  ]);
  const prices = new Map([...known].flatMap(([taskId, { price }]) => (price === undefined ? [] : [[taskId, price] as const])));
  const heardOf = [...created, ...movements].map(({ subject, traceparent }) => ({ taskId: subject, traceparent }));
  const priced = await setPrices(sql, heardOf, prices, { random, at });
  const postings = movements.map((event) => postingFor(event, prices.get(event.subject) as Price, known.get(event.subject)?.label));
  const { posted, events: postedEvents } = accounts === null ? { posted: [], events: [] } : await post(sql, postings, accounts, at);
  await recordEvents(sql, [...priced, ...postedEvents]);
  return posted;
}

function causeOf(event: TaskMovement): string {
  const cause = { taskId: event.subject, assignmentNumber: event.data.assignmentNumber };
  return event.dataschema === 'task.assigned.v1' ? feeCause(cause) : rewardCause(cause);
}

function postingFor(event: TaskMovement, price: Price, label: TaskLabel | undefined): Posting {
  const { assignmentNumber, assigneeId, businessDay } = event.data;
  const assignment: Assignment = { taskId: event.subject, assignmentNumber, employeeId: assigneeId, businessDay };
  const posting = event.dataschema === 'task.assigned.v1' ? feeFor(assignment, price, label) : rewardFor(assignment, price, label);
  return { ...posting, id: newId(), traceparent: event.traceparent };
}
