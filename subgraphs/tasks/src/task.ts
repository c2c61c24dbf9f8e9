import { DomainError } from '@ates/service-kit/domain-error';
import { splitTicket, type TaskStatus } from '@ates/shared-events/task-events';

/** What decides whether a task may be assigned or completed, and by whom. */
export interface TaskState {
  readonly version: number;
  readonly status: TaskStatus;
  readonly assigneeId: string | null;
  readonly assignmentNumber: number;
}

export interface TaskText {
  readonly ticket: string | null;
  readonly title: string;
  readonly description: string;
}

/** When something happens to a task: the moment, and the business day that it counts for. */
export interface Stamp {
  readonly at: Date;
  /** `YYYY-MM-DD` */
  readonly businessDay: string;
}

/** Given `limit`, a whole number from 0 to limit − 1, each equally likely. */
export type RandomIndex = (limit: number) => number;

export const TITLE_MAX_LENGTH = 200;
export const TICKET_MAX_LENGTH = 40;
export const DESCRIPTION_MAX_LENGTH = 10_000;

const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;

/**
 * Cleans a task's texts; an old-style title `[POPUG-12] Feed the parrot` is split into ticket and title.
 * @throws DomainError BAD_USER_INPUT naming the field and what it may be
 */
export function taskText(input: { readonly title: string; readonly description: string }): TaskText {
  const { ticket, title } = splitTicket(clean(input.title).replace(/\s+/g, ' '));
  const description = clean(input.description);
  if (title === '' || title.length > TITLE_MAX_LENGTH) throw badInput('title', `have 1 to ${TITLE_MAX_LENGTH} characters besides the ticket`);
  if (/[[\]]/.test(title)) throw badInput('title', 'have no square brackets, except around a ticket at its start: [POPUG-12] Feed the parrot');
  if (ticket !== null && ticket.length > TICKET_MAX_LENGTH) throw badInput('title', `have a ticket of at most ${TICKET_MAX_LENGTH} characters`);
  if (description.length > DESCRIPTION_MAX_LENGTH) throw badInput('description', `have at most ${DESCRIPTION_MAX_LENGTH} characters`);
  return { ticket, title, description };
}

/** A random one of the employees, all equally likely; null when there is none. */
export function pickAssignee(employeeIds: readonly string[], random: RandomIndex): string | null {
  return employeeIds.length === 0 ? null : (employeeIds[random(employeeIds.length)] ?? null);
}

/** The task after its next assignment, whoever had it before. */
export function assign(task: TaskState, assigneeId: string): TaskState {
  if (task.status !== 'OPEN') throw notOpen(task);
  return { ...task, version: task.version + 1, assigneeId, assignmentNumber: task.assignmentNumber + 1 };
}

/**
 * The task after its current assignee has completed it.
 * @throws DomainError FORBIDDEN for anybody else; CONFLICT when it is not open any more
 */
export function complete(task: TaskState, byUserId: string): TaskState {
  if (task.assigneeId !== byUserId) throw new DomainError('FORBIDDEN', 'Only its current assignee can complete a task: see myTasks for yours');
  if (task.status !== 'OPEN') throw notOpen(task);
  return { ...task, version: task.version + 1, status: 'DONE' };
}

function notOpen({ status }: TaskState): DomainError {
  return new DomainError('CONFLICT', `The task is ${status}, not OPEN: reload it`);
}

function clean(text: string): string {
  return text.normalize('NFC').replace(CONTROL_CHARACTERS, '').trim();
}

function badInput(field: string, rule: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `${field} must ${rule}`, { field });
}
