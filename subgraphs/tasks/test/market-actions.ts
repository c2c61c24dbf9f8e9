import type { Database } from '@ates/service-kit/database';
import { DomainError, type ErrorCode } from '@ates/service-kit/domain-error';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { newEvent, type EventDefinition } from '@ates/shared-events/event';
import {
  userCreatedV1,
  userDeactivatedV1,
  userDeletedV1,
  userReactivatedV1,
  userRoleChangedV1,
  userUpdatedV1,
  type Role,
  type UserStatus,
} from '@ates/shared-events/user-events';
import fc from 'fast-check';
import { endEarly, endElapsedDays } from '../src/business-day.ts';
import { reactToUsers } from '../src/reactions.ts';
import { shuffleTasks } from '../src/shuffle.ts';
import { assignTask, completeTask, createTask, type TaskCommandOptions } from '../src/task-commands.ts';
import { deleteTask, updateTask } from '../src/task-edits.ts';
import type { TaskRow } from '../src/task-queries.ts';
import type { RandomIndex } from '../src/task.ts';

export const HOUR_MS = 3_600_000;
/** Never moves its clocks, and has its midnight when UTC has not. */
export const TIME_ZONE = 'Asia/Tokyo';
const OFFSET_MS = 9 * HOUR_MS;

/** Users are numbered from 0; this one never arrives. */
const NEVER_ARRIVES = 6;
const LANES = 2;
const NO_TASK = '01a1f8f1-0000-7000-8000-0000000000ff';
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
/** So many things happen at once. */
const BATCH = { minLength: 2, maxLength: 8, size: 'max' } as const;
/** What people do is about one of the newest tasks, so that they meet. */
const LATEST_TASKS = 6;

/** What people write, and what is to become of it. */
export const TITLES = [
  { written: 'Feed the parrot', ticket: null, title: 'Feed the parrot' },
  { written: '[POPUG-7] Count the seeds', ticket: 'POPUG-7', title: 'Count the seeds' },
  { written: 'Count the seeds', ticket: null, title: 'Count the seeds' },
  { written: 'Open [the] cage', refused: true },
] as const;

export type UserChange = 'ARRIVE' | 'RENAME' | 'DEACTIVATE' | 'REACTIVATE' | 'BECOME_MANAGER' | 'BECOME_EMPLOYEE' | 'DELETE';

/** Somebody by number, or whoever has the task. */
export type Who = number | 'ASSIGNEE';
/** Which version of the task an editor says that they have seen. */
export type Seen = 'UNSAID' | 'RIGHT' | 'STALE';

/** What happens to the market. Tasks count from the newest back, and begin anew there when there are fewer. */
export type Action =
  | { readonly does: 'CHANGE_USERS'; readonly lane: number; readonly changes: readonly { readonly user: number; readonly how: UserChange }[] }
  | { readonly does: 'CREATE'; readonly by: number; readonly title: number }
  | { readonly does: 'UPDATE'; readonly task: number; readonly title: number; readonly seen: Seen }
  | { readonly does: 'ASSIGN'; readonly task: number; readonly to: Who }
  | { readonly does: 'SHUFFLE' }
  | { readonly does: 'COMPLETE'; readonly task: number; readonly by: Who }
  | { readonly does: 'DELETE'; readonly task: number; readonly seen: Seen }
  | { readonly does: 'WAIT'; readonly hours: number }
  | { readonly does: 'END_DAYS' }
  | { readonly does: 'END_EARLY'; readonly daysFromToday: number };

/** What happens to one task. */
export type AboutTask = Extract<Action, { readonly task: number }>;

/** How an action ended; what is refused has its code. */
export type Outcome = { readonly done: unknown } | { readonly refused: ErrorCode };

/** What somebody sees of a task before they do something about it. */
export type KnownTask = Pick<TaskRow, 'id' | 'assigneeId' | 'textVersion'>;

