import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { GuardMovedError, type Guard } from './guard.ts';
import { LEDGER_GUARDS } from './ledger-guards.ts';
import { MARKET_GUARDS } from './market-guards.ts';
import { ANALYTICS_GUARDS } from './analytics-guards.ts';
import { CLOSING_GUARDS } from './closing-guards.ts';
import { GATEWAY_GUARDS } from './gateway-guards.ts';
import { CONSUMER_GUARDS, PRODUCER_GUARDS } from './pipe-guards.ts';
import { Sandbox, type TestRun } from './sandbox.ts';

/**
 * Takes each guard of the code away once, in a copy of the working tree, and runs the test that must notice:
 * `npm run test:guards`, minutes. Exit code 1 when one is not noticed, has moved, or when the copy was red to begin with.
 */
const { values: options } = parseArgs({
  options: {
    /** Only guards whose names hold this. */
    only: { type: 'string', default: '' },
    /** Leaves out the run of the copy as it is. */
    'without-baseline': { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

const guards = [...CONSUMER_GUARDS, ...PRODUCER_GUARDS, ...LEDGER_GUARDS, ...CLOSING_GUARDS, ...ANALYTICS_GUARDS, ...MARKET_GUARDS, ...GATEWAY_GUARDS].filter(({ name }) => name.includes(options.only));
const REASON_WIDTH = 100;
const NAME_WIDTH = Math.max(...guards.map(({ name }) => name.length));

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function row(guard: string, verdict: string, test: string, seconds: string): void {
  print(`${guard.padEnd(NAME_WIDTH)}  ${verdict.padEnd(8)}  ${seconds.padStart(5)}  ${test}`);
}

/** All tests that are to notice something, on the copy as it is. @returns whether they are green */
async function baseline(sandbox: Sandbox): Promise<boolean> {
  const startedAt = performance.now();
  const { passed, failed, broken, output } = await sandbox.test([...new Set(guards.map(({ test }) => test))], guards.map(({ named }) => named));
  const isGreen = failed.length === 0 && broken === null && passed > 0;
  row('nothing taken away', isGreen ? 'green' : 'RED', isGreen ? `${passed} tests` : (broken ?? failed.join('; ')), secondsSince(startedAt));
  if (!isGreen) print(output);
  return isGreen;
}

async function tryGuard(sandbox: Sandbox, guard: Guard): Promise<boolean> {
  const startedAt = performance.now();
  const run = await sandbox.without(guard.edits, () => sandbox.test([guard.test], [guard.named]));
  const isNoticed = run.failed.length > 0;
  row(guard.name, isNoticed ? 'noticed' : 'SURVIVED', `${guard.test}: ${whatFailed(run)}`, secondsSince(startedAt));
  if (options.verbose || run.broken !== null) print(run.output);
  return isNoticed;
}

/** With its reason: a test that can not even begin shows nothing of the guard. */
function whatFailed({ passed, failed, reason, broken }: TestRun): string {
  return failed[0] === undefined ? (broken ?? `${passed} passed`) : `${failed[0]} (${reason.slice(0, REASON_WIDTH)})`;
}

function secondsSince(startedAt: number): string {
  return ((performance.now() - startedAt) / 1_000).toFixed(0);
}

const sandbox = new Sandbox();
process.once('SIGINT', () => {
  sandbox.remove();
  process.exit(130);
});
try {
  let isRed = !options['without-baseline'] && !(await baseline(sandbox));
  for (const guard of isRed ? [] : guards) {
    try {
      if (!(await tryGuard(sandbox, guard))) isRed = true;
    } catch (error) {
      if (!(error instanceof GuardMovedError)) throw error;
      row(guard.name, 'MOVED', error.message, '');
      isRed = true;
    }
  }
  process.exitCode = isRed ? 1 : 0;
} finally {
  sandbox.remove();
}
