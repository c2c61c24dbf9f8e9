import { scheduleJob } from 'node-schedule';
import type { Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { Gauge, type Registry } from '@ates/service-kit/metrics';
import { ensurePartitions, monthsFrom } from './partitions.ts';
import { unreconciledDays } from './reconciliation.ts';

export interface AnalyticsRobotOptions {
  readonly database: Pick<Database, 'sql'>;
  readonly clock: () => Date;
  readonly logger: Logger;
}

export interface AnalyticsRobot {
  /** Compares now, after the look that is under way, and resolves when that is done. */
  look(): Promise<void>;
  /** How many closed days differed from Accounting's figures at the last look that succeeded. */
  facts(): { readonly unreconciledDays: number };
  stop(): Promise<void>;
}

const EVERY_MINUTE = '* * * * *';
const EVERY_DAY = '17 3 * * *';
const MONTHS_AHEAD = 3;

/**
 * Makes the partitions of this month and the next three, at start and every day, so that no fact has to; and compares the closed days with
 * Accounting's figures, at start and every minute. Any number of replicas may do so.
 */
export function startAnalyticsRobot({ database, clock, logger }: AnalyticsRobotOptions): AnalyticsRobot {
  const facts = { unreconciledDays: 0 };
  let working = Promise.resolve();
  const inTurn = (work: () => Promise<void>, failed: string): Promise<void> => {
    working = working.then(work).catch((error: unknown) => logger.error({ err: error }, failed));
    return working;
  };
  const makePartitions = () => inTurn(() => ensurePartitions(database.sql, monthsFrom(clock(), MONTHS_AHEAD + 1)), 'partitions could not be made ahead, tomorrow tries again; facts make what they need');
  const look = () =>
    inTurn(async () => {
      const different = await unreconciledDays(database.sql, clock());
      facts.unreconciledDays = different.length;
      if (different.length === 0) return;
      const days = different.map(({ day, theirs, ours }) => ({ day, theirs, ours }));
      logger.error({ days }, 'closed days have other figures here than in Accounting; where no events wait or are parked (npm run -s events -- lag, parked), a rebuild mends it: npm run rebuild -- analytics');
    }, 'closed days could not be compared, the next minute tries again');
  void makePartitions();
  void look();
  const jobs = [scheduleJob(EVERY_DAY, () => void makePartitions()), scheduleJob(EVERY_MINUTE, () => void look())];
  return {
    look,
    facts: () => facts,
    stop: async () => {
      for (const job of jobs) job.cancel();
      await working;
    },
  };
}

/** For Prometheus: whether the read model agrees with Accounting. */
export function registerReconciliation(registry: Registry, robot: Pick<AnalyticsRobot, 'facts'>): void {
  const gauge: Gauge = new Gauge({
    name: 'ates_unreconciled_days',
    help: 'Closed days of the last 400 whose figures differ from those that Accounting told more than two minutes ago; 0 when all agree',
    registers: [registry],
    collect: () => gauge.set(robot.facts().unreconciledDays),
  });
}
