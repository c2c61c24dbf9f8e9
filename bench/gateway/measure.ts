import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Place } from '../tasks-place.ts';
import type { CannedNews, CannedOrder } from './canned-server.ts';
import { canPin, startChild, type Child, type Cores } from './child.ts';
import { isPeer, writeSettings, type GatewayName, type Settings, type SettingsFiles } from './gateways.ts';
import type { LoadOrder, LoadResult } from './load-generator.ts';
import type { LoadNews } from './load-process.ts';
import { loadOf, type Load, type LoadName } from './loads.ts';
import { installPeers } from './peers.ts';
import { recordRecipes } from './recipes.ts';
import { startGateway, type RunningGateway } from './running.ts';
import { makeTokens } from './tokens.ts';

export interface BenchOptions {
  readonly place: Place;
  readonly gateways: readonly GatewayName[];
  readonly loads: readonly LoadName[];
  /** Measured for each load, gateway and repetition, in `rounds` slices of at least three seconds. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rounds: number;
  /** Each with new processes. */
  readonly repetitions: number;
  readonly connections: number;
  readonly operations: number;
  readonly say: (text: string) => void;
}

/** Loads as they are told: distinct operations are measured when they come for the first time, and when they come again. */
export type MeasuredLoad = LoadName | 'D again';

export interface Sample {
  readonly gateway: GatewayName;
  readonly load: MeasuredLoad;
  readonly repetition: number;
  readonly round: number;
  readonly result: LoadResult;
}

/** What is measured, and by whom not. */
export interface Measured {
  readonly samples: readonly Sample[];
  /** Why a gateway, or one of its loads, is missing. */
  readonly missing: readonly { readonly gateway: GatewayName; readonly load?: LoadName; readonly reason: string }[];
}

const TOKENS = 1_000;
/** Before a round that is not the first. */
const LEAD_IN_MS = 300;
/** Shorter ones would not be longer than what a slow gateway takes for an answer. */
const SLICE_SECONDS_MIN = 3;
const GATEWAY_CORES = '0';

interface Bench extends BenchOptions {
  readonly settings: Settings;
  readonly files: SettingsFiles;
  readonly subgraphs: Child<CannedOrder, CannedNews>;
  readonly load: Child<LoadOrder, LoadNews>;
  readonly samples: Sample[];
  readonly missing: { gateway: GatewayName; load?: LoadName; reason: string }[];
}

export async function measureGateways(options: BenchOptions): Promise<Measured> {
  const bench = await prepare(options);
  let gateways = [...options.gateways];
  const problem = gateways.some(isPeer) ? await installPeers(options.say) : null;
  if (problem !== null) {
    for (const gateway of gateways.filter(isPeer)) bench.missing.push({ gateway, reason: problem });
    gateways = gateways.filter((name) => !isPeer(name));
  }
  if (gateways.includes('reference')) await recordReference(bench);
  for (let repetition = 0; repetition < options.repetitions; repetition++) await repeat(bench, gateways, repetition);
  return bench;
}

async function prepare(options: BenchOptions): Promise<Bench> {
  const { place } = options;
  const others = otherCores();
  const starting = startChild<CannedOrder, CannedNews>(join(import.meta.dirname, 'canned-server.ts'), others);
  const startingLoad = startChild<LoadOrder, LoadNews>(join(import.meta.dirname, 'load-process.ts'), others);
  const makingTokens = makeTokens(TOKENS);
  for (const part of [starting, startingLoad, makingTokens]) place.stopAtEnd(part);
  const [subgraphs, load, tokens] = await Promise.all([starting, startingLoad, makingTokens]);
  const settings = { folder: place.folder, urls: subgraphs.hello.kind === 'listening' ? subgraphs.hello.urls : {}, tokens };
  return { ...options, settings, files: writeSettings(settings), subgraphs, load, samples: [], missing: [] };
}

/** All but the gateway's; undefined where programs can't be pinned. */
function otherCores(): Cores {
  const count = availableParallelism();
  return count < 2 || !canPin() ? undefined : `1-${count - 1}`;
}

function gatewayCores(): Cores {
  return otherCores() === undefined ? undefined : GATEWAY_CORES;
}

/** The reference makes the fetches that ours makes; a gateway of ours is started for that alone. */
async function recordReference(bench: Bench): Promise<void> {
  const loads = bench.loads.filter((name) => name !== 'D').map((name) => loadOf(name, bench.operations));
  const queries = [...new Set(loads.flatMap((load) => load.queries))];
  const gateway = (await started(bench, 'ours')) ?? (await started(bench, 'stock'));
  if (gateway === undefined) return;
  const counts = await recordRecipes({ gateway, subgraphs: bench.subgraphs, settings: bench.settings, queries, file: bench.files.recipes });
  const fetches = queries.map((query, index) => `${loads.filter((load) => load.queries[0] === query).map(({ name }) => name).join(', ')}: ${counts[index]}`);
  bench.say(`fetches that ${gateway.name} makes, and the reference as well: ${fetches.join('; ')}`);
  await gateway.stop();
}

