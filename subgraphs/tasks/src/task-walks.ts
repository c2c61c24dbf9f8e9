import type { TaskStatus } from '@ates/shared-events/task-events';
import { statusesOf, type TaskFilter, type TaskOrder } from './task-filter.ts';

/** A place in a list: when, in the list's order, and which task. */
export interface Place {
  readonly at: Date;
  readonly id: string;
}

/** A search for words, as `tsquery`s. */
export interface Search {
  readonly all: string;
  /** Of its words the one that the fewest tasks have, and how many have it, as far as the planner can tell. */
  readonly rarest: string;
  readonly expected: number;
}

/** What is asked for: everything that a page depends on. */
export interface Asked {
  readonly filter: TaskFilter;
  readonly order: TaskOrder;
  readonly search: Search | null;
  readonly after: Place | null;
  /** So many tasks, at most. */
  readonly limit: number;
}

export interface Statement {
  readonly text: string;
  readonly params: unknown[];
}

/** A walk through the tasks of one status (or of all, where all candidates are looked at), in the list's order. */
export interface Walk {
  /** The first tasks that the filter lets through: id, and `at`, the moment that the list is ordered by. */
  readonly found: Statement;
  /** The place of the last task that the walk looks at; nothing when it comes to its end before that. Null when it leaves nothing out. */
  readonly boundary: Statement | null;
}

/** So many tasks a walk looks at, at most: what bounds the time of a page, whatever the filter. */
const WALK_MAX_TASKS = 750;
/** What is found by words is looked at whole while there are not more than so many. */
const CANDIDATES_MAX = 750;
/** So few that they are looked at first, whatever else is asked for. */
const FEW_CANDIDATES = 300;

/** What lists are ordered by, and in which direction. */
const ORDERS = {
  NEWEST: { column: 'created_at', direction: 'desc', after: '<' },
  OLDEST: { column: 'created_at', direction: 'asc', after: '>' },
  LATEST_COMPLETED: { column: 'completed_at', direction: 'desc', after: '<' },
} as const;

/** Along which index a list is walked. */
type Way = 'TICKET' | 'HOLDER' | 'WORDS' | 'ALONG_TASKS';

/**
 * The walks of a page. Which way to go is decided here and not by the planner, which takes what it does not know for rare or evenly
 * spread, and then reads a whole table: along the ticket; the holder; few words; else the creator, or all tasks.
 */
export function walksOf(asked: Asked): Walk[] {
  const { filter, order, search } = asked;
  const statuses = statusesOf(filter, order);
  const way = wayFor(asked);
  if (way === 'WORDS') return search === null ? [] : [candidates(asked, search, statuses)];
  return statuses.map((status) => walk(asked, way, status));
}

function wayFor({ filter, order, search }: Asked): Way {
  const isByCreation = order !== 'LATEST_COMPLETED';
  if (search !== null && search.expected <= FEW_CANDIDATES) return 'WORDS';
  if (filter.ticket != null && isByCreation) return 'TICKET';
  if ((filter.assigneeId != null || filter.unassigned === true) && isByCreation) return 'HOLDER';
  if (search !== null && search.expected <= CANDIDATES_MAX && filter.creatorId == null && filter.assigneeId == null) return 'WORDS';
  return 'ALONG_TASKS';
}

/** Collects the values of a statement while it is written. */
function binder(): { readonly params: unknown[]; readonly bind: Bind } {
  const params: unknown[] = [];
  return { params, bind: (value, type) => `$${params.push(value)}::${type}` };
}

type Bind = (value: unknown, type: string) => string;
/** A condition on a row that goes by the name `row`. */
type Condition = (bind: Bind, row: string) => string;

/** Conditions on a task itself. */
function conditionsOf(asked: Asked) {
  const { search } = asked;
  const { creatorId, ticket, createdFrom, createdBefore } = asked.filter;
  return {
    creator: creatorId == null ? [] : [((bind, row) => `${row}.creator_id = ${bind(creatorId, 'uuid')}`) as Condition],
    ticket: ticket == null ? [] : [((bind, row) => `lower(${row}.ticket) = lower(${bind(ticket.trim(), 'text')})`) as Condition],
    words: search === null ? [] : [((bind, row) => `${row}.words @@ ${bind(search.all, 'tsquery')}`) as Condition],
    // Behind a place of the list one of them says nothing more; to an index it would hide from where on to read.
    created: [
      ...(createdFrom == null || isBehind(asked, 'OLDEST') ? [] : [((bind, row) => `${row}.created_at >= ${bind(createdFrom, 'timestamptz')}`) as Condition]),
      ...(createdBefore == null || isBehind(asked, 'NEWEST') ? [] : [((bind, row) => `${row}.created_at < ${bind(createdBefore, 'timestamptz')}`) as Condition]),
    ],
  };
}

/** Conditions on who has it. */
function holderConditions({ filter: { assigneeId, unassigned } }: Asked): Condition[] {
  return [
    ...(assigneeId == null ? [] : [((bind, row) => `${row}.assignee_id = ${bind(assigneeId, 'uuid')}`) as Condition]),
    ...(unassigned == null ? [] : [((_bind, row) => `${row}.assignee_id is ${unassigned ? '' : 'not '}null`) as Condition]),
  ];
}

/** That the row's other half, in the other table, is so. */
function exists(table: 'tasks' | 'task_holders', conditions: readonly Condition[]): Condition[] {
  if (conditions.length === 0) return [];
  const key = table === 'tasks' ? 'id' : 'task_id';
  return [(bind, row) => `exists (select from ${table} as half where ${[`half.${key} = ${row}.id`, ...conditions.map((condition) => condition(bind, 'half'))].join(' and ')})`];
}

