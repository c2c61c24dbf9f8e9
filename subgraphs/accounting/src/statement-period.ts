import { DomainError } from '@ates/service-kit/domain-error';

/** The business days that a statement is of. */
export interface StatementPeriod {
  /** `2026-11-20` of a day, `2026-11` of a month. */
  readonly label: string;
  readonly firstDay: string;
  readonly lastDay: string;
}

const PERIOD = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/;

/** The day (`2026-11-20`) or the month (`2026-11`) of that name; null when no calendar, or not PostgreSQL's, has it. */
export function periodOf(label: string): StatementPeriod | null {
  const [, year, month, day] = PERIOD.exec(label) ?? [];
  // PostgreSQL, and history, have no year 0.
  if (year === undefined || month === undefined || year === '0000') return null;
  const firstDay = `${year}-${month}-${day ?? '01'}`;
  const first = new Date(`${firstDay}T00:00:00Z`);
  // What has no such month is no date; a 31st of November would be the 1st of December.
  if (Number.isNaN(first.getTime()) || first.toISOString().slice(0, 10) !== firstDay) return null;
  return { label, firstDay, lastDay: day === undefined ? lastDayOf(first) : firstDay };
}

function lastDayOf(month: Date): string {
  const end = new Date(month);
  end.setUTCMonth(end.getUTCMonth() + 1, 0);
  return end.toISOString().slice(0, 10);
}

/**
 * The period that is asked for.
 * @throws DomainError BAD_USER_INPUT unless it is exactly one of a day and a month, and there is such a one
 */
export function statementPeriod(day: string | null | undefined, month: string | null | undefined): StatementPeriod {
  if ((day == null) === (month == null)) {
    throw new DomainError('BAD_USER_INPUT', 'A statement is of a day or of a month: give one of them, day: "2026-11-20" or month: "2026-11"');
  }
  const label = day ?? month ?? '';
  const period = periodOf(label);
  if (period !== null && (day == null) === (label.length === 'yyyy-mm'.length)) return period;
  throw new DomainError('BAD_USER_INPUT', day == null ? `A month is one like 2026-11, not ${JSON.stringify(label)}` : `A day is one like 2026-11-20, not ${JSON.stringify(label)}`);
}
