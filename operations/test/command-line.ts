import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { compileCache } from '../../scripts/test-service.ts';

/** A command that is under way. */
export interface RunningCommand {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Program = 'events' | 'ledger' | 'rebuild' | 'users';

const PROJECT_DIR = resolve(import.meta.dirname, '../..');

/** Starts `operations/<program>.ts` as npm would, with this environment and nothing else of ours in it. */
export function startCommand(program: Program, args: readonly string[], environment: NodeJS.ProcessEnv): RunningCommand {
  const env = { PATH: process.env['PATH'], ...compileCache(), ...environment };
  const child = spawn(process.execPath, [`operations/${program}.ts`, ...args], { cwd: PROJECT_DIR, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (part: string) => (text[name] += part));
  const ended = new Promise<Ended>((done) => child.once('close', (code) => done({ code, ...text })));
  return { child, stdout: () => text.stdout, stderr: () => text.stderr, ended };
}

export function runCommand(program: Program, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Ended> {
  return startCommand(program, args, environment).ended;
}
