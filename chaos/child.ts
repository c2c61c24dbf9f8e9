import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { dieWithParent } from '../scripts/die-with-parent.ts';

export interface ChildOptions {
  readonly name: string;
  /** A program for Node. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where its output goes. */
  readonly logFile: string;
}

const RESTART_MS = 200;
const STOP_MS = 6_000;

/** A process that is started again whenever it ends, as a supervisor would, until it is stopped. */
export class Child {
  readonly name: string;
  /** How it ended when nobody had killed it. */
  readonly crashes: string[] = [];
  /** What it last told of itself. */
  told: unknown;
  toldAt = 0;
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  #killed = false;
  #stopping = false;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.#options = options;
  }

  start(): void {
    const { program, environment, logFile } = this.#options;
    const { file, args } = dieWithParent({ file: process.execPath, args: [program] });
    const log = openSync(logFile, 'a');
    // In a group of its own: Ctrl-C in the terminal is for the one who runs the faults.
    const child = spawn(file, args, { env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...environment }, stdio: ['ignore', log, log, 'ipc'], detached: true });
    closeSync(log);
    this.#process = child;
    this.#killed = false;
    child.on('message', (message) => {
      this.told = message;
      this.toldAt = Date.now();
    });
    child.on('error', () => undefined);
    child.once('exit', (code, signal) => {
      this.told = undefined;
      if (this.#stopping) return;
      if (!this.#killed) this.crashes.push(`${new Date().toISOString()} ${this.name} ended by itself (${signal ?? code})`);
      setTimeout(() => this.#stopping || this.start(), RESTART_MS);
    });
  }

  /** kill -9; returns when it is gone, and it is about to be started again. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined || hasEnded(child)) return;
    this.#killed = true;
    const ended = new Promise((exit) => child.once('exit', exit));
    child.kill('SIGKILL');
    await ended;
  }

  /** Halts it for so long, in the middle of whatever it does. */
  async freeze(ms: number): Promise<void> {
    const child = this.#process;
    child?.kill('SIGSTOP');
    await delay(ms);
    child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#process;
    if (child === undefined || hasEnded(child)) return;
    const ended = new Promise((exit) => child.once('exit', exit));
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
