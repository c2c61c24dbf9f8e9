import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { composeSupergraph } from '../rover/compose.ts';
import type { Memory } from './subscriptions-probe.ts';
import { freePort, memoryOf, startPart, startTokens, type Part } from './subscriptions-processes.ts';

/**
 * Many clients with subscriptions on one gateway: what each of them takes, how fast they come, how fast one event reaches thousands, and how soon
 * a private one reaches its one client. Each figure is printed next to its goal, reached or not.
 */
const HELP = `Usage: npm run bench:subscriptions -- [options]

One gateway process, as it is started by hand, with its limits, logs and metrics; a canned subgraph and the clients are processes of their own.
Each client has a socket, a user with a token of their own, and one subscription to an account of its own.

memory: resident (RSS) and JavaScript's own (heap and buffers), after the garbage is collected, over what the server took after
--warmup clients had come and gone; beside it graphql-ws and a bare handler of ws, which do less: no upstream, no tokens
rate of connecting: from the first socket until the last subscription is at the subgraph
fan-out: one event goes to so many clients, in rounds one after the other; from the subgraph's sending until the last client has it; median.
Beside it the CPU time that the gateway takes for each message, which other work on the machine does not stretch
private events: evenly over time, each to one of all clients; how long until that one has it

  --clients <n>     default: 10000 (mind ulimit -n: each takes a file in two processes)
  --warmup <n>      default: 500
  --fanout <n>      clients that one event goes to; default: 5000
  --rounds <n>      default: 30
  --rate <n>        private events per second; default: 200
  --seconds <n>     default: 20
  --no-auth         no tokens
  --no-references   the gateway alone

Ends with 1 when an event is lost or comes to somebody else. A goal that is missed is only told.`;

const GOALS = { kilobytesEach: 20, messagesPerSecond: 50_000, privateP99Ms: 50 };

