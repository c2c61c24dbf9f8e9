import { scheduleJob } from 'node-schedule';
import type { Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { endElapsedDays, extendRegister } from './business-day.ts';

export interface DayRobotOptions {
  readonly database: Database;
  readonly timeZone: string;
  readonly clock: () => Date;
  readonly logger: Logger;
}

/** It asks every minute; a schedule of midnights would skip those that daylight saving removes or that came while it was down. */
const EVERY_MINUTE = '* * * * *';

/** Ends business days whose time is over: looks at once, then every minute. */
export async function startDayRobot({ database, timeZone, clock, logger }: DayRobotOptions): Promise<{ stop(): Promise<void> }> {
  let looking = Promise.resolve();
  const look = async (): Promise<void> => {
    try {
      for (const businessDay of await endElapsedDays(database, timeZone, clock)) logger.info({ businessDay }, 'a business day ended');
    } catch (error) {
      logger.error({ err: error }, 'business days could not be ended, the next minute tries again');
    }
  };
  await extendRegister(database.sql, timeZone, clock());
  const lookInTurn = (): void => {
    looking = looking.then(look);
  };
  lookInTurn();
  const job = scheduleJob(EVERY_MINUTE, lookInTurn);
  return {
    stop: async () => {
      job.cancel();
      await looking;
    },
  };
}
