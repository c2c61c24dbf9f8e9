import type { Logger } from './logger.ts';

/** Where a starting process registers how to undo each step. */
export interface Lifecycle {
  /** Registers what to do at the stop; steps run in the reverse order of their registration. */
  onStop(step: string, stop: () => unknown): void;
}

const STOP_DEADLINE_MS = 4_000;

/**
 * Runs a process from start to stop: `start` opens everything in order and registers how to close it; on SIGTERM
 * or SIGINT the steps are undone in reverse within 4 s, then the process exits with 0. A failed start, an
 * uncaught exception or an unhandled rejection is logged whole, stops the process the same way and exits with 1,
 * so that whoever supervises it starts it anew from a known state.
 */
export function runService(logger: Logger, start: (lifecycle: Lifecycle) => Promise<void>): void {
  const steps: { step: string; stop: () => unknown }[] = [];
  let stopping = false;

  const stop = async (exitCode: number, reason: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ reason }, 'stopping');
    const deadline = setTimeout(() => {
      logger.error({ deadlineMs: STOP_DEADLINE_MS }, 'stop took too long, exiting anyway');
      process.exit(exitCode === 0 ? 1 : exitCode);
    }, STOP_DEADLINE_MS);
    for (const { step, stop: undo } of steps.reverse()) {
      try {
        await undo();
      } catch (error) {
        logger.error({ err: error, step }, 'a stop step failed');
      }
    }
    clearTimeout(deadline);
    logger.info('stopped');
    process.exit(exitCode);
  };
  const fail = (reason: string) => (error: unknown) => {
    logger.fatal({ err: error }, reason);
    void stop(1, reason);
  };

  process.once('SIGTERM', () => void stop(0, 'SIGTERM'));
  process.once('SIGINT', () => void stop(0, 'SIGINT'));
  process.on('uncaughtException', fail('uncaught exception'));
  process.on('unhandledRejection', fail('unhandled rejection'));

  start({ onStop: (step, undo) => void steps.push({ step, stop: undo }) }).then(
    () => logger.info({ startedAfterMs: Math.round(performance.now()) }, 'started'),
    fail('could not start'),
  );
}