const { values: options } = parseArgs({
  options: {
    clients: { type: 'string', default: '10000' },
    warmup: { type: 'string', default: '500' },
    fanout: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '30' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    'no-auth': { type: 'boolean', default: false },
    'no-references': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [clients, warmup] = [Number(options.clients), Number(options.warmup)];
const startedAt = performance.now();

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

function figure(what: string, value: string, goal?: { readonly text: string; readonly isReached: boolean }): void {
  say(`${what.padEnd(52)} ${value.padStart(14)}${goal === undefined ? '' : `   goal ${goal.text}: ${goal.isReached ? 'reached' : 'MISSED'}`}`);
}

interface Loaded {
  readonly load: Part;
  readonly port: number;
  readonly tokens: readonly string[];
}

/** Lets the clients come; `isThere` resolves when the last subscription is where it goes. @returns how long that took, in seconds */
async function connect({ load, port, tokens }: Loaded, count: number, isThere: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await load.ask({ ask: 'open', opening: { port, first: 0, count, tokens: tokens.slice(0, count) } }, 'opened');
  await isThere();
  return (performance.now() - began) / 1_000;
}

/** What each client takes on a server; after it all of them are there. */
async function measureMemory(name: string, server: Part, loaded: Loaded, isThere: (count: number) => Promise<void>): Promise<void> {
  await connect(loaded, warmup, () => isThere(warmup));
  await loaded.load.ask({ ask: 'close' }, 'closed');
  await isThere(0);
  const before = await memoryOf(server);
  const seconds = await connect(loaded, clients, () => isThere(clients));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const after = await memoryOf(server);
  const each = (part: keyof Memory): number => (after[part] - before[part]) / clients / 1_024;
  const goal = name === 'gateway' ? { text: `≤ ${GOALS.kilobytesEach} KB`, isReached: each('rss') <= GOALS.kilobytesEach } : undefined;
  figure(`${name}: memory of a client, resident`, `${each('rss').toFixed(1)} KB`, goal);
  figure(`${name}: memory of a client, JavaScript's`, `${each('heap').toFixed(1)} KB`);
  figure(`${name}: the whole process, before and with them`, `${megabytes(before.rss)} → ${megabytes(after.rss)}`);
  figure(`${name}: rate of connecting`, `${Math.round(clients / seconds)}/s`);
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MB`;
}

async function measureFanOut({ load, gateway, subgraph }: Record<'load' | 'gateway' | 'subgraph', Part>): Promise<void> {
  const count = Math.min(Number(options.fanout), clients);
  load.tell({ ask: 'news', count });
  await counted(subgraph, clients + count);
  const times: number[] = [];
  const rounds = Number(options.rounds) + 5;
  const before = await gateway.ask<NodeJS.CpuUsage>({ ask: 'cpu' }, 'cpu');
  for (let round = 0; round < rounds; round += 1) {
    await load.ask({ ask: 'expect', count }, 'expecting');
    const fannedOut = load.answer<number>('fannedOutMs');
    subgraph.tell({ ask: 'broadcast', round });
    times.push(await fannedOut);
  }
  const ms = at(times.slice(5), 0.5);
  const perSecond = Math.round(count / (ms / 1_000));
  const goal = { text: `≥ ${GOALS.messagesPerSecond}/s`, isReached: perSecond >= GOALS.messagesPerSecond };
  const after = await gateway.ask<NodeJS.CpuUsage>({ ask: 'cpu' }, 'cpu');
  const cpu = (after.user + after.system - before.user - before.system) / (rounds * count);
  figure(`one event to ${count} clients: CPU of the gateway a message`, `${cpu.toFixed(1)} µs`);
  figure(`one event to ${count} clients: ${ms.toFixed(1)} ms, messages`, `${perSecond}/s`, goal);
}

async function measurePrivate(load: Part, subgraph: Part): Promise<boolean> {
  const [perSecond, seconds] = [Number(options.rate), Number(options.seconds)];
  const sent = await subgraph.ask<number>({ ask: 'drip', perSecond, seconds }, 'dripped');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const { latencies, problem } = await new Promise<{ latencies: number[]; problem?: string }>((resolve) => {
    void load.ask<number[]>({ ask: 'latencies' }, 'latencies').then((found) => resolve({ latencies: found }));
  });
  const p99 = at(latencies, 0.99);
  figure(`${perSecond} private events/s to ${clients} clients, p50`, `${at(latencies, 0.5).toFixed(1)} ms`);
  figure(`${perSecond} private events/s to ${clients} clients, p99`, `${p99.toFixed(1)} ms`, { text: `≤ ${GOALS.privateP99Ms} ms`, isReached: p99 <= GOALS.privateP99Ms });
  if (latencies.length === sent && problem === undefined) return true;
  say(`LOST: ${latencies.length} of ${sent} private events came`);
  return false;
}

async function counted(subgraph: Part, count: number): Promise<void> {
  while ((await subgraph.ask<number>({ ask: 'count' }, 'count')) !== count) await new Promise((resolve) => setTimeout(resolve, 10));
}

function at(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measureGateway(folder: string): Promise<boolean> {
  const subgraph = startPart({ file: 'subscriptions-subgraph.ts' });
  const subgraphPort = await subgraph.answer<number>('port');
  const load = startPart({ file: 'subscriptions-clients.ts' });
  const users = options['no-auth'] ? undefined : await startTokens(clients);
  const supergraph = await writeSupergraph(folder, subgraphPort);
  const port = await freePort();
  const auth = users === undefined ? ['--no-auth'] : ['--subgraph-secret', 'feed=a-secret-of-the-bench'];
  const gateway = startPart({ file: '../gateway/src/main.ts', args: ['--supergraph', supergraph, '--port', String(port), ...auth], env: { ...users?.env, LOG_LEVEL: 'info' }, isProbed: true });
  try {
    await until(async () => (await fetch(`http://127.0.0.1:${port}/graphql?query={__typename}`, { headers: { 'apollo-require-preflight': 'true' } })).ok);
    await measureMemory('gateway', gateway, { load, port, tokens: users?.tokens ?? [] }, (count) => counted(subgraph, count));
    await measureFanOut({ load, gateway, subgraph });
    return await measurePrivate(load, subgraph);
  } finally {
    users?.stop();
    await Promise.all([load, gateway, subgraph].map((part) => part.stop()));
  }
}

async function measureReference(name: string): Promise<void> {
  const server = startPart({ file: 'subscriptions-reference.ts', args: [name], isProbed: true });
  const load = startPart({ file: 'subscriptions-clients.ts' });
  try {
    const port = await server.answer<number>('port');
    await measureMemory(name, server, { load, port, tokens: [] }, () => new Promise((resolve) => setTimeout(resolve, 500)));
  } finally {
    await Promise.all([load.stop(), server.stop()]);
  }
}

async function writeSupergraph(folder: string, port: number): Promise<string> {
  const schema = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key"])
    type News { id: ID! text: String! at: Float! }
    type Change { account: ID! balance: Int! at: Float! }
    type Query { ok: Boolean }
    type Subscription { news: News! changed(account: ID!): Change! }`;
  await writeFile(join(folder, 'feed.graphql'), schema);
  await writeFile(join(folder, 'supergraph.yaml'), `federation_version: =2.14.4\nsubgraphs:\n  feed:\n    routing_url: http://127.0.0.1:${port}/graphql\n    schema: { file: feed.graphql }\n`);
  const file = join(folder, 'supergraph.graphql');
  await writeFile(file, await composeSupergraph(join(folder, 'supergraph.yaml')));
  return file;
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await look().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('The gateway does not answer after 30 seconds');
}

if (options.help) console.log(HELP);
else {
  const folder = await mkdtemp(join(tmpdir(), 'bench-subscriptions-'));
  try {
    if (!(await measureGateway(folder))) process.exitCode = 1;
    if (!options['no-references']) for (const name of ['graphql-ws', 'bare']) await measureReference(name);
  } finally {
    await rm(folder, { recursive: true });
  }
}
