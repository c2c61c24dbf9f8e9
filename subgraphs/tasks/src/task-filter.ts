import { DomainError } from '@ates/service-kit/domain-error';
import type { TaskStatus } from '@ates/shared-events/task-events';

/** Which tasks; whatever is given must hold. */
export interface TaskFilter {
  /** Default: all that are not deleted. */
  readonly status?: TaskStatus | null;
  readonly assigneeId?: string | null;
  /** Only tasks that nobody has (true) or that somebody has (false). */
  readonly unassigned?: boolean | null;
  readonly creatorId?: string | null;
  /** The whole ticket, without regard to case. */
  readonly ticket?: string | null;
  /** Words of ticket, title or description: all must be there, the last one at least by its beginning; without regard to case. */
  readonly text?: string | null;
  /** Included. */
  readonly createdFrom?: Date | null;
  /** Not included. */
  readonly createdBefore?: Date | null;
}

export type TaskOrder = 'NEWEST' | 'OLDEST' | 'LATEST_COMPLETED';

const SEARCH_WORDS_MAX = 10;
const SEARCH_LENGTH_MAX = 200;
const SHOWN_BY_DEFAULT: readonly TaskStatus[] = ['OPEN', 'DONE'];

/** @throws DomainError BAD_USER_INPUT for an order that the status does not have */
export function statusesOf({ status }: TaskFilter, order: TaskOrder): readonly TaskStatus[] {
  if (order !== 'LATEST_COMPLETED') return status == null ? SHOWN_BY_DEFAULT : [status];
  if (status != null && status !== 'DONE') throw new DomainError('BAD_USER_INPUT', `Only tasks that are DONE can be listed by LATEST_COMPLETED: leave out status ${status}, or choose another order`);
  return ['DONE'];
}

/**
 * The words that a text is searched by, each as a `tsquery`; the last one may be still to be written to its end.
 * @throws DomainError BAD_USER_INPUT when there is no word in it, or too many
 */
export function searchOf(text: string): string[] {
  const words = text.normalize('NFC').toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  if (words.length === 0 || words.length > SEARCH_WORDS_MAX || text.length > SEARCH_LENGTH_MAX) {
    throw new DomainError('BAD_USER_INPUT', `text must have 1 to ${SEARCH_WORDS_MAX} words, and at most ${SEARCH_LENGTH_MAX} characters; this has ${words.length} and ${text.length}`);
  }
  return [...new Set(words)].map((word, place, all) => (place === all.length - 1 ? `'${word}':*` : `'${word}'`));
}