/** Whether the list is still before its bound, so that the bound says where it goes on. */
function isBefore({ order, after, filter: { createdFrom, createdBefore } }: Pick<Asked, 'order' | 'after' | 'filter'>): boolean {
  if (after === null) return false;
  return order === 'NEWEST' ? createdBefore != null && after.at >= createdBefore : order === 'OLDEST' && createdFrom != null && after.at < createdFrom;
}

/** Whether the list has come past its bound: going on behind that place keeps to it. */
function isBehind({ order, after, filter: { createdFrom, createdBefore } }: Asked, direction: 'NEWEST' | 'OLDEST'): boolean {
  if (after === null || order !== direction) return false;
  return direction === 'NEWEST' ? createdBefore != null && after.at < createdBefore : createdFrom != null && after.at >= createdFrom;
}

/** That it comes behind a place of the list; where a bound is further on, that is enough. */
function behind({ order, after, filter }: Asked, key: string): Condition[] {
  const { column, after: isAfter } = ORDERS[order];
  return after === null || isBefore({ order, after, filter }) ? [] : [(bind, row) => `(${row}.${column}, ${row}.${key}) ${isAfter} (${bind(after.at, 'timestamptz')}, ${bind(after.id, 'uuid')})`];
}

function where(conditions: readonly Condition[], bind: Bind, row: string): string {
  return conditions.map((condition) => ` and ${condition(bind, row)}`).join('');
}

/** What an index has, from the place on; and what has to be looked up for each task that is walked past. */
function partsOf(asked: Asked, way: Exclude<Way, 'WORDS'>): { readonly along: readonly Condition[]; readonly checks: readonly Condition[] } {
  const { creator, ticket, words, created } = conditionsOf(asked);
  const holder = holderConditions(asked);
  const { assigneeId } = asked.filter;
  // Who made it is in the holders' index too.
  if (way === 'HOLDER') return { along: [...holder, ...created, ...behind(asked, 'task_id')], checks: [...creator, ...exists('tasks', [...ticket, ...words])] };
  if (way === 'TICKET') return { along: [...ticket, ...created, ...behind(asked, 'id')], checks: [...creator, ...words, ...exists('task_holders', holder)] };
  if (asked.order !== 'LATEST_COMPLETED') return { along: [...creator, ...created, ...behind(asked, 'id')], checks: [...ticket, ...words, ...exists('task_holders', holder)] };
  // Of what is done, the task itself knows who had it last; it is indexed by them and by its creator, one or the other.
  const doneBy = assigneeId == null ? [] : [((bind, row) => `${row}.completed_by = ${bind(assigneeId, 'uuid')}`) as Condition];
  const [first, second] = doneBy.length > 0 ? [doneBy, creator] : [creator, []];
  const hasNobody = asked.filter.unassigned === true ? [(() => 'false') as Condition] : [];
  return { along: [...first, ...hasNobody, ...behind(asked, 'id')], checks: [...second, ...ticket, ...words, ...created] };
}

function walk(asked: Asked, way: Exclude<Way, 'WORDS'>, status: TaskStatus): Walk {
  const { column, direction } = ORDERS[asked.order];
  const { along, checks } = partsOf(asked, way);
  const [table, key, columns] = way === 'HOLDER' ? ['task_holders', 'task_id', 'task_id as id, creator_id'] : ['tasks', 'id', 'tasks.*'];
  const walked = (bind: Bind): string =>
    `select ${columns}, ${table}.${column} as at from ${table} where status = '${status}'${where(along, bind, table)} order by ${table}.${column} ${direction}, ${key} ${direction}`;
  const found = binder();
  const bound = binder();
  const looksAt = checks.length === 0 ? asked.limit : WALK_MAX_TASKS;
  return {
    found: {
      text: `select id, at from (${walked(found.bind)} limit ${looksAt}) as walked where true${where(checks, found.bind, 'walked')} order by at ${direction}, id ${direction} limit ${found.bind(asked.limit, 'int')}`,
      params: found.params,
    },
    boundary: checks.length === 0 ? null : { text: `select id, at from (${walked(bound.bind)} offset ${WALK_MAX_TASKS - 1} limit 1) as last`, params: bound.params },
  };
}

/** All that have the rarest of the words, since they are few: those of them that have all words, in the list's order. */
function candidates(asked: Asked, search: Search, statuses: readonly TaskStatus[]): Walk {
  const { column, direction } = ORDERS[asked.order];
  const { creator, ticket, created } = conditionsOf(asked);
  const { params, bind } = binder();
  // The index is asked for that one alone: to gather all that have a common word would take longer than to look at these.
  const among = `select id, status, creator_id, ticket, created_at, completed_at, words @@ ${bind(search.all, 'tsquery')} as has_all from tasks where words @@ ${bind(search.rarest, 'tsquery')}`;
  const conditions = [...creator, ...ticket, ...created, ...exists('task_holders', holderConditions(asked)), ...behind(asked, 'id')];
  const text = `with walked as materialized (${among})
    select id, ${column} as at from walked where has_all and status in (${statuses.map((status) => `'${status}'`).join(', ')})${where(conditions, bind, 'walked')}
    order by ${column} ${direction}, id ${direction} limit ${bind(asked.limit, 'int')}`;
  return { found: { text, params }, boundary: null };
}
