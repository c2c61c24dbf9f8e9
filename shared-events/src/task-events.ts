import Type, { type Static } from 'typebox';
import { defineEvent } from './event.ts';

const Id = Type.String({ format: 'uuid' });
const Moment = Type.String({ format: 'date-time' });
const Day = Type.String({ format: 'date' });

export const TaskStatusSchema = Type.Union([Type.Literal('OPEN'), Type.Literal('DONE'), Type.Literal('DELETED')]);
export type TaskStatus = Static<typeof TaskStatusSchema>;

/** The whole public state of a new task. The title is in the old style: `[ticket] title` where there is a ticket. */
export const taskCreatedV1 = defineEvent('tasks', 'task.created', 1, {
  number: Type.Integer({ minimum: 1 }),
  title: Type.String(),
  description: Type.String(),
  status: TaskStatusSchema,
  creatorId: Id,
  createdAt: Moment,
});

/** A task got an assignee, for the `assignmentNumber`-th time: this is what is charged. */
export const taskAssignedV1 = defineEvent('tasks', 'task.assigned', 1, {
  assignmentNumber: Type.Integer({ minimum: 1 }),
  assigneeId: Id,
  previousAssigneeId: Type.Union([Id, Type.Null()]),
  businessDay: Day,
  assignedAt: Moment,
});

/** The assignee of the last assignment has done the task: this is what is rewarded. */
export const taskCompletedV1 = defineEvent('tasks', 'task.completed', 1, {
  assignmentNumber: Type.Integer({ minimum: 1 }),
  assigneeId: Id,
  businessDay: Day,
  completedAt: Moment,
});

/** The marker of a business day's end: nothing stamped with that day follows it in the stream. The subject is the day's own id. */
export const tasksDayEndedV1 = defineEvent('tasks', 'tasks.day_ended', 1, {
  businessDay: Day,
  endedAt: Moment,
  /** Highest task number given by then; 0 when there is no task yet. */
  lastTaskNumber: Type.Integer({ minimum: 0 }),
  /** How many assignments and completions are stamped with the day. */
  assignments: Type.Integer({ minimum: 0 }),
  completions: Type.Integer({ minimum: 0 }),
});

const TICKETED_TITLE = /^\s*\[([^[\]]+)\]\s*(.*)$/s;

/** Splits an old-style title, `[POPUG-12] Feed the parrot`, into ticket and title. */
export function splitTicket(titled: string): { readonly ticket: string | null; readonly title: string } {
  const parts = TICKETED_TITLE.exec(titled);
  if (parts?.[1] === undefined || parts[2] === undefined) return { ticket: null, title: titled };
  return { ticket: parts[1].trim(), title: parts[2].trim() };
}

/** The old-style title that carries the ticket. */
export function joinTicket(ticket: string | null, title: string): string {
  return ticket === null ? title : `[${ticket}] ${title}`;
}
