import type { Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import type { Registry } from '@ates/service-kit/metrics';
import type { Lifecycle } from '@ates/service-kit/run-service';
import { startCloseRobot } from './close-robot.ts';
import { registerClosing } from './closing-metrics.ts';
import type { readAccountingConfig } from './config.ts';
import { tellOfPayouts, type LiveBalances } from './live-balance.ts';
import { createMailTransport } from './mail-transport.ts';
import { registerMailMetrics, runResult, startMailer } from './mailer.ts';
import { recordRun, runRecorder } from './scheduled-runs.ts';
import { startSealing } from './sealing.ts';

export interface RobotOptions {
  readonly database: Database;
  readonly live: LiveBalances;
  readonly config: Pick<ReturnType<typeof readAccountingConfig>, 'BUSINESS_TIME_ZONE' | 'DAY_CLOSE_ALARM_AFTER_MINUTES' | 'SMTP_URL' | 'MAIL_DIR' | 'MAIL_FROM'>;
  readonly clock: () => Date;
  readonly metrics: Registry;
  readonly logger: Logger;
}

export interface Robots {
  /** Looks soon whether a day can be closed. */
  closeNow(): void;
  /** Seals soon what was posted. */
  sealNow(): void;
}

/** What Accounting does of itself: mails are sent, days closed, entries sealed. All of them may run in any number of replicas. */
export function startRobots({ database, live, config, clock, metrics, logger }: RobotOptions, lifecycle: Lifecycle): Robots {
  const transport = createMailTransport({ smtpUrl: config.SMTP_URL, mailDir: config.MAIL_DIR, from: config.MAIL_FROM });
  lifecycle.onStop('mail transport', transport.close);
  const mailer = startMailer({ database, transport, clock, logger, onRun: (run) => recordRun(database.sql, 'mailer', runResult(run), clock()) });
  lifecycle.onStop('mailer', mailer.stop);
  registerMailMetrics(metrics, mailer);

  const recordSealing = runRecorder(database.sql, 'sealing of entries');
  const sealing = startSealing({
    database,
    clock,
    logger,
    onRun: ({ day, outcome, message, at }) => {
      recordSealing({ day, outcome: outcome === 'FAILED' ? 'FAILED' : 'DONE', message }, at).catch((error: unknown) => logger.warn({ err: error }, 'a run of the sealing could not be recorded'));
    },
  });
  lifecycle.onStop('sealing', sealing.stop);

  const closing = startCloseRobot({
    database,
    timeZone: config.BUSINESS_TIME_ZONE,
    clock,
    logger,
    alarmAfterMs: config.DAY_CLOSE_ALARM_AFTER_MINUTES * 60_000,
    onClosed: async (day) => {
      mailer.look();
      sealing.look();
      await tellOfPayouts(database.sql, live, day);
    },
  });
  lifecycle.onStop('close robot', closing.stop);
  registerClosing(metrics, { closing, sealing });
  return { closeNow: closing.look, sealNow: sealing.look };
}
