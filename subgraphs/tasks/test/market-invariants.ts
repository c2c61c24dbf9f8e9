import { expect } from '@jest/globals';
import type { Database } from '@ates/service-kit/database';
import { definitionOf } from '@ates/shared-events/catalog';
import { assertContract } from '@ates/shared-events/event';
import type { TaskStatus } from '@ates/shared-events/task-events';

/** A task with all that its events tell. */
export interface TaskRecord {
  readonly id: string;
  readonly number: number;
  ticket: string | null;
  title: string;
  readonly description: string;
  readonly creatorId: string;
  readonly createdAt: Date;
  status: TaskStatus;
  version: number;
  textVersion: number;
  assigneeId: string | null;
  assignmentNumber: number;
  completedBy: string | null;
  completedAt: Date | null;
  completedDay: string | null;
  deletedAt: Date | null;
  deletedDay: string | null;
}

export interface AssignmentRecord {
  readonly taskId: string;
  readonly assignmentNumber: number;
  readonly assigneeId: string;
  readonly businessDay: string;
  readonly assignedAt: Date;
}

export interface DayRecord {
  readonly day: string;
  endsAt: Date;
  endedAt: Date | null;
  assignments: number;
  completions: number;
  deletions: number;
  lastTaskNumber: number;
}

export interface UserRecord {
  readonly id: string;
  readonly name: string;
  readonly assignable: boolean;
}

/** The market's tables: tasks by number, everything else by its key. */
export interface MarketRecords {
  readonly tasks: readonly TaskRecord[];
  readonly assignments: readonly AssignmentRecord[];
  readonly days: readonly DayRecord[];
  readonly users: readonly UserRecord[];
}

/** One that tells what callers see of a task that nothing has happened to. */
export const NOTHING_YET = { status: 'OPEN', version: 1, textVersion: 1, assigneeId: null, assignmentNumber: 0, completedBy: null, completedAt: null, completedDay: null, deletedAt: null, deletedDay: null } as const;

interface OutboxRow {
  readonly subject: string;
  readonly version: number;
  readonly type: string;
  readonly dataschema: string;
  readonly data: Record<string, any>;
}

/** As they are stored. A task whose two rows differ about what both hold is missing. */
export async function storedMarket({ sql }: Database): Promise<MarketRecords> {
  const [tasks, assignments, days, users] = await Promise.all([
    sql<TaskRecord>(
      `select id, number, ticket, title, description, tasks.creator_id as "creatorId", tasks.created_at as "createdAt", tasks.status, version, text_version as "textVersion",
         assignee_id as "assigneeId", assignment_number as "assignmentNumber", completed_by as "completedBy", completed_at as "completedAt",
         completed_business_day as "completedDay", deleted_at as "deletedAt", deleted_business_day as "deletedDay"
       from tasks join task_holders as holder on task_id = id and holder.status = tasks.status and holder.created_at = tasks.created_at and holder.creator_id = tasks.creator_id order by number`,
    ),
    sql<AssignmentRecord>(
      `select task_id as "taskId", assignment_number as "assignmentNumber", assignee_id as "assigneeId", business_day as "businessDay", assigned_at as "assignedAt"
       from assignments order by task_id, assignment_number`,
    ),
    // What a day that has ended still counts beside its marker would show here.
    sql<DayRecord>(
      `select day, ends_at as "endsAt", ended_at as "endedAt", coalesce(ended.assignments, 0) + counted.assignments as assignments,
         coalesce(ended.completions, 0) + counted.completions as completions, coalesce(ended.deletions, 0) + counted.deletions as deletions,
         greatest(ended.last_task_number, counted.last_task_number) as "lastTaskNumber"
       from business_days as ended, lateral (
         select coalesce(sum(assignments), 0)::int as assignments, coalesce(sum(completions), 0)::int as completions,
           coalesce(sum(deletions), 0)::int as deletions, coalesce(max(last_task_number), 0) as last_task_number
         from business_day_counts where day = ended.day) as counted order by day`,
    ),
    sql<UserRecord>('select user_id as id, name, assignable from user_copies order by user_id'),
  ]);
  return { tasks, assignments, days, users };
}

