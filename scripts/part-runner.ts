import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Part, StopStep } from './part.ts';
import { eachLine, type PartLog } from './part-log.ts';
import type { StackConsole } from './stack-console.ts';

const READY_POLL_MS = 25;
const READY_TIMEOUT_MS = 60_000;
const MAX_FAILED_STARTS = 5;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;
const PATIENCE_AFTER_KILL_MS = 500;
/** Who ran this long gets its patience back: the next restart is immediate again. */
const STABLE_AFTER_MS = 10_000;

/** A part did not come up at the start of the stack. */
export class PartFailed extends Error {
  override readonly name = 'PartFailed';
}

export interface RunnerOptions {
  readonly log: PartLog;
  readonly console: StackConsole;
  /** A process of the part has begun; `lastArgument` is its command's. */
  readonly onSpawn: (pid: number, lastArgument: string) => void;
}

/** Keeps one part running: starts it, starts it again with growing pauses when it ends, until it is stopped. */
export class PartRunner {
  readonly part: Part;
  readonly #options: RunnerOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #isReady = false;

  constructor(part: Part, options: RunnerOptions) {
    this.part = part;
    this.#options = options;
  }

  /**
   * Starts the part and keeps it running from then on.
   * @returns when it is ready for the first time
   * @throws PartFailed when it ended 5 times before it was ready, or was not ready after 60 s
   */
  async start(): Promise<void> {
    let failure = '';
    for (let attempt = 1; attempt <= MAX_FAILED_STARTS && !this.#stopping; attempt++) {
      if (attempt > 1) await delay(backoffMs(attempt - 2));
      const result = await this.#startOnce();
      if (result === 'ready') {
        void this.#keepRunning();
        return;
      }
      failure = result;
    }
    throw new PartFailed(`${this.part.name} could not be started: ${failure}`);
  }

  /** Stops it by its stop steps, then by SIGKILL. It is not started again. */
  async stop(): Promise<void> {
    await this.#end(this.part.stopSteps);
  }

  /** Stops it at once, whatever is lost by that. */
  async killAtOnce(): Promise<void> {
    // PostgreSQL's immediate shutdown takes its own children along; SIGKILL would leave them to find out.
    await this.#end(this.part.stopSteps.filter(({ signal }) => signal === 'SIGQUIT'));
  }

  async #end(steps: readonly StopStep[]): Promise<void> {
    this.#stopping = true;
    for (const { signal, patienceMs } of [...steps, { signal: 'SIGKILL', patienceMs: PATIENCE_AFTER_KILL_MS } as const]) {
      const child = this.#child;
      if (child === undefined || hasEnded(child)) return;
      signalGroup(child, signal);
      await Promise.race([ended(child), delay(patienceMs, undefined, { ref: false })]);
    }
  }

  async #keepRunning(): Promise<void> {
    let failures = 0;
    let readyAt = performance.now();
    while (!this.#stopping) {
      const child = this.#child;
      if (this.#isReady && child !== undefined) {
        const how = await ended(child);
        this.#isReady = false;
        if (this.#stopping) return;
        if (performance.now() - readyAt > STABLE_AFTER_MS) failures = 0;
        this.#options.console.event(this.part.name, `ended (${how}); starting it again`);
      }
      await delay(backoffMs(failures++));
      if (this.#stopping) return;
      const startedAt = performance.now();
      const result = await this.#startOnce();
      readyAt = performance.now();
      if (result === 'ready') this.#options.console.event(this.part.name, `is back after ${((readyAt - startedAt) / 1000).toFixed(1)} s`);
      else if (!this.#stopping) this.#options.console.event(this.part.name, `did not come back: ${result}; trying again`);
    }
  }

  async #startOnce(): Promise<string> {
    try {
      const launch = await this.part.launch();
      if (this.#stopping) return 'it was stopped';
      const child = this.#spawn(launch);
      return await this.#untilReady(child);
    } catch (error) {
      if (this.#child !== undefined) {
        signalGroup(this.#child, 'SIGKILL');
        await ended(this.#child);
      }
      return error instanceof Error ? error.message : String(error);
    }
  }

  #spawn({ file, args, env, uid, gid }: Awaited<ReturnType<Part['launch']>>): ChildProcess {
    const user = uid === undefined ? {} : { uid, gid };
    // A session of its own: a terminal's Ctrl-C reaches the supervisor alone, which stops the parts in order.
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...user });
    child.on('error', (error) => this.#read(error.message));
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, (line) => this.#read(line));
    this.#child = child;
    if (child.pid !== undefined) this.#options.onSpawn(child.pid, args.at(-1) ?? file);
    return child;
  }

  #read(line: string): void {
    this.#options.log.append(line);
    if (this.#stopping) return;
    const notice = this.part.notice(line);
    if (notice !== undefined) this.#options.console.notice(this.part.name, notice);
  }

  async #untilReady(child: ChildProcess): Promise<string> {
    const deadline = performance.now() + READY_TIMEOUT_MS;
    let end: string | undefined;
    void ended(child).then((how) => (end = how));
    const endedEarly = (): string | undefined => end;
    while (performance.now() < deadline) {
      if (await this.part.isReady()) {
        this.#isReady = true;
        return 'ready';
      }
      const how = endedEarly();
      if (how !== undefined) return `it ended before it was ready (${how})`;
      await delay(READY_POLL_MS);
    }
    signalGroup(child, 'SIGKILL');
    await ended(child);
    return `it was not ready within ${READY_TIMEOUT_MS / 1000} s`;
  }
}

function backoffMs(failures: number): number {
  return Math.min(FIRST_BACKOFF_MS * 2 ** failures, MAX_BACKOFF_MS);
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

// Told in words: "exit code 1", "signal SIGKILL".
function ended(child: ChildProcess): Promise<string> {
  const describe = (code: number | null, signal: NodeJS.Signals | null): string => (signal === null ? `exit code ${code}` : `signal ${signal}`);
  if (child.pid === undefined) return Promise.resolve('it could not be run');
  if (hasEnded(child)) return Promise.resolve(describe(child.exitCode, child.signalCode));
  return new Promise((done) => child.once('exit', (code, signal) => done(describe(code, signal))));
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || hasEnded(child)) return;
  try {
    // SIGKILL takes the whole group; the gentler ones are for the part itself, which ends its children in its own way.
    process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
  } catch {
    child.kill(signal);
  }
}
