import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** What `DATA_DIR/running.json` says of a part's process. */
export interface RunningPart {
  readonly pid: number;
  readonly port: number;
  /** Its last argument, by which it is told from another process that got the same id since. */
  readonly lastArgument: string;
}

/**
 * Ends the processes that a killed stack left behind, where the system could not do so (without setpriv, as on macOS). PostgreSQL
 * is left to its own start, which stops it gently. Call it while holding the data directory.
 */
export function endLeftoverParts(dataDir: string): void {
  const file = join(dataDir, 'running.json');
  if (!existsSync(file)) return;
  for (const [name, { pid, lastArgument }] of Object.entries(readParts(file))) {
    if (name === 'postgres' || !commandLine(pid).includes(lastArgument)) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended by itself, or belongs to somebody else and is none of ours.
    }
  }
  rmSync(file, { force: true });
}

function readParts(file: string): Record<string, RunningPart> {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { parts: Record<string, RunningPart> }).parts;
  } catch {
    return {};
  }
}

/** The command line of a process, its words separated by blanks; empty when there is none. */
export function commandLine(pid: number): string {
  if (process.platform !== 'linux') return spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
