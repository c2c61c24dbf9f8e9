import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect, parseArgs } from 'node:util';
import { attack, badLines, leftBehind } from './gateway-attack.ts';
import { percentile, startBystander, type Bystander, type BystanderReport } from './gateway-bystander.ts';
import { HOSTILE, sendHostile } from './gateway-hostile.ts';
import type { Memory } from './gateway-probe.ts';
import { startProgram, type GatewayProgram } from './gateway-program.ts';
import { createTarget, type Target } from './gateway-target.ts';

/** The gateway among those who send it what nobody should, and whether it kept its word to the one who does not. */
const HELP = `Usage: npm run chaos:gateway -- [options]

The gateway as a program of its own, before two subgraphs that never fail. It is sent malformed requests over HTTP, WebSocket, Server-Sent
Events and multipart: broken framing, broken JSON, mutated documents, values of wrong types, sequences that the protocols forbid, floods, and
connections that end anywhere. Meanwhile a bystander sends a sound query every 20 ms and looks at the answer. Then hostile queries: deep, wide,
aliased, bombs of fragments, huge variables.

  --requests <n>   malformed ones; default: 100000 (0: none)
  --width <n>      of them at the same time; default: 32
  --rounds <n>     of hostile queries, one after the other, each text a new one; default: 40 (0: none)
  --hostile        those alone
  --seed <n>       what is sent depends on it alone; default: the time
  --only <n>       makes the attack of this number alone, and shows what came back

Ends with 1 when the gateway ends by itself; answers with a 5xx, with INTERNAL or not at all; tells of its insides; logs an error; holds sockets or
subscriptions when all have gone; has a heap more than 10 % and 10 MB larger at the end than after a fifth; accepts a hostile query; or gives the
bystander a wrong answer. How long answers take is told beside its goal: other work on the machine stretches it.`;

const SLICES = 5;
const SETTLE_MS = 1_500;
const HEAP_GROWTH_MAX = 1.1;
const HEAP_SLACK_BYTES = 10_000_000;
const GOALS = { refusedMs: 50, bystanderP99Ms: 100 };
const SHOWN_FINDINGS_MAX = 15;

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    width: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '40' },
    hostile: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    only: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const tell = (line: string): void => void process.stdout.write(`${line}\n`);
const wrong: string[] = [];
const complain = (problem: string): void => {
  wrong.push(problem);
  tell(`WRONG ${problem}`);
};

if (options.help) {
  tell(HELP);
} else {
  const [requests, width, rounds, seed] = [options.requests, options.width, options.rounds, options.seed].map(Number) as [number, number, number, number];
  if (![requests, width, rounds, seed].every((number) => Number.isInteger(number) && number >= 0) || width === 0) throw new Error('--requests, --width, --rounds and --seed take whole numbers');
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
  try {
    await run({ requests: options.hostile ? 0 : requests, width, rounds, seed, signal: interrupted.signal });
  } catch (error) {
    complain(inspect(error));
  }
  tell(wrong.length === 0 ? 'Nothing was wrong.' : `${wrong.length} things were wrong; --seed ${seed} sends the same again.`);
  process.exit(wrong.length === 0 ? 0 : 1);
}

interface Run {
  readonly requests: number;
  readonly width: number;
  readonly rounds: number;
  readonly seed: number;
  readonly signal: AbortSignal;
}

async function run(all: Run): Promise<void> {
  const program = await startProgram();
  const bystander = startBystander(program.port);
  try {
    if (options.only !== undefined) return await runOne(program, all.seed, Number(options.only));
    await delay(SETTLE_MS);
    bystanderTold('before', await bystander.report());
    if (all.requests > 0) await sendMalformed(program, bystander, all);
    if (all.rounds > 0) await sendAllHostile(program, bystander, all.rounds);
  } finally {
    await bystander.stop();
    const end = program.ended();
    if (end !== undefined) complain(`the gateway: ${end}; ${program.lines.slice(-5).join('\n')}`);
    const code = await program.stop();
    if (end === undefined && code !== 0) complain(`the gateway does not stop by itself: it ends with ${code}`);
  }
}

async function runOne(program: GatewayProgram, seed: number, number: number): Promise<void> {
  const target = createTarget(program.port);
  const shown: Target = { ...target, attempt: async (attempt) => {
    const received = await target.attempt(attempt);
    tell(inspect({ ...attempt, received }, { maxStringLength: 2_000, depth: 4 }));
    return received;
  } };
  await attack({ target: shown, seed, from: number, to: number + 1, width: 1 });
  for (const { problem } of target.findings) complain(problem);
  for (const line of program.lines) tell(line);
}

