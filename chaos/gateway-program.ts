import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { composeSupergraph } from '../rover/compose.ts';
import { dieWithParent } from '../scripts/die-with-parent.ts';
import { ORCHARD } from './gateway-orchard.ts';
import type { Memory } from './gateway-probe.ts';

/** The gateway as a program of its own, before the subgraphs of the orchard. */
export interface GatewayProgram {
  readonly port: number;
  readonly pid: number;
  /** What it has logged, a line each; those who read them may take them away. */
  readonly lines: string[];
  /** How it ended by itself; undefined as long as it runs. */
  ended(): string | undefined;
  /** After its garbage was collected. */
  memory(): Promise<Memory>;
  /** The sum of a metric over its labels. @throws Error when there is no such metric */
  metric(name: string): Promise<number>;
  /** Asks it to stop. @returns its exit code */
  stop(): Promise<number | null>;
}

const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;
const HERE = import.meta.dirname;

/** @param args further options of the gateway. @throws Error with its log when it does not start */
export async function startProgram(args: readonly string[] = []): Promise<GatewayProgram> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-chaos-'));
  const orchard = fork(join(HERE, 'gateway-subgraphs.ts'), { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [{ urls }] = (await once(orchard, 'message')) as [{ readonly urls: Readonly<Record<string, string>> }];
  const supergraph = await composeOrchard(folder, urls);
  const child = startGateway(folder, ['--supergraph', supergraph, '--port', '0', '--no-auth', ...args]);
  const lines = linesOf(child);
  let end: string | undefined;
  let isStopping = false;
  const exited = once(child, 'exit').then(([code, signal]) => {
    if (!isStopping) end = `it ended by itself (${String(signal ?? code)})`;
    return code as number | null;
  });
  const port = await portIn(lines, () => end);
  return {
    port,
    pid: child.pid ?? 0,
    lines,
    ended: () => end,
    memory: async () => {
      child.send('memory');
      return ((await once(child, 'message')) as [Memory])[0];
    },
    metric: (name) => readMetric(port, name),
    stop: async () => {
      isStopping = true;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      const code = await exited;
      clearTimeout(force);
      orchard.kill('SIGKILL');
      await rm(folder, { recursive: true });
      return code;
    },
  };
}

async function composeOrchard(folder: string, urls: Readonly<Record<string, string>>): Promise<string> {
  const entries: string[] = [];
  for (const [name, schema] of Object.entries(ORCHARD)) {
    await writeFile(join(folder, `${name}.graphql`), schema);
    entries.push(`  ${name}:\n    routing_url: ${urls[name]}\n    schema: { file: ${name}.graphql }\n`);
  }
  await writeFile(join(folder, 'supergraph.yaml'), `federation_version: =2.14.4\nsubgraphs:\n${entries.join('')}`);
  const file = join(folder, 'supergraph.graphql');
  await writeFile(file, await composeSupergraph(join(folder, 'supergraph.yaml')));
  return file;
}

function startGateway(folder: string, args: readonly string[]): ChildProcess {
  const probe = ['--expose-gc', '--import', join(HERE, 'gateway-probe.ts')];
  const { file, args: all } = dieWithParent({ file: process.execPath, args: [...probe, join(HERE, '../gateway/src/main.ts'), ...args] });
  const environment = { PATH: process.env['PATH'], NODE_ENV: 'production', NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };
  // In a group of its own: Ctrl-C in the terminal is for the one who runs the attack.
  return spawn(file, all, { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true });
}

function linesOf(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const pieces = (rest + text).split('\n');
      rest = pieces.pop() ?? '';
      lines.push(...pieces);
    });
    stream?.on('end', () => rest !== '' && lines.push(rest));
  }
  return lines;
}

async function portIn(lines: readonly string[], ended: () => string | undefined): Promise<number> {
  for (const until = Date.now() + READY_WITHIN_MS; Date.now() < until && ended() === undefined; await delay(20)) {
    const found = /http:\/\/127\.0\.0\.1:(\d+)\/graphql/.exec(lines.join('\n'))?.[1];
    if (found !== undefined) return Number(found);
  }
  throw new Error(`The gateway does not start: ${ended() ?? 'it says nothing'}\n${lines.join('\n')}`);
}

async function readMetric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const values = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  if (!text.includes(`# TYPE ${name} `)) throw new Error(`There is no metric ${name}`);
  return values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
