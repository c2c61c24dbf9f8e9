import type { Command } from './die-with-parent.ts';

/** How a part's process is started. */
export interface Launch extends Command {
  /** The whole environment of the process. */
  readonly env: NodeJS.ProcessEnv;
}

/** A signal, and how long the part may take to end after it. */
export interface StopStep {
  readonly signal: NodeJS.Signals;
  readonly patienceMs: number;
}

/** One process of the stack, as the supervisor sees it. */
export interface Part {
  readonly name: string;
  /** Parts of higher layers use those of lower ones, and are stopped before them. */
  readonly layer: number;
  readonly port: number;
  /** What must be done before each start; tells the command. An error counts as a failed start. */
  launch(): Promise<Launch>;
  /** Whether it does its work. An error means that it never will. */
  isReady(): Promise<boolean>;
  /** Tried in this order; after the last one comes SIGKILL. */
  readonly stopSteps: readonly StopStep[];
  /** The layers below are stopped when it has ended or this time has passed; default: only when it has ended. */
  readonly headStartMs?: number;
  /** What a person should read of a line that the part wrote; `undefined`: nothing. */
  notice(line: string): string | undefined;
}