async function sendMalformed(program: GatewayProgram, bystander: Bystander, { requests, width, seed, signal }: Run): Promise<void> {
  tell(`${requests} malformed requests, ${width} at a time, --seed ${seed}`);
  const target = createTarget(program.port);
  const memories: Memory[] = [];
  let attackMs = 0;
  let told = 0;
  for (let slice = 0; slice < SLICES; slice += 1) {
    const startedAt = Date.now();
    const [from, to] = [slice, slice + 1].map((index) => Math.floor((requests * index) / SLICES)) as [number, number];
    const done = (number: number): void => {
      for (const finding of target.findings.slice(told)) if ((told += 1) <= SHOWN_FINDINGS_MAX) tell(`  attack about ${number}, ${finding.kind}: ${finding.problem}\n    sent ${finding.sent}\n    came ${finding.received}`);
      if (program.ended() !== undefined) throw new Error(`the gateway is gone about attack ${number}`);
    };
    await attack({ target, seed, from, to, width, signal, done });
    attackMs += Date.now() - startedAt;
    const end = program.ended();
    if (end !== undefined) throw new Error(`before attack ${to} ${end}`);
    bystanderTold(`during ${from} to ${to}`, await bystander.report());
    // Connections that were cut are noticed, and what was under way ends.
    await delay(SETTLE_MS);
    memories.push(await program.memory());
    const { heap, external, rss } = memories.at(-1) as Memory;
    tell(`${String((slice + 1) * 20).padStart(3)} %: heap ${mb(heap)}, external ${mb(external)}, RSS ${mb(rss)}, ${Math.round(((to - from) * 1_000) / (Date.now() - startedAt - SETTLE_MS))} a second`);
    const bad = badLines(program);
    if (bad.length > 0) complain(`${bad.length} lines of the log: ${bad.slice(0, 3).join('\n')}`);
    await bystander.report();
  }
  for (const left of await leftBehind(program)) complain(`when all have gone, ${left}`);
  const [first, last] = [memories[0], memories.at(-1)] as [Memory, Memory];
  for (const part of ['heap', 'external'] as const) if (last[part] > first[part] * HEAP_GROWTH_MAX + HEAP_SLACK_BYTES) complain(`the ${part} has grown from ${mb(first[part])} to ${mb(last[part])}`);
  if (target.findings.length > 0) complain(`${target.findings.length} answers`);
  const tries = [...target.kinds.values()].reduce((sum, count) => sum + count, 0);
  tell(`${tries} connections for ${requests} requests in ${(attackMs / 1_000).toFixed(0)} s: ${table(target.kinds)}`);
  tell(`came back: ${table(target.outcomes)}`);
}

async function sendAllHostile(program: GatewayProgram, bystander: Bystander, rounds: number): Promise<void> {
  tell(`${rounds} rounds of ${Object.keys(HOSTILE).length} hostile queries`);
  await bystander.report();
  const durations: number[] = [];
  for (const [name, hostile] of Object.entries(HOSTILE)) {
    const own: number[] = [];
    let refusal = '';
    for (let round = 0; round < rounds; round += 1) {
      const refused = await sendHostile(program.port, hostile, round);
      own.push(refused.milliseconds);
      refusal = `${refused.status} ${refused.code} ${refused.reason}`;
      if (refused.status < 400 || refused.status >= 500) complain(`${name}: ${refusal}`);
    }
    durations.push(...own);
    tell(`  ${name.padEnd(30)} ${spread(own.toSorted((a, b) => a - b))}  ${refusal}`);
  }
  const all = durations.toSorted((a, b) => a - b);
  goal(`all refused in ${spread(all)}`, percentile(all, 99) <= GOALS.refusedMs, `p99 ≤ ${GOALS.refusedMs} ms`);
  bystanderTold('meanwhile', await bystander.report());
  const bad = badLines(program);
  if (bad.length > 0) complain(`${bad.length} lines of the log: ${bad.slice(0, 3).join('\n')}`);
}

function bystanderTold(when: string, { durations, problems }: BystanderReport): void {
  for (const problem of problems) complain(`the bystander got: ${problem}`);
  if (durations.length === 0) complain(`the bystander got nothing ${when}`);
  goal(`bystander ${when}: ${durations.length} answers in ${spread(durations)}`, percentile(durations, 99) <= GOALS.bystanderP99Ms, `p99 ≤ ${GOALS.bystanderP99Ms} ms`);
}

function goal(figures: string, isReached: boolean, text: string): void {
  tell(`${figures}; goal ${text}: ${isReached ? 'reached' : 'MISSED'} (load average ${(loadavg()[0] ?? 0).toFixed(1)})`);
}

function spread(durations: readonly number[]): string {
  return [`p50 ${percentile(durations, 50).toFixed(1)}`, `p99 ${percentile(durations, 99).toFixed(1)}`, `max ${(durations.at(-1) ?? 0).toFixed(1)} ms`].join(', ');
}

function mb(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function table(counts: ReadonlyMap<string, number>): string {
  return [...counts].sort(([, a], [, b]) => b - a).map(([name, count]) => `${name} ${count}`).join(', ');
}
