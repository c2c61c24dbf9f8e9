import { foreignCursor } from '@ates/service-kit/connection';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId } from '@ates/service-kit/identifiers';
import type { EntryKind } from '@ates/shared-events/accounting-events';
import { FIRST_DAY, knownDay } from './day-range.ts';

/** Which entries of the audit log; whatever is given must hold, bounds are included. */
export interface AuditFilter {
  readonly day?: string | null;
  readonly fromDay?: string | null;
  readonly toDay?: string | null;
  readonly employeeId?: string | null;
  readonly taskId?: string | null;
  readonly kind?: EntryKind | null;
  /** In cents, of what the balance changed by. */
  readonly amountFrom?: number | null;
  readonly amountTo?: number | null;
}

/** A place in the log: its order is by these three. */
export interface AuditPlace {
  readonly day: string;
  /** To the microsecond, as the database has it: `2026-11-20T10:15:00.123456Z`. */
  readonly at: string;
  readonly id: string;
}

/** What a filter comes to. Days are those that can have entries at all; null: no bound. */
export interface AuditBounds {
  readonly fromDay: string | null;
  readonly toDay: string | null;
}

/**
 * The days that a filter lets through.
 * @throws DomainError BAD_USER_INPUT when its bounds leave nothing between them
 */
export function boundsOf({ day, fromDay, toDay, amountFrom, amountTo }: AuditFilter): AuditBounds {
  if (amountFrom != null && amountTo != null && amountFrom > amountTo) throw nothingBetween('amountFrom', amountFrom, 'amountTo', amountTo);
  if (fromDay != null && toDay != null && fromDay > toDay) throw nothingBetween('fromDay', fromDay, 'toDay', toDay);
  for (const each of [day, fromDay, toDay]) if (each != null) knownDay(each);
  const lowest = [day, fromDay].filter((each) => each != null).toSorted().at(-1);
  const highest = [day, toDay].filter((each) => each != null).toSorted()[0];
  return { fromDay: lowest ?? null, toDay: highest ?? null };
}

/** Whether nothing can be found: an id that nobody has, or days that exclude each other. */
export function isHopeless({ employeeId, taskId }: AuditFilter, { fromDay, toDay }: AuditBounds): boolean {
  return [employeeId, taskId].some((id) => id != null && !isId(id)) || (fromDay !== null && toDay !== null && fromDay > toDay);
}

export function cursorKeyOf({ day, at, id }: AuditPlace): readonly string[] {
  return [day, at, id];
}

const AT = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d\.\d{6}Z$/;
const DAY = /^(\d{4}-\d\d-\d\d)$/;

/** @throws DomainError BAD_USER_INPUT for what is no place of this log */
export function placeIn([day = '', at = '', id = '']: readonly string[]): AuditPlace {
  if (!isMoment(day, DAY) || !isMoment(at, AT) || !isId(id)) throw foreignCursor();
  return { day, at, id };
}

/** Whether it is written like one, and is of a day that the calendar and the database have. */
function isMoment(text: string, form: RegExp): boolean {
  const day = form.exec(text)?.[1] ?? '';
  const moment = new Date(text);
  return day >= FIRST_DAY && !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(day);
}

function nothingBetween(...[lower, from, upper, to]: readonly [string, string | number, string, string | number]): DomainError {
  return new DomainError('BAD_USER_INPUT', `Nothing is between ${lower} ${from} and ${upper} ${to}: exchange the two`);
}
