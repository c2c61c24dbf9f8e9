import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { commandLine } from './leftover-parts.ts';

const FAST_SHUTDOWN_MS = 5_000;
const IMMEDIATE_SHUTDOWN_MS = 5_000;
const POLL_MS = 20;

/**
 * Ends the server of this data directory that a killed parent left running, and clears away a lock file that names a process
 * which is no such server (process ids are used again). Call it only while nobody else may use the data directory.
 * @throws when that server can't be stopped: two servers on one directory would destroy it
 */
export async function stopLeftoverServer(dataDir: string): Promise<void> {
  const lockFile = join(dataDir, 'postmaster.pid');
  const pid = existsSync(lockFile) ? Number.parseInt(readFileSync(lockFile, 'utf8'), 10) : Number.NaN;
  if (!(pid > 1)) return;
  for (const [signal, patienceMs] of [['SIGINT', FAST_SHUTDOWN_MS], ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS]] as const) {
    if (!isServerOf(pid, dataDir)) break;
    sendSignal(pid, signal);
    await untilGone(pid, dataDir, patienceMs);
  }
  if (isServerOf(pid, dataDir)) {
    throw new Error(`PostgreSQL is still running on ${dataDir} as process ${pid} and does not stop: end it (kill -QUIT ${pid}) and start again.`);
  }
  if (isRunning(pid)) rmSync(lockFile, { force: true });
}

function sendSignal(pid: number, signal: 'SIGINT' | 'SIGQUIT'): void {
  try {
    process.kill(pid, signal);
    process.kill(pid, 'SIGCONT'); // in case somebody had halted it
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPERM') {
      throw new Error(`PostgreSQL is running as another user's process ${pid}: stop it, or set DATA_DIR to a folder of your own.`, { cause: error });
    }
  }
}

async function untilGone(pid: number, dataDir: string, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (isServerOf(pid, dataDir) && Date.now() < deadline) await delay(POLL_MS);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

// A zombie has an empty command line, so it counts as gone.
function isServerOf(pid: number, dataDir: string): boolean {
  const command = commandLine(pid);
  return command.includes('postgres') && `${command} `.includes(` -D ${dataDir} `);
}
