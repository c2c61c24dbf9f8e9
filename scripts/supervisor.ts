import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningPart } from './leftover-parts.ts';
import type { Part } from './part.ts';
import { PartLog } from './part-log.ts';
import { PartRunner } from './part-runner.ts';
import type { StackConsole } from './stack-console.ts';

const LINES_SHOWN = 12;
const LINE_CHARACTERS_SHOWN = 300;

/** Runs the parts of a stack and stops them in order. `DATA_DIR/running.json` names their processes while they run. */
export class Supervisor {
  readonly #runners: PartRunner[] = [];
  readonly #dataDir: string;
  readonly #console: StackConsole;
  readonly #processes: Record<string, RunningPart> = {};
  #stopping = false;

  constructor(dataDir: string, console: StackConsole) {
    this.#dataDir = dataDir;
    this.#console = console;
  }

  /**
   * Starts parts side by side.
   * @returns when all of them are ready
   * @throws PartFailed, with the part's last log lines
   */
  async start(parts: readonly Part[]): Promise<void> {
    await Promise.all(parts.map((part) => this.#startOne(part)));
  }

  /** Stops everything, the higher layers first; takes at most the longest patience of each layer. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const layers = [...new Set(this.#runners.map(({ part }) => part.layer))].toSorted((a, b) => b - a);
    const stopping: Promise<void>[] = [];
    for (const layer of layers) {
      const runners = this.#runners.filter(({ part }) => part.layer === layer);
      const ended = Promise.all(runners.map((runner) => runner.stop()));
      stopping.push(ended.then(() => undefined));
      const headStartMs = Math.max(...runners.map(({ part }) => part.headStartMs ?? Number.POSITIVE_INFINITY));
      // Who needs no head start is waited for, and so is everything that has been let go before it.
      await (Number.isFinite(headStartMs) ? Promise.race([ended, delay(headStartMs, undefined, { ref: false })]) : Promise.all(stopping));
    }
    await Promise.all(stopping);
    rmSync(this.#file, { force: true });
  }

  /** Stops everything at once, without order. */
  async killAll(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#runners.map((runner) => runner.killAtOnce()));
    rmSync(this.#file, { force: true });
  }

  async #startOne(part: Part): Promise<void> {
    const log = new PartLog(join(this.#dataDir, 'logs', `${part.name}.log`));
    const runner = new PartRunner(part, { log, console: this.#console, onSpawn: (pid, lastArgument) => this.#remember(part.name, { pid, port: part.port, lastArgument }) });
    if (this.#stopping) throw new Error(`${part.name} is not started: the stack is being stopped`);
    this.#runners.push(runner);
    try {
      await runner.start();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const lines = log.lastLines.slice(-LINES_SHOWN).map((line) => line.slice(0, LINE_CHARACTERS_SHOWN));
      const told = lines.length === 0 ? 'It wrote nothing.' : `Its last lines, whole in logs/${part.name}.log:\n${lines.join('\n')}`;
      throw new Error(`${message}\n${told}`, { cause: error });
    }
    if (!this.#stopping) this.#console.progress(`${part.name} is ready (port ${part.port})`);
  }

  get #file(): string {
    return join(this.#dataDir, 'running.json');
  }

  #remember(name: string, running: RunningPart): void {
    this.#processes[name] = running;
    const unfinished = `${this.#file}.unfinished`;
    writeFileSync(unfinished, `${JSON.stringify({ pid: process.pid, parts: this.#processes }, undefined, 2)}\n`);
    renameSync(unfinished, this.#file);
  }
}
