import { DomainError } from '@ates/service-kit/domain-error';

/** From a day to a day, `YYYY-MM-DD`, both included. */
export interface DayRange {
  readonly from: string;
  readonly to: string;
}

/** As many days or periods are answered at once. */
export const RANGE_MAX_PERIODS = 366;
const DAY_MS = 86_400_000;
/** No day that the database knows is earlier. */
export const FIRST_DAY = '0001-01-01';

/** @throws DomainError BAD_USER_INPUT when it ends before it begins */
export function dayRange(from: string, to: string): DayRange {
  if (from > to) throw new DomainError('BAD_USER_INPUT', `From ${from} to ${to} there is no day: exchange the two`);
  knownDay(from);
  return { from, to };
}

/** @throws DomainError BAD_USER_INPUT for the year 0000, which ISO 8601 has and the database has not */
export function knownDay(day: string): string {
  if (day < FIRST_DAY) throw new DomainError('BAD_USER_INPUT', `Days before ${FIRST_DAY} are not known here: ask for a later one`);
  return day;
}

/** How many days a range has. */
export function daysIn({ from, to }: DayRange): number {
  return (Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS + 1;
}

/** @throws DomainError BAD_USER_INPUT for more than 366 of them */
export function requireFew(periods: number, what: string): void {
  if (periods > RANGE_MAX_PERIODS) throw new DomainError('BAD_USER_INPUT', `These are ${periods} ${what}; ask for at most ${RANGE_MAX_PERIODS} at once`);
}
