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

/** What shows as nothing and what turns the writing around it; joiners stay, scripts and pictures are made with them. */
const UNSEEN_CHARACTERS = /[\p{Cc}\u00ad\u200b\u2060\ufeff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const LINE_ENDS = /\r\n?|[\u0085\u2028\u2029]/g;
const KEPT_CONTROLS = new Set(['\n', '\t']);

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

/** A random employee for each of `tasks` tasks, all equally likely, by their places from 0 to `employees` − 1. */
export function drawAssignees(tasks: number, employees: number, random: RandomIndex): number[] {
  return Array.from({ length: tasks }, () => random(employees));
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

/**
 * The task after a change of what is written about it.
 * @throws DomainError CONFLICT when it is deleted
 */
export function update(task: TaskState): TaskState {
  if (task.status === 'DELETED') throw new DomainError('CONFLICT', 'The task is DELETED: nothing about it can be changed any more');
  return { ...task, version: task.version + 1 };
}

/**
 * The task after somebody has deleted it; who has it keeps it, and gets the fee back.
 * @throws DomainError CONFLICT when it is not open any more
 */
export function remove(task: TaskState): TaskState {
  if (task.status !== 'OPEN') throw notOpen(task);
  return { ...task, version: task.version + 1, status: 'DELETED' };
}

/**
 * Sees that what somebody is about to change is what they have seen.
 * @throws DomainError CONFLICT when it was written anew since
 */
export function requireVersion(textVersion: number, expected: number | null | undefined): void {
  if (expected === null || expected === undefined || expected === textVersion) return;
  throw new DomainError('CONFLICT', `You have seen version ${expected} of the task, it is at version ${textVersion} now: reload it and try again`, { version: textVersion });
}

function notOpen({ status }: TaskState): DomainError {
  return new DomainError('CONFLICT', `The task is ${status}, not OPEN: reload it`);
}

function clean(text: string): string {
  return text
    .toWellFormed()
    .normalize('NFC')
    .replace(LINE_ENDS, '\n')
    .replace(UNSEEN_CHARACTERS, (character) => (KEPT_CONTROLS.has(character) ? character : ''))
    .trim();
}

function badInput(field: string, rule: string): DomainError {
  return new DomainError('BAD_USER_INPUT', `${field} must ${rule}`, { field });
}
