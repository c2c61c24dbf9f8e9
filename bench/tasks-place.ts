import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

const RETRIES = 20;
const RETRY_MS = 100;

/** Where a measurement works, and what is to be stopped when it ends. */
export interface Place {
  /** Deleted at the end. */
  readonly folder: string;
  /** Stops what is being started, too, once it is there: at the end, or when this process is told to end. */
  stopAtEnd(starting: Promise<{ stop(): Promise<unknown> }>): void;
}

/** Does the work in a temporary folder, of which nothing is left: not of its processes either, unless this one is killed by -9. */
export async function inPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `ates-bench-tasks-${process.pid}-`));
  chmodSync(folder, 0o711);
  const started: Promise<{ stop(): Promise<unknown> }>[] = [];
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => (ending ??= stopAll(started, folder));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void end().finally(() => process.exit(128 + constants.signals[signal])));
  try {
    await work({ folder, stopAtEnd: (starting) => void started.unshift(starting) });
  } finally {
    await end();
  }
}

async function stopAll(started: readonly Promise<{ stop(): Promise<unknown> }>[], folder: string): Promise<void> {
  for (const starting of started) {
    const running = await starting.catch(() => undefined);
    await running?.stop().catch((error: unknown) => console.error(error));
  }
  // What failed to start may have processes that are on their way out.
  await rm(folder, { recursive: true, force: true, maxRetries: RETRIES, retryDelay: RETRY_MS });
}
