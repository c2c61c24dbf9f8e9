import type { KeyObject } from 'node:crypto';
import type { Connection } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import type { Viewer } from '@ates/service-kit/viewer';
import { taskCopyLoader, userNameLoader, type TaskCopy } from './copy-loaders.ts';
import { readDays, type DayStats } from './day-stats.ts';
import { dayBalancesLoader, type BalancesKey, type DayBalance } from './employee-balances.ts';
import type { LiveStats } from './live-stats.ts';

export interface AnalyticsServices {
  readonly database: Database;
  readonly live: Pick<LiveStats, 'watch'>;
  /** The current business day, `YYYY-MM-DD`. */
  readonly currentDay: () => Promise<string>;
  readonly clock: () => Date;
  /** Signs the links to exports. */
  readonly linkKey: KeyObject;
}

/** Everything that an operation reads by key, each kind in one statement for all that is asked for at once. */
export interface AnalyticsContext {
  readonly viewer: Viewer | null;
  readonly tasks: Loader<string, TaskCopy>;
  readonly userNames: Loader<string, string>;
  readonly days: Loader<string, DayStats>;
  readonly balances: Loader<BalancesKey, Connection<DayBalance>>;
}

export function analyticsContext({ database: { sql } }: Pick<AnalyticsServices, 'database'>, viewer: Viewer | null): AnalyticsContext {
  return {
    viewer,
    tasks: taskCopyLoader(sql),
    userNames: userNameLoader(sql),
    days: batchLoader(
      (days) => readDays(sql, days),
      ({ day }) => day,
      // There is a row for each that is asked for.
      (row) => row as DayStats,
    ),
    balances: dayBalancesLoader(sql),
  };
}
