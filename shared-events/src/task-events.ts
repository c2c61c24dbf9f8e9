import Type, { type Static } from 'typebox';
import { defineEvent, type EventOf } from './event.ts';

const Id = Type.String({ format: 'uuid' });
const Moment = Type.String({ format: 'date-time' });
const Day = Type.String({ format: 'date' });

export const TaskStatusSchema = Type.Union([Type.Literal('OPEN'), Type.Literal('DONE'), Type.Literal('DELETED')]);
export type TaskStatus = Static<typeof TaskStatusSchema>;

const NO_BRACKETS = '^[^\\[\\]]*$';

const TaskNumber = Type.Integer({ minimum: 1, description: 'Unique and increasing; 17 is shown as POPUG-17.' });
const newTask = {
  description: Type.String(),
  status: TaskStatusSchema,
  creatorId: Id,
  createdAt: Moment,
};
const taskText = {
  ticket: Type.Union([Type.String({ pattern: NO_BRACKETS }), Type.Null()], { description: 'The id in Jira, for example POPUG-12; null when there is none.' }),
  title: Type.String({ pattern: NO_BRACKETS, description: 'Without the ticket and without square brackets.' }),
};

export const taskCreatedV1 = defineEvent('tasks', 'task.created.v1', 'A new task: its whole public state. The subject is the task.', {
  number: TaskNumber,
  title: Type.String({ description: 'In the old style: "[ticket] title" where there is a ticket.' }),
  ...newTask,
});

export const taskCreatedV2 = defineEvent('tasks', 'task.created.v2', 'A new task: its whole public state. The subject is the task.', {
  number: TaskNumber,
  ...taskText,
  ...newTask,
});

export const taskUpdatedV1 = defineEvent('tasks', 'task.updated.v1', 'Somebody changed what a task says: its whole public state after that. The subject is the task.', {
  number: TaskNumber,
  ...taskText,
  ...newTask,
  assigneeId: Type.Union([Id, Type.Null()], { description: 'Null when nobody has the task.' }),
  updatedBy: Id,
  updatedAt: Moment,
});

export const taskAssignedV1 = defineEvent(
  'tasks',
  'task.assigned.v1',
  'A task got an assignee, by chance or by name: this is what is charged. The subject is the task.',
  {
    assignmentNumber: Type.Integer({ minimum: 1, description: 'Counts the assignments of the task, from 1.' }),
    assigneeId: Id,
    previousAssigneeId: Type.Union([Id, Type.Null()], { description: 'Null when nobody had the task.' }),
    businessDay: Day,
    assignedAt: Moment,
    shuffleId: Type.Optional(Type.String({ format: 'uuid', description: 'The same for all assignments of one shuffle; the subject of its tasks.shuffled.' })),
  },
);

export const tasksShuffledV1 = defineEvent(
  'tasks',
  'tasks.shuffled.v1',
  'Every open task got a random assignee; each assignment has an event of its own besides. The subject is the shuffle.',
  {
    shuffledBy: Id,
    businessDay: Day,
    assigned: Type.Integer({ minimum: 0, description: 'How many tasks: so many task.assigned have this shuffleId.' }),
    employees: Type.Integer({ minimum: 0, description: 'Among how many employees.' }),
    shuffledAt: Moment,
  },
);

export const taskCompletedV1 = defineEvent(
  'tasks',
  'task.completed.v1',
  'The assignee of the last assignment has done the task: this is what is rewarded. The subject is the task.',
  {
    assignmentNumber: Type.Integer({ minimum: 1, description: 'The assignment that it ends.' }),
    assigneeId: Id,
    businessDay: Day,
    completedAt: Moment,
  },
);

export const taskDeletedV1 = defineEvent(
  'tasks',
  'task.deleted.v1',
  'An open task was deleted: who has it gets the fee of its last assignment back. The subject is the task.',
  {
    assignmentNumber: Type.Integer({ minimum: 0, description: 'The assignment that it ends; 0 when nobody had it.' }),
    assigneeId: Type.Union([Id, Type.Null()], { description: 'Null when nobody had the task.' }),
    deletedBy: Id,
    businessDay: Day,
    deletedAt: Moment,
  },
);

export const tasksDayEndedV1 = defineEvent(
  'tasks',
  'tasks.day_ended.v1',
  "The marker of a business day's end: nothing stamped with that day follows it in the stream. The subject is the day's own id.",
  {
    businessDay: Day,
    endedAt: Moment,
    lastTaskNumber: Type.Integer({ minimum: 0, description: 'The highest task number given by then; 0 when there is no task yet.' }),
    assignments: Type.Integer({ minimum: 0, description: 'How many assignments are stamped with the day.' }),
    completions: Type.Integer({ minimum: 0, description: 'How many completions are stamped with the day.' }),
    deletions: Type.Optional(Type.Integer({ minimum: 0, description: 'How many deletions are stamped with the day; left out by those who could not delete.' })),
  },
);

const TICKETED_TITLE = /^\s*\[([^[\]]+)\]\s*(.*)$/s;

/** Splits an old-style title, `[POPUG-12] Feed the parrot`, into ticket and title. */
export function splitTicket(titled: string): { readonly ticket: string | null; readonly title: string } {
  const parts = TICKETED_TITLE.exec(titled);
  if (parts?.[1] === undefined || parts[2] === undefined) return { ticket: null, title: titled };
  return { ticket: parts[1].trim(), title: parts[2].trim() };
}

/** What a v1 tells, as v2 tells it. Never fails: of brackets that v1 allowed and v2 does not, what is in them stays. */
export function taskCreatedV2From({ title: titled, ...task }: EventOf<typeof taskCreatedV1>['data']): EventOf<typeof taskCreatedV2>['data'] {
  const { ticket, title } = splitTicket(titled);
  return { ...task, ticket, title: title.replaceAll(/[[\]]/g, '') };
}
