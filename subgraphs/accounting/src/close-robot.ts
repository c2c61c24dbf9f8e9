import { scheduleJob } from 'node-schedule';
import type { Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { closeDay } from './closing.ts';
import { waitingOf, whatIsMissing } from './day-closing.ts';
import { nextDayToClose, requestClose } from './day-register.ts';
import { forgetOldRuns, recordRun, type RunResult } from './scheduled-runs.ts';

export interface CloseRobotOptions {
  readonly database: Database;
  readonly timeZone: string;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** How long a day may wait for its close until that is an alarm, in ms. */
  readonly alarmAfterMs: number;
  /** Called with each day that this replica closed, once that is committed. */
  readonly onClosed: (day: string) => Promise<void>;
}

export interface CloseRobot {
  /** Looks now, after the look that is under way. */
  look(): void;
  /** Days closed by this replica, and for how long the next one has been overdue, in seconds: 0 when it is not. */
  facts(): { readonly closed: number; readonly overdueSeconds: number };
  stop(): Promise<void>;
}

/** The robot's name in `scheduledRuns`. */
export const CLOSE_ROBOT = 'close of days';
/** It asks every minute; a schedule of midnights would skip those that daylight saving removes or that came while it was down. */
const EVERY_MINUTE = '* * * * *';
const EVERY_HOUR = '23 * * * *';

/**
 * Closes business days: looks at once, every minute, and whenever something came that a close may wait for. A day whose time is over is
 * requested of Tasks; one that has ended, and of which all is posted, is closed; so is the one after it, in order. Any number of
 * replicas may look: a day closes once.
 */
export function startCloseRobot(options: CloseRobotOptions): CloseRobot {
  const { database, clock, logger } = options;
  const facts = { closed: 0, overdueSeconds: 0 };
  let working = Promise.resolve();
  let isPending = false;
  const inTurn = (work: () => Promise<void>, failed: string): Promise<void> => {
    working = working.then(work).catch((error: unknown) => {
      logger.error({ err: error }, failed);
      return recordRun(database.sql, CLOSE_ROBOT, { day: null, outcome: 'FAILED', message: failed }, clock()).catch(() => {});
    });
    return working;
  };
  const look = (): void => {
    // One that waits for its turn sees what those asked for that come now.
    if (isPending) return;
    isPending = true;
    void inTurn(() => {
      isPending = false;
      return lookAtDays(options, facts);
    }, 'days could not be closed, the next minute tries again');
  };
  const forget = (): void => void inTurn(() => forgetOldRuns(database.sql, clock()), 'old runs could not be forgotten, the next hour tries again');
  look();
  const jobs = [scheduleJob(EVERY_MINUTE, look), scheduleJob(EVERY_HOUR, forget)];
  return {
    look,
    facts: () => facts,
    stop: async () => {
      for (const job of jobs) job.cancel();
      await working;
    },
  };
}

/** Closes what can be closed, and keeps how the look ended. */
export async function lookAtDays(options: CloseRobotOptions, facts: { closed: number; overdueSeconds: number }): Promise<void> {
  const { database, clock, logger, onClosed } = options;
  for (;;) {
    const { result, overdueMs } = await lookAtNextDay(options);
    facts.overdueSeconds = overdueMs / 1_000;
    await recordRun(database.sql, CLOSE_ROBOT, result, clock());
    if (result.outcome === 'OVERDUE') logger.error({ businessDay: result.day, overdueSeconds: facts.overdueSeconds }, `a business day can't be closed: ${result.message}`);
    if (result.outcome !== 'DONE' || result.day === null) return;
    facts.closed += 1;
    logger.info({ businessDay: result.day }, 'a business day was closed');
    await onClosed(result.day);
  }
}

async function lookAtNextDay({ database, timeZone, clock, alarmAfterMs }: CloseRobotOptions): Promise<{ readonly result: RunResult; readonly overdueMs: number }> {
  const now = clock();
  const next = await nextDayToClose(database.sql, { timeZone, now });
  if (next === null || (!next.isOver && next.requestedAt === null && next.endedAt === null)) {
    return { result: { day: null, outcome: 'NOTHING_TO_DO', message: null }, overdueMs: 0 };
  }
  const { day } = next;
  if (next.requestedAt === null && next.endedAt === null) await database.sqlTransaction((sql) => requestClose(sql, { day, requestedBy: null, at: now }));
  const message = whatIsMissing(next);
  if (message === null) {
    const isClosed = await closeDay(database, day, { timeZone, clock });
    return { result: isClosed ? { day, outcome: 'DONE', message: null } : { day, outcome: 'WAITING', message: 'another replica was closing it' }, overdueMs: 0 };
  }
  const since = [next.requestedAt, next.endedAt].filter((moment) => moment !== null).sort((a, b) => a.getTime() - b.getTime())[0] ?? now;
  const outcome = waitingOf(since, now, alarmAfterMs);
  return { result: { day, outcome, message }, overdueMs: outcome === 'OVERDUE' ? now.getTime() - since.getTime() : 0 };
}

