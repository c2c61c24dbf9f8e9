import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { dieWithParent } from '../scripts/die-with-parent.ts';
import type { Answer, Command } from './ledger-watchers.ts';

/** The process of those who watch. */
export class Crowd {
  readonly #child: ChildProcess;

  constructor() {
    const { file, args } = dieWithParent({ file: process.execPath, args: [resolve(import.meta.dirname, 'ledger-watchers.ts')] });
    this.#child = spawn(file, args, { env: { PATH: process.env['PATH'], NODE_ENV: 'production' }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  /** One command at a time. @throws when a subscription has failed or the process has ended */
  async ask(command: Command): Promise<Answer> {
    const ended = new AbortController();
    const onExit = (): void => ended.abort(new Error('the process of the subscribers has ended'));
    this.#child.once('exit', onExit);
    const answered = once(this.#child, 'message', { signal: ended.signal });
    this.#child.send(command);
    const [answer] = (await answered) as [Answer];
    this.#child.off('exit', onExit);
    if (answer.failures.length > 0) throw new Error(`Subscribers were let down: ${answer.failures.join('; ')}`);
    return answer;
  }

  stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.connected) this.#child.disconnect();
    return Promise.resolve();
  }
}

const TICKS_PER_SECOND = 100;

/** How much of one core processes take from here on, PostgreSQL with its sessions; NaN where the system does not tell. */
export function watchCpu(pids: Readonly<Record<string, number>>): () => Record<string, number> {
  const secondsOf = (name: string, pid: number): number => (name === 'postgres' ? [pid, ...childrenOf(pid)] : [pid]).reduce((sum, each) => sum + cpuSeconds(each), 0);
  const begun = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, secondsOf(name, pid)]));
  const begunAt = performance.now();
  return () => {
    const seconds = (performance.now() - begunAt) / 1_000;
    return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, (secondsOf(name, pid) - (begun[name] ?? Number.NaN)) / seconds]));
  };
}

/** Of CPU time until now, in the system's own part too. */
function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}
