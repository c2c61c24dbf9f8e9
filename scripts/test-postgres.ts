import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningPostgres, startPostgres } from './embedded-postgres.ts';
import { chooseFreePorts } from './free-ports.ts';

const FOLDER_PREFIX = 'ates-test-postgres-';
/** Temporary folders that begin like this go on with the id of the process that made them. */
const OWNED_FOLDER = /^ates-(?:test-postgres|e2e)-(\d+)-/;

// A test's data may be lost with the machine: no waiting for the disk.
const FAST_SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '300', log_statement: 'none' };

/**
 * A PostgreSQL for one run of the tests, in a temporary folder that `stop` deletes. It also deletes the folders of runs that were killed.
 * @throws as `startPostgres`
 */
export async function startTestPostgres(): Promise<RunningPostgres> {
  removeFoldersOfKilledRuns();
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${process.pid}-`));
  chmodSync(folder, 0o711);
  const [port = 0] = await chooseFreePorts(1);
  const superuserPassword = randomBytes(18).toString('base64url');
  const postgres = await startPostgres({ dataDir: join(folder, 'data'), port, superuserPassword, settings: FAST_SETTINGS });
  const stop = async (): Promise<void> => {
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...postgres, stop };
}

function removeFoldersOfKilledRuns(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = OWNED_FOLDER.exec(name)?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
