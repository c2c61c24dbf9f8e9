import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { dieWithParent } from '../scripts/die-with-parent.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';

/** The processes of a stack. */
export type PartName = 'postgres' | 'nats' | 'users' | 'tasks' | 'accounting' | 'analytics' | 'gateway';

export interface StackOptions {
  /** Default: a temporary folder, which `stop` deletes. A given one stays. */
  readonly dataDir?: string;
  /** Of the gateway; default: a free one. */
  readonly port?: number;
  /** More environment for the stack. */
  readonly environment?: NodeJS.ProcessEnv;
}

export interface GraphqlAnswer<Data> {
  /** HTTP status. */
  readonly status: number;
  readonly data?: Data | null;
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[];
}

/** A real stack, started by the same program as `npm start`. */
export interface Stack {
  /** The gateway's GraphQL endpoint. */
  readonly url: string;
  readonly wsUrl: string;
  readonly dataDir: string;
  /** From the start of the process to its being ready. */
  readonly startMs: number;
  /** What the stack has printed so far. */
  output(): string;
  /** The last lines of output and logs, for a failing test's message. */
  logTail(): string;
  /** Process ids of the parts that were started last. */
  partPids(): Readonly<Record<PartName, number>>;
  /** kill -9 for one part; the stack starts it again. */
  kill(part: PartName): void;
  /** Signals the stack as Ctrl-C or kill would, and waits for its end. */
  stop(signal?: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): Promise<{ readonly exitCode: number | null; readonly stopMs: number }>;
  /** Sends an operation to the gateway. Errors of GraphQL are in the answer; that nothing answers is thrown. */
  gql<Data = Record<string, unknown>>(query: string, variables?: object, token?: string): Promise<GraphqlAnswer<Data>>;
  /** An access token for one of the demo's users. */
  signIn(email: string, password?: string): Promise<string>;
}

const PROJECT_DIR = resolve(import.meta.dirname, '..');
const START_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 15_000;
const REQUEST_TIMEOUT_MS = 15_000;
const POLL_MS = 20;
const TAIL_LINES = 25;
const TAIL_LINE_CHARACTERS = 300;
const READY_LINE = /^aTES is ready after/m;
const DEMO_PASSWORD = 'popug';
const LOGIN = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }';

/** Waits until `probe` gives something else than `undefined` or `false`; throws with `what` after `timeoutMs`. */
export async function until<Result>(what: string, timeoutMs: number, probe: () => Promise<Result | undefined | false> | Result | undefined | false): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const result = await probe();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(POLL_MS);
  }
}

/** The project's start program as a process, with everything it prints. It ends with this process. */
export function spawnStart(environment: NodeJS.ProcessEnv): { readonly child: ChildProcess; readonly output: () => string; readonly ended: Promise<number | null> } {
  const { file, args } = dieWithParent({ file: process.execPath, args: ['scripts/start.ts'] });
  const child = spawn(file, args, { cwd: PROJECT_DIR, env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)));
  return { child, output: () => output, ended };
}

/**
 * Starts the whole stack and waits until it is ready.
 * @throws with its output and the tails of its logs when it isn't within 90 s
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), `ates-e2e-${process.pid}-`));
  const [freePort = 0] = await chooseFreePorts(1);
  const port = options.port ?? freePort;
  const startedAt = performance.now();
  const { child, output, ended } = spawnStart({ PORT: String(port), DATA_DIR: dataDir, ...options.environment });
  const logTail = (): string => `The stack printed:\n${tail(output())}\n${logTails(dataDir)}`;
  await until('the stack is ready', START_TIMEOUT_MS, () => child.exitCode !== null || READY_LINE.test(output())).catch(() => child.kill('SIGKILL'));
  if (!READY_LINE.test(output())) throw new Error(`The stack did not start.\n${logTail()}`);
  const startMs = Math.round(performance.now() - startedAt);

  const url = `http://127.0.0.1:${port}/graphql`;
  const partPids = (): Record<PartName, number> => pidsOf(dataDir);
  const gql: Stack['gql'] = (query, variables = {}, token) => send({ url, query, variables, token, logTail });
  return {
    url,
    wsUrl: url.replace('http', 'ws'),
    dataDir,
    startMs,
    output,
    logTail,
    partPids,
    kill: (part) => void process.kill(partPids()[part], 'SIGKILL'),
    gql,
    signIn: async (email, password = DEMO_PASSWORD) => {
      const { data, errors } = await gql<{ login: { accessToken: string } }>(LOGIN, { email, password });
      if (data == null) throw new Error(`${email} could not sign in: ${JSON.stringify(errors)}\n${logTail()}`);
      return data.login.accessToken;
    },
    stop: async (signal = 'SIGINT') => {
      const signalledAt = performance.now();
      child.kill(signal);
      const exitCode = await Promise.race([ended, delay(STOP_TIMEOUT_MS, 'late' as const, { ref: false })]);
      if (exitCode === 'late') {
        child.kill('SIGKILL');
        throw new Error(`The stack did not stop within ${STOP_TIMEOUT_MS} ms.\n${logTail()}`);
      }
      const stopMs = Math.round(performance.now() - signalledAt);
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true, maxRetries: 10 });
      return { exitCode, stopMs };
    },
  };
}

interface Request {
  readonly url: string;
  readonly query: string;
  readonly variables: object;
  readonly token: string | undefined;
  readonly logTail: () => string;
}

async function send<Data>({ url, query, variables, token, logTail }: Request): Promise<GraphqlAnswer<Data>> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    return { status: response.status, ...((await response.json()) as object) };
  } catch (error) {
    throw new Error(`The gateway gave no GraphQL answer (${String(error)}).\n${logTail()}`, { cause: error });
  }
}

function pidsOf(dataDir: string): Record<PartName, number> {
  const { parts } = JSON.parse(readFileSync(join(dataDir, 'running.json'), 'utf8')) as { parts: Record<string, { pid: number }> };
  return Object.fromEntries(Object.entries(parts).map(([name, { pid }]) => [name, pid])) as Record<PartName, number>;
}

function tail(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .slice(-TAIL_LINES)
    .map((line) => line.slice(0, TAIL_LINE_CHARACTERS))
    .join('\n');
}

function logTails(dataDir: string): string {
  try {
    const names = readdirSync(join(dataDir, 'logs')).filter((name) => name.endsWith('.log'));
    return names.map((name) => `--- ${name}\n${tail(readFileSync(join(dataDir, 'logs', name), 'utf8'))}`).join('\n');
  } catch {
    return '(it has no logs yet)';
  }
}