async function started(bench: Bench, name: GatewayName): Promise<RunningGateway | undefined> {
  try {
    const starting = startGateway(name, bench.settings, bench.files, gatewayCores());
    bench.place.stopAtEnd(starting);
    return await starting;
  } catch (error) {
    const reason = (error as Error).message;
    if (!bench.missing.some(({ gateway }) => gateway === name)) bench.missing.push({ gateway: name, reason });
    bench.say(`${name} can't be started: ${reason}`);
    return undefined;
  }
}

async function repeat(bench: Bench, names: readonly GatewayName[], repetition: number): Promise<void> {
  const gateways: RunningGateway[] = [];
  for (const name of names) {
    const gateway = bench.missing.some((known) => known.gateway === name && known.load === undefined) ? undefined : await started(bench, name);
    if (gateway !== undefined) gateways.push(gateway);
  }
  for (const name of bench.loads) {
    bench.say(`repetition ${repetition + 1} of ${bench.repetitions}: ${name}`);
    const load = loadOf(name, bench.operations);
    const able = [];
    for (const gateway of gateways) if (await isAble(bench, gateway, load)) able.push(gateway);
    if (name === 'D') await distinct(bench, able, { load, repetition });
    else await interleaved(bench, able, { load, repetition });
  }
  for (const gateway of gateways) await gateway.stop();
}

/** Whether it answers rightly, once; for distinct operations that is seen when they are measured. */
async function isAble(bench: Bench, gateway: RunningGateway, load: Load): Promise<boolean> {
  if (load.name === 'D') return gateway.name !== 'reference';
  if (bench.missing.some((known) => known.gateway === gateway.name && known.load === load.name)) return false;
  const { errors, firstError } = await run(bench, gateway, { load, connections: 1, leadInMs: 0, until: { requests: 1 } });
  if (errors === 0) return true;
  bench.missing.push({ gateway: gateway.name, load: load.name, reason: firstError ?? '' });
  bench.say(`${gateway.name} does not do ${load.name}: ${firstError}`);
  return false;
}

interface Round {
  readonly load: Load;
  readonly repetition: number;
}

async function interleaved(bench: Bench, gateways: readonly RunningGateway[], { load, repetition }: Round): Promise<void> {
  const connections = load.connections ?? bench.connections;
  const rounds = Math.max(1, Math.min(bench.rounds, Math.floor(bench.seconds / SLICE_SECONDS_MIN)));
  for (let round = 0; round < rounds; round++) {
    const leadInMs = round === 0 ? bench.warmUpSeconds * 1_000 : LEAD_IN_MS;
    for (const gateway of gateways) {
      const result = await run(bench, gateway, { load, connections, leadInMs, until: { ms: (bench.seconds * 1_000) / rounds } });
      bench.samples.push({ gateway: gateway.name, load: load.name, repetition, round, result });
    }
  }
}

/** Each operation once, when the process has never seen it, then again and again in the same order. */
async function distinct(bench: Bench, gateways: readonly RunningGateway[], { load, repetition }: Round): Promise<void> {
  const { connections } = bench;
  for (const gateway of gateways) {
    const first = await run(bench, gateway, { load, connections, leadInMs: 0, until: { requests: load.queries.length } });
    const again = await run(bench, gateway, { load, connections, leadInMs: 0, until: { ms: bench.seconds * 1_000 } });
    bench.samples.push({ gateway: gateway.name, load: 'D', repetition, round: 0, result: first }, { gateway: gateway.name, load: 'D again', repetition, round: 0, result: again });
  }
}

async function run(bench: Bench, gateway: RunningGateway, { load, ...rest }: Pick<LoadOrder, 'connections' | 'leadInMs' | 'until'> & { readonly load: Load }): Promise<LoadResult> {
  const pids = { gateway: gateway.pid, subgraphs: bench.subgraphs.pid };
  const news = await bench.load.ask({ gateway: gateway.name, port: gateway.port, pids, queries: load.queries, tokens: bench.settings.tokens.authorizations, ...rest });
  if (news.kind === 'result') return news.result;
  const reason = news.kind === 'failed' ? news.problem : 'the load was not sent';
  return { requests: 0, perSecond: 0, errors: 1, firstError: reason, p50Ms: Number.NaN, p99Ms: Number.NaN, cpuMsPerRequest: Number.NaN, peakBytes: 0, otherCore: 0 };
}
