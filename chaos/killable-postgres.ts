import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type PostgresOptions, type RunningPostgres, startPostgres } from '../scripts/embedded-postgres.ts';

const GONE_MS = 10_000;
const STARTS_MAX = 4;

/** A PostgreSQL that waits for its disk and dies whole: the postmaster and every process of its own, by kill -9. */
export class KillablePostgres {
  readonly #options: PostgresOptions;
  #running: RunningPostgres | undefined;

  constructor(options: PostgresOptions) {
    this.#options = options;
  }

  get url(): string {
    return this.#running?.superuserUrl ?? '';
  }

  /** Recovery after a kill may take longer than a start is given: it goes on in the next. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#running = await startPostgres(this.#options);
        return;
      } catch (error) {
        if (attempt === STARTS_MAX) throw error;
      }
    }
  }

  async kill(): Promise<void> {
    const postmaster = this.#running?.pid ?? 0;
    if (postmaster < 2) return;
    // Halted first, so that it starts none while its own are being counted.
    send(postmaster, 'SIGSTOP');
    const all = [postmaster, ...childrenOf(postmaster)];
    for (const pid of all) send(pid, 'SIGKILL');
    const deadline = Date.now() + GONE_MS;
    while (all.some(isAlive)) {
      if (Date.now() > deadline) throw new Error('PostgreSQL outlived kill -9');
      await delay(5);
    }
  }

  async stop(): Promise<void> {
    await this.#running?.stop();
  }
}

function send(pid: number, signal: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already.
  }
}

/** State and parent of a process, as the kernel tells them; undefined when there is none. */
function statusOf(pid: number): { readonly state: string; readonly parent: number } | undefined {
  try {
    // pid (name) state parent …; the name may hold blanks and brackets.
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

function childrenOf(parent: number): number[] {
  if (process.platform === 'linux') return readdirSync('/proc').map(Number).filter((pid) => pid > 1 && statusOf(pid)?.parent === parent);
  const lines = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).stdout.split('\n');
  return lines.map((line) => line.trim().split(/\s+/).map(Number)).flatMap(([pid, of]) => (of === parent && pid !== undefined ? [pid] : []));
}

/** A zombie has let go of everything and counts as gone: who would reap it may be slow. */
function isAlive(pid: number): boolean {
  if (process.platform === 'linux') return !['Z', 'X', undefined].includes(statusOf(pid)?.state);
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