/** What must hold whenever nothing is under way: of the events by themselves, and of them and the tables together. */
export async function checkInvariants(database: Database): Promise<void> {
  const events = await database.sql<OutboxRow>('select aggregate_id as subject, version, type, dataschema, data from outbox order by seq');
  const stored = await storedMarket(database);
  for (const { dataschema, data } of events) assertContract(definitionOf(dataschema), data);
  checkVersions(events);
  checkShuffles(events);
  checkDays(events, stored.days);
  expect(fold(events)).toEqual({ tasks: stored.tasks, assignments: stored.assignments });
  checkHolders(stored);
}

function checkVersions(events: readonly OutboxRow[]): void {
  for (const own of Map.groupBy(events, ({ subject }) => subject).values()) {
    const counted = own.map((_, index) => index + 1);
    expect(own.map(({ version }) => version)).toEqual(counted);
    expect(own.map(({ data }) => data['version'])).toEqual(counted);
  }
}

/** Each shuffle tells how many tasks it has assigned, all of one moment, and none of them twice. */
function checkShuffles(events: readonly OutboxRow[]): void {
  const assignments = Map.groupBy(ofType(events, 'task.assigned').filter(({ data }) => data['shuffleId'] !== undefined), ({ data }) => data['shuffleId']);
  const found = [...assignments].map(([shuffleId, own]) => ({
    shuffleId,
    assigned: new Set(own.map(({ subject }) => subject)).size,
    events: own.length,
    moments: [...new Set(own.map(({ data }) => `${data['businessDay']} ${data['assignedAt']}`))],
  }));
  const told = ofType(events, 'tasks.shuffled').map(({ subject, data: { assigned, businessDay, shuffledAt } }) => ({
    shuffleId: subject,
    assigned,
    events: assigned,
    moments: [`${businessDay} ${shuffledAt}`],
  }));
  expect(found.toSorted(byShuffle)).toEqual(told.toSorted(byShuffle));
}

/** Markers come once and in the order of days, nothing of a day comes after its marker, and everybody counts alike. */
function checkDays(events: readonly OutboxRow[], days: readonly DayRecord[]): void {
  const markers = ofType(events, 'tasks.day_ended').map(({ data }) => data);
  const ended = days.flatMap(({ day, endedAt, assignments, completions, deletions, lastTaskNumber }) =>
    endedAt === null ? [] : [{ version: 1, businessDay: day, endedAt: endedAt.toISOString(), assignments, completions, deletions, lastTaskNumber }],
  );
  expect(markers).toEqual(ended);
  const over = new Set<string>();
  const late = events.filter(({ type, data: { businessDay } }) => {
    if (type !== 'tasks.day_ended') return over.has(businessDay);
    over.add(businessDay);
    return false;
  });
  expect(late).toEqual([]);
  const stamped = Map.groupBy(events, ({ type, data }) => `${type} ${data['businessDay']}`);
  const count = (type: string, day: string): number => stamped.get(`${type} ${day}`)?.length ?? 0;
  const counted = days.map(({ day }) => ({ day, assignments: count('task.assigned', day), completions: count('task.completed', day), deletions: count('task.deleted', day) }));
  expect(days.map(({ day, assignments, completions, deletions }) => ({ day, assignments, completions, deletions }))).toEqual(counted);
  const [assigned, known] = [ofType(events, 'task.assigned').length, days.reduce((sum, { assignments }) => sum + assignments, 0)];
  expect(known).toBe(assigned);
}

