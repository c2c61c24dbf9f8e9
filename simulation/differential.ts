import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { compileOperation } from '../gateway/src/execution/compile-operation.ts';
import { createCases } from './differential/cases.ts';
import { addToTally, createTally, describeCase, describeFailure, describeTally, isFailure } from './differential/report.ts';

/**
 * Compares the gateway's executor with Apollo's, and with a plain one that follows the specification word by word, over
 * drawn supergraphs, operations and answers of subgraphs: `npm run differential -- --cases 100000 --seed 1`. A case that
 * fails is told with what shows it alone: `--seed <seed> --case <number>`.
 */
const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '20261122' },
    case: { type: 'string' },
  },
});
const FAILURES_TOLD_MAX = 20;
const PROGRESS_EVERY = 5_000;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.env['APOLLO_TELEMETRY_DISABLED'] = 'true';
const seed = Number(options.seed);
const caseOf = createCases(seed, compileOperation);

if (options.case === undefined) {
  const count = Number(options.cases);
  const tally = createTally();
  const startedAt = performance.now();
  let failures = 0;
  for (let number = 0; number < count; number += 1) {
    const checked = await caseOf(number);
    addToTally(tally, checked);
    if (isFailure(checked)) {
      failures += 1;
      if (failures <= FAILURES_TOLD_MAX) print(describeFailure(checked, seed));
    }
    const done = number + 1;
    if (done % PROGRESS_EVERY === 0) print(`${done} of ${count} cases, ${(done / ((performance.now() - startedAt) / 1_000)).toFixed(0)} per second, ${failures} failed`);
  }
  print(describeTally(tally));
  if (failures > 0) process.exitCode = 1;
} else {
  const checked = await caseOf(Number(options.case));
  print(describeCase(checked));
  if (isFailure(checked)) {
    print(describeFailure(checked, seed));
    process.exitCode = 1;
  }
}
