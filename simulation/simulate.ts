import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { decisions } from './decisions.ts';
import { makeWorld } from './history.ts';
import { simulate, type Decisions } from './simulation.ts';
import { Tape } from './tape.ts';

/**
 * Simulates the event pipe for as long as one likes: `npm run simulate -- --seeds 100000`. A failure is printed with what
 * replays it: `npm run simulate -- --seed <seed> --path <path>`.
 */
const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100000' },
    seed: { type: 'string', default: '20261121' },
    path: { type: 'string' },
  },
});
const CHUNK = 2_000;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const startedAt = performance.now();
const count = options.path === undefined ? Number(options.seeds) : 1;

/** What there was, and what happened to it. */
async function trace(drawn: Decisions): Promise<void> {
  const { histories, poison } = makeWorld(new Tape(drawn.world));
  for (const { stream, happenings, messages } of histories) {
    print(`\n${stream}: ${happenings.map(({ id, aggregateId, version, event }) => `v${version} of ${aggregateId}${event === null ? ' (unknown)' : ''}${poison.has(id) ? ' (poison)' : ''}`).join(', ')}`);
    messages.forEach(({ partition, id, text }, index) => print(`  ${index + 1} of ${partition}: ${id} ${/"data":\{"version":\d+/.exec(text)?.[0] ?? text}`));
  }
  print('');
  await simulate(drawn, { tell: print }).catch((error: unknown) => print(String(error)));
}

for (let done = 0; done < count; done += CHUNK) {
  const seed = Number(options.seed) + done / CHUNK;
  const property = fc.asyncProperty(decisions, (drawn) => simulate(drawn));
  const details = await fc.check(property, { seed, numRuns: Math.min(CHUNK, count - done), ...(options.path !== undefined && { path: options.path }) });
  if (details.failed) {
    const [drawn] = details.counterexample ?? [];
    print(`${String(details.errorInstance)}\n`);
    print(`seed ${details.seed}, path ${details.counterexamplePath}`);
    // Where it began: made smaller again, it ends at the same.
    print(`To replay it: npm run simulate -- --seed ${details.seed} --path ${details.counterexamplePath?.split(':')[0]}`);
    if (drawn !== undefined) await trace(drawn);
    process.exitCode = 1;
    break;
  }
  const total = Math.min(done + CHUNK, count);
  const perSecond = total / ((performance.now() - startedAt) / 1_000);
  print(`${total} of ${count} runs, ${perSecond.toFixed(0)} per second: nothing wrong`);
}
