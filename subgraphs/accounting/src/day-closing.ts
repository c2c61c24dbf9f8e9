/** What Tasks stamped with a day, or what is posted of it here. */
export interface DayWork {
  readonly assignments: number;
  readonly completions: number;
  /** Null where it is not known: it is not compared then. */
  readonly deletions: number | null;
}

/** What decides whether a day can be closed. */
export interface DayState {
  readonly posted: DayWork;
  /** What its marker told; null before that. */
  readonly marked: DayWork | null;
  /** Whether an operator has decided to close it with what is posted. */
  readonly isAccepted: boolean;
}

/** What keeps a day from being closed, in words for an operator; null when its marker has come and everything up to it is posted, or accepted as it is. */
export function whatIsMissing({ posted, marked, isAccepted }: DayState): string | null {
  if (marked === null) return 'its marker, tasks.day_ended, has not come: look whether Tasks runs and publishes (npm run events -- lag)';
  const differences = (['assignments', 'completions', 'deletions'] as const).flatMap((kind) => {
    const [has, needs] = [posted[kind], marked[kind]];
    return has === null || needs === null || has === needs ? [] : [`${has} of ${needs} ${kind}`];
  });
  if (differences.length === 0 || isAccepted) return null;
  return `${differences.join(', ')} of it are posted: look for parked events (npm run events -- parked)`;
}

/** How a look at the days ended. */
export type Waiting = 'WAITING' | 'OVERDUE';

/** Whether a day that can't be closed is late: since when it waits, and from how long on that is an alarm, in ms. */
export function waitingOf(since: Date | null, now: Date, alarmAfterMs: number): Waiting {
  return since !== null && now.getTime() - since.getTime() > alarmAfterMs ? 'OVERDUE' : 'WAITING';
}