/** Whoever gets tasks gets all of them. */
function checkHolders({ tasks, users }: MarketRecords): void {
  const assignable = new Set(users.flatMap((user) => (user.assignable ? [user.id] : [])));
  if (assignable.size === 0) return;
  expect(tasks.filter(({ status, assigneeId }) => status === 'OPEN' && (assigneeId === null || !assignable.has(assigneeId)))).toEqual([]);
}

/** What whoever hears nothing but the events knows of tasks. */
function fold(events: readonly OutboxRow[]): Pick<MarketRecords, 'tasks' | 'assignments'> {
  const tasks = new Map<string, TaskRecord>();
  const assignments: AssignmentRecord[] = [];
  for (const event of events.filter(({ type }) => type.startsWith('task.'))) {
    const { subject, version, type, data } = event;
    if (type === 'task.created') {
      const { number, ticket, title, description, creatorId, createdAt } = data;
      expect([version, data['status'], tasks.has(subject)]).toEqual([1, 'OPEN', false]);
      tasks.set(subject, { ...NOTHING_YET, id: subject, number, ticket, title, description, creatorId, createdAt: new Date(createdAt) });
      continue;
    }
    const task = tasks.get(subject);
    if (task === undefined) throw new Error(`${type} of ${subject} comes before its task.created`);
    task.version = version;
    if (type === 'task.updated') foldUpdate(task, data);
    else if (type === 'task.assigned') assignments.push(foldAssignment(task, data));
    else foldEnd(task, type, data);
  }
  return {
    tasks: [...tasks.values()].toSorted((one, other) => one.number - other.number),
    assignments: assignments.toSorted((one, other) => order(one.taskId, other.taskId) || one.assignmentNumber - other.assignmentNumber),
  };
}

function foldUpdate(task: TaskRecord, { ticket, title, version, updatedBy, updatedAt, ...same }: OutboxRow['data']): void {
  const { number, description, status, creatorId, createdAt, assigneeId } = task;
  expect(same).toEqual({ number, description, status, creatorId, assigneeId, createdAt: createdAt.toISOString() });
  expect([task.version, typeof updatedBy, typeof updatedAt]).toEqual([version, 'string', 'string']);
  Object.assign(task, { ticket, title, textVersion: task.textVersion + 1 });
}

/** Only who has nothing more to do with an open task has an assignment follow theirs. */
function foldAssignment(task: TaskRecord, { assigneeId, previousAssigneeId, assignmentNumber, businessDay, assignedAt }: OutboxRow['data']): AssignmentRecord {
  expect({ status: 'OPEN', previousAssigneeId, assignmentNumber }).toEqual({ status: task.status, previousAssigneeId: task.assigneeId, assignmentNumber: task.assignmentNumber + 1 });
  Object.assign(task, { assigneeId, assignmentNumber });
  return { taskId: task.id, assignmentNumber, assigneeId, businessDay, assignedAt: new Date(assignedAt) };
}

/** A completion or a deletion is of the last assignment, and comes once. */
function foldEnd(task: TaskRecord, type: string, { assigneeId, assignmentNumber, businessDay, completedAt, deletedAt }: OutboxRow['data']): void {
  expect({ status: 'OPEN', assigneeId, assignmentNumber }).toEqual({ status: task.status, assigneeId: task.assigneeId, assignmentNumber: task.assignmentNumber });
  if (type === 'task.completed') Object.assign(task, { status: 'DONE', completedBy: assigneeId, completedAt: new Date(completedAt), completedDay: businessDay });
  else Object.assign(task, { status: 'DELETED', deletedAt: new Date(deletedAt), deletedDay: businessDay });
}

function ofType(events: readonly OutboxRow[], wanted: string): OutboxRow[] {
  return events.filter(({ type }) => type === wanted);
}

const order = (one: string, other: string): number => Number(one > other) - Number(one < other);
const byShuffle = (one: { readonly shuffleId: string }, other: { readonly shuffleId: string }): number => order(one.shuffleId, other.shuffleId);
