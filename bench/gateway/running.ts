import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pinned, type Cores } from './child.ts';
import { commandOf, type GatewayName, type Settings, type SettingsFiles } from './gateways.ts';

/** A gateway that answers. */
export interface RunningGateway {
  readonly name: GatewayName;
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 100;
const STOP_WITHIN_MS = 3_000;
const LOG_LENGTH_MAX = 800;

/** @throws Error with the end of its log when it does not answer within half a minute. */
export async function startGateway(name: GatewayName, settings: Settings, files: SettingsFiles, cores: Cores): Promise<RunningGateway> {
  const port = await freePort();
  const [program, ...args] = pinned(cores, commandOf(name, port, settings, files));
  const logFile = join(settings.folder, `${name}.log`);
  const log = openSync(logFile, 'w');
  // A group of its own, so that what it starts is stopped with it.
  const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true, env: { PATH: process.env['PATH'], HOME: settings.folder, NODE_ENV: 'production' } });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  const running = { name, pid: child.pid ?? 0, port, stop: () => stopGroup(child.pid, ended) };
  const problem = await Promise.race([answersAt(port, settings.tokens.authorizations[0] ?? ''), ended.then(() => 'it has ended')]);
  if (problem === null) return running;
  await running.stop();
  throw new Error(`${problem}; its log ends with: ${readFileSync(logFile, 'utf8').trim().slice(-LOG_LENGTH_MAX).replaceAll(/\s+/g, ' ')}`);
}

/** @returns the problem, or null as soon as an operation is answered */
async function answersAt(port: number, authorization: string): Promise<string | null> {
  let problem = '';
  for (const until = Date.now() + READY_WITHIN_MS; Date.now() < until; ) {
    try {
      const headers = { 'content-type': 'application/json', authorization };
      const answer = await fetch(`http://127.0.0.1:${port}/graphql`, { method: 'POST', headers, body: '{"query":"{ __typename }"}', signal: AbortSignal.timeout(READY_WITHIN_MS) });
      const text = await answer.text();
      if (answer.ok && text.includes('"Query"')) return null;
      problem = `it answers ${answer.status}: ${text.slice(0, LOG_LENGTH_MAX)}`;
    } catch (error) {
      problem = `it does not answer (${(error as Error).message})`;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
  return problem;
}

async function stopGroup(pid: number | undefined, ended: Promise<void>): Promise<void> {
  if (pid === undefined) return;
  signalGroup(pid, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), STOP_WITHIN_MS);
  await ended;
  clearTimeout(timer);
  signalGroup(pid, 'SIGKILL');
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