/** The real thing, and the clock, the chance and the service of users around it. */
export interface World {
  readonly database: Database;
  readonly random: RandomIndex;
  readonly users: Users;
  /** The last reaction to each lane's users: a partition's events come one batch after the other. */
  readonly lanes: Promise<unknown>[];
  /** In milliseconds, as the clock that all others are set by shows it. */
  now: number;
}

export function newWorld(database: Database, random: RandomIndex): World {
  return { database, random, users: new Users(), lanes: [], now: Date.parse('2026-11-20T03:00:00Z') };
}

/** Reproducible chance. */
export function chance(seed: number): RandomIndex {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export function userId(user: number): string {
  return `01a1f8f1-0000-7000-8000-00000000000${user}`;
}

/** The calendar date at a moment, in the market's time zone. */
export function dateOf(moment: number): string {
  return new Date(moment + OFFSET_MS).toISOString().slice(0, 10);
}

export function startOf(day: string): number {
  return Date.parse(day) - OFFSET_MS;
}

/** The task that an action is about, of all in the order of their numbers; none when there is none. */
export function taskAt<Task>(tasks: readonly Task[], place: number): Task | undefined {
  return tasks.at(-1 - (place % Math.max(tasks.length, 1)));
}

/** Who it is; nobody who ever comes when it is the assignee of what nobody has. */
export function idOf(who: Who, task: { readonly assigneeId: string | null } | undefined): string {
  return who === 'ASSIGNEE' ? (task?.assigneeId ?? userId(NEVER_ARRIVES)) : userId(who);
}

interface User {
  readonly name: string;
  readonly roles: Role[];
  readonly status: UserStatus;
}

const CHANGES: Readonly<Record<UserChange, { readonly events: readonly EventDefinition[]; readonly after: Partial<User> }>> = {
  ARRIVE: { events: [userUpdatedV1], after: {} },
  RENAME: { events: [userUpdatedV1], after: { name: 'Somebody else' } },
  DEACTIVATE: { events: [userDeactivatedV1], after: { status: 'DEACTIVATED' } },
  REACTIVATE: { events: [userReactivatedV1], after: { status: 'ACTIVE' } },
  BECOME_MANAGER: { events: [userUpdatedV1, userRoleChangedV1], after: { roles: ['EMPLOYEE', 'MANAGER'] } },
  BECOME_EMPLOYEE: { events: [userUpdatedV1, userRoleChangedV1], after: { roles: ['EMPLOYEE', 'ACCOUNTANT'] } },
  DELETE: { events: [userDeletedV1], after: { status: 'DELETED', name: 'A popug who is gone' } },
};

/** What stands in for Users: knows its users, and tells what happens to them. */
export class Users {
  readonly #users = new Map<number, User & { readonly version: number }>();

  /** The first change of all brings them, and nothing happens to who is deleted. @returns the events, in order */
  change(user: number, how: UserChange): PublishedAtesEvent[] {
    const before = this.#users.get(user);
    if (before?.status === 'DELETED') return [];
    if (before === undefined) return [this.#tell(user, userCreatedV1, { name: `Popug ${user}`, roles: ['EMPLOYEE'], status: 'ACTIVE' })];
    const { events, after } = CHANGES[how];
    return events.map((definition) => this.#tell(user, definition, { ...before, ...after }, before.roles));
  }

  #tell(user: number, definition: EventDefinition, { name, roles, status }: User, previousRoles?: readonly Role[]): PublishedAtesEvent {
    const version = (this.#users.get(user)?.version ?? 0) + 1;
    this.#users.set(user, { version, name, roles, status });
    const data = { version, name, email: `popug-${user}@ates.test`, roles, status, ...(definition === userRoleChangedV1 && { previousRoles }) };
    const event = newEvent(definition, userId(user), data, { time: new Date(), traceparent: TRACEPARENT });
    return { ...event, sequence: '1' } as unknown as PublishedAtesEvent;
  }
}

const changeOfUsers = fc
  .record({
    lane: fc.nat({ max: LANES - 1 }),
    changes: fc.array(
      fc.record({
        nth: fc.nat({ max: NEVER_ARRIVES / LANES - 1 }),
        how: fc.constantFrom<UserChange[]>('ARRIVE', 'RENAME', 'DEACTIVATE', 'REACTIVATE', 'REACTIVATE', 'BECOME_MANAGER', 'BECOME_EMPLOYEE', 'BECOME_EMPLOYEE', 'DELETE'),
      }),
      { minLength: 1, maxLength: 4, size: 'max' },
    ),
  })
  .map(({ lane, changes }) => ({ does: 'CHANGE_USERS' as const, lane, changes: changes.map(({ nth, how }) => ({ user: nth * LANES + lane, how })) }));

const task = fc.nat({ max: LATEST_TASKS - 1 });
const user = fc.nat({ max: NEVER_ARRIVES });
const title = fc.nat({ max: TITLES.length - 1 });
const who = fc.oneof({ arbitrary: fc.constant('ASSIGNEE' as const), weight: 3 }, { arbitrary: user, weight: 2 });
const seen = fc.constantFrom<Seen[]>('UNSAID', 'RIGHT', 'STALE');
const does = <Does extends Action['does']>(what: Does) => fc.constant(what);

const ACTIONS = {
  CHANGE_USERS: changeOfUsers,
  CREATE: fc.record({ does: does('CREATE'), by: user, title }),
  UPDATE: fc.record({ does: does('UPDATE'), task, title, seen }),
  ASSIGN: fc.record({ does: does('ASSIGN'), task, to: fc.oneof({ arbitrary: user, weight: 4 }, fc.constant('ASSIGNEE' as const)) }),
  SHUFFLE: fc.record({ does: does('SHUFFLE') }),
  COMPLETE: fc.record({ does: does('COMPLETE'), task, by: who }),
  DELETE: fc.record({ does: does('DELETE'), task, seen }),
  WAIT: fc.record({ does: does('WAIT'), hours: fc.integer({ min: 1, max: 30 }) }),
  END_DAYS: fc.record({ does: does('END_DAYS') }),
  END_EARLY: fc.record({ does: does('END_EARLY'), daysFromToday: fc.integer({ min: -1, max: 1 }) }),
} satisfies { readonly [Does in Action['does']]: fc.Arbitrary<Action & { readonly does: Does }> };

const often = (weights: Readonly<Record<Action['does'], number>>): fc.Arbitrary<Action> =>
  fc.oneof(...Object.entries(weights).map(([what, weight]) => ({ weight, arbitrary: ACTIONS[what as Action['does']] as fc.Arbitrary<Action> })));

export const anyAction = often({ CHANGE_USERS: 4, CREATE: 6, UPDATE: 3, ASSIGN: 4, SHUFFLE: 3, COMPLETE: 4, DELETE: 2, WAIT: 2, END_DAYS: 2, END_EARLY: 1 });

/** All about one task and one user: who gets it while they come or go, and who is done with it first. */
export const narrowBatch = fc
  .record({
    actions: fc.array(often({ CHANGE_USERS: 6, CREATE: 1, UPDATE: 1, ASSIGN: 6, SHUFFLE: 2, COMPLETE: 2, DELETE: 1, WAIT: 0, END_DAYS: 1, END_EARLY: 0 }), BATCH),
    place: fc.nat({ max: 1 }),
    about: fc.nat({ max: NEVER_ARRIVES - 1 }),
  })
  .map(({ actions, place, about }) => actions.map((action) => narrowed(action, place, about)));

export const anyBatch = fc.array(anyAction, BATCH);

function narrowed(action: Action, place: number, about: number): Action {
  if (action.does === 'CHANGE_USERS') return { ...action, lane: about % LANES, changes: action.changes.map(({ how }) => ({ user: about, how })) };
  if (action.does === 'ASSIGN') return { ...action, task: place, to: about };
  return 'task' in action ? { ...action, task: place } : action;
}

const REFUSALS: readonly ErrorCode[] = ['CONFLICT', 'FORBIDDEN', 'BAD_USER_INPUT', 'NOT_FOUND'];

/**
 * Does it in the real market.
 * @param tasks what there was to see of all tasks before, by number
 * @param skewMs how far the clock of the replica that does it is from all others'
 * @throws whatever no caller should ever meet
 */
export async function perform(world: World, action: Action, tasks: readonly KnownTask[], skewMs = 0): Promise<Outcome> {
  const clock = () => new Date(world.now + skewMs);
  const options = { database: world.database, timeZone: TIME_ZONE, clock, random: world.random };
  try {
    if (action.does === 'CHANGE_USERS') return { done: await changeUsers(world, options, action) };
    if ('task' in action) return { done: summaryOf(await aboutTask(options, action, taskAt(tasks, action.task))) };
    return { done: await aboutMarket(world, options, action) };
  } catch (error) {
    if (error instanceof DomainError && REFUSALS.includes(error.code)) return { refused: error.code };
    throw error;
  }
}

/** Of a task what callers are told. */
export function summaryOf({ id, number, status, version, textVersion, assigneeId, assignmentNumber }: Omit<TaskRow, 'createdAt' | 'completedAt' | 'fee' | 'reward'>): object {
  return { id, number, status, version, textVersion, assigneeId, assignmentNumber };
}

type AboutMarket = Exclude<Action, AboutTask | { readonly does: 'CHANGE_USERS' }>;

async function changeUsers({ database, users, lanes }: World, options: TaskCommandOptions, { lane, changes }: Action & { readonly does: 'CHANGE_USERS' }): Promise<null> {
  const events = changes.flatMap(({ user: whom, how }) => users.change(whom, how));
  const reaction = (lanes[lane] ?? Promise.resolve()).then(() => database.sqlTransaction((sql) => reactToUsers(options, sql, events)));
  // Who comes next waits for it, however it ends.
  lanes[lane] = reaction.catch(() => undefined);
  await reaction;
  return null;
}

async function aboutTask(options: TaskCommandOptions, action: AboutTask, known: KnownTask | undefined): Promise<TaskRow> {
  const id = known?.id ?? NO_TASK;
  const expectedVersion = 'seen' in action && action.seen !== 'UNSAID' && known !== undefined ? known.textVersion - (action.seen === 'STALE' ? 1 : 0) : null;
  if (action.does === 'UPDATE') return updateTask(options, userId(0), id, { title: TITLES[action.title]?.written ?? null, expectedVersion });
  if (action.does === 'ASSIGN') return assignTask(options, id, idOf(action.to, known));
  if (action.does === 'COMPLETE') return completeTask(options, idOf(action.by, known), id);
  return deleteTask(options, userId(0), id, expectedVersion);
}

async function aboutMarket(world: World, options: TaskCommandOptions, action: AboutMarket): Promise<unknown> {
  const { database, clock } = options;
  if (action.does === 'CREATE') return summaryOf(await createTask(options, userId(action.by), { title: TITLES[action.title]?.written ?? '', description: '' }));
  if (action.does === 'SHUFFLE') return shuffleTasks(options, userId(0));
  if (action.does === 'END_DAYS') return endElapsedDays(database, TIME_ZONE, clock);
  if (action.does === 'WAIT') {
    world.now += action.hours * HOUR_MS;
    return null;
  }
  const day = dateOf(clock().getTime() + action.daysFromToday * 24 * HOUR_MS);
  const mayEnd = await database.sqlTransaction((sql) => endEarly(sql, day, TIME_ZONE, clock()));
  return { mayEnd, ended: await endElapsedDays(database, TIME_ZONE, clock) };
}
