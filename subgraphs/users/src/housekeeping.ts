import { scheduleJob } from 'node-schedule';
import type { Database } from '@ates/service-kit/database';
import { forgetOldKeys } from '@ates/service-kit/idempotency';
import type { Logger } from '@ates/service-kit/logger';
import { rotateOldKeys, type SigningKeys } from './keys.ts';
import { forgetRevocations } from './revocations.ts';
import { forgetSessions } from './sessions.ts';

export interface HousekeepingOptions {
  readonly database: Database;
  readonly keys: SigningKeys;
  readonly keyRotationDays: number;
  readonly clock: () => Date;
  readonly logger: Logger;
}

const EVERY_HOUR = '17 * * * *';
/** Another replica, or a command, may have rotated the keys. */
const KEYS_EVERY_MS = 500;

/** Rotates signing keys that are old, and forgets what has expired: looks at once, then every hour. Replicas may do it side by side. */
export function startHousekeeping({ database, keys, keyRotationDays, clock, logger }: HousekeepingOptions): { stop(): Promise<void> } {
  let working = Promise.resolve();
  const work = async (): Promise<void> => {
    try {
      const kid = await rotateOldKeys(database, keyRotationDays);
      if (kid !== null) logger.info({ kid }, 'a new signing key was made; it signs after 15 minutes');
      await forgetSessions(database.sql, clock());
      await forgetRevocations(database.sql);
      await forgetOldKeys(database.sql);
    } catch (error) {
      logger.error({ err: error }, 'the hourly work failed, the next hour tries again');
    }
  };
  const workInTurn = (): void => {
    working = working.then(work);
  };
  workInTurn();
  const job = scheduleJob(EVERY_HOUR, workInTurn);
  const reloading = setInterval(() => {
    keys.reload().catch((error: unknown) => logger.warn({ err: error }, 'the signing keys could not be read anew'));
  }, KEYS_EVERY_MS);
  return {
    stop: async () => {
      clearInterval(reloading);
      job.cancel();
      await working;
    },
  };
}
