import { scheduleJob } from 'node-schedule';
import type { Database } from '@ates/service-kit/database';
import { forgetOldKeys } from '@ates/service-kit/idempotency';
import type { Logger } from '@ates/service-kit/logger';
import { endElapsedDays, extendRegister } from './business-day.ts';

export interface DayRobotOptions {
  readonly database: Database;
  readonly timeZone: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

export interface DayRobot {
  /** Looks now. */
  look(): void;
  stop(): Promise<void>;
}

/** It asks every minute; a schedule of midnights would skip those that daylight saving removes or that came while it was down. */
const EVERY_MINUTE = '* * * * *';
const EVERY_HOUR = '17 * * * *';

/** Ends business days whose time is over: looks at once, then every minute. Forgets idempotency keys that are old, every hour. */
export async function startDayRobot({ database, timeZone, clock, logger }: DayRobotOptions): Promise<DayRobot> {
  let working = Promise.resolve();
  const inTurn = (work: () => Promise<void>, failed: string) => (): void => {
    working = working.then(work).catch((error: unknown) => logger.error({ err: error }, failed));
  };
  const look = inTurn(async () => {
    for (const businessDay of await endElapsedDays(database, timeZone, clock)) logger.info({ businessDay }, 'a business day ended');
  }, 'business days could not be ended, the next minute tries again');
  const forget = inTurn(() => forgetOldKeys(database.sql), 'old idempotency keys could not be forgotten, the next hour tries again');
  await extendRegister(database.sql, timeZone, clock());
  look();
  forget();
  const jobs = [scheduleJob(EVERY_MINUTE, look), scheduleJob(EVERY_HOUR, forget)];
  return {
    look,
    stop: async () => {
      for (const job of jobs) job.cancel();
      await working;
    },
  };
}
