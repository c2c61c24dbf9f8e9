import { inspect, parseArgs } from 'node:util';
import { FAULTS } from './faults.ts';
import { runChaos, type ChaosReport } from './run.ts';

/**
 * The event pipe under load and faults, and whether it kept its word: 0 lost, 0 doubled, 0 inverted.
 *   npm run chaos:pipe -- --events 1000000 --kills 50 --rate 3000 --seed 7
 */
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    kills: { type: 'string', default: '50' },
    rate: { type: 'string', default: '3000' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
  },
});
const { events, kills, rate, seed } = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)])) as Record<keyof typeof values, number>;
if (![events, kills, rate, seed].every((number) => Number.isInteger(number) && number >= 0) || events * rate === 0) {
  throw new Error('--events, --kills, --rate and --seed take whole numbers');
}
const tell = (line: string): void => void process.stdout.write(`${line}\n`);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    tell(`${signal}: clearing up …`);
    interrupted.abort(new Error(`stopped by ${signal}`));
  });
}

tell(`${events} events at ${rate}/s, at least ${kills} kills, --seed ${seed}`);
const startedAt = Date.now();
try {
  const { house, report } = await runChaos({
    events,
    kills,
    rate,
    seed,
    freezeMaxMs: 12_000,
    // A store that is lost is filled again, and read again from its beginning.
    backWithinMs: 60_000 + events / 2,
    drainWithinMs: 60_000 + events * 2,
    tell,
    signal: interrupted.signal,
  });
  tell(table(report));
  const isBroken = report.violations.length > 0;
  await house.close({ keep: isBroken });
  if (isBroken) tell(`What is left of it is in ${house.folder}`);
  process.exitCode = isBroken ? 1 : 0;
} catch (error) {
  process.stderr.write(`${interrupted.signal.aborted ? 'Stopped; nothing is left of it.' : inspect(error)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
process.exit();

function table(report: ChaosReport): string {
  const countOf = (name: string): number => report.findings.find((finding) => finding.name === name)?.count ?? -1;
  const { unanswered, counts } = report.load;
  const rows: [string, string | number][] = [
    ['events committed', report.events],
    ['transactions', `${counts.transactions}, of them ${counts.held} held open, ${counts.rolledBack} rolled back`],
    ['commits unanswered', `${unanswered.committed + unanswered.lost}, of them ${unanswered.committed} committed`],
    ['postings', report.postings],
    ['messages in both streams', report.messages],
    ...FAULTS.map((fault): [string, string] => {
      const back = report.faults.filter((done) => done.fault === fault).map(({ backAfterMs }) => backAfterMs);
      return [fault, `${back.length} times, back after ${(Math.max(0, ...back) / 1_000).toFixed(1)} s at most`];
    }),
    ['processes that ended by themselves', report.crashes.length],
    ['latency', `p50 ${report.latency.p50} ms, p99 ${report.latency.p99} ms, max ${report.latency.max} ms, outages included`],
    ['duration', `load ${(report.loadMs / 1_000).toFixed(0)} s, rest after ${(report.drainMs / 1_000).toFixed(0)} s, all ${((Date.now() - startedAt) / 1_000).toFixed(0)} s`],
    ['checks', report.findings.length],
    ['lost', countOf('lost')],
    ['doubled', countOf('doubled')],
    ['inverted', countOf('inverted')],
    ['violations', report.violations.length],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const wrong = report.violations.map(({ name, count, examples }) => `VIOLATION ${name}: ${count} (${examples.join('; ')})`);
  return [...rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`), ...report.crashes.slice(0, 10), ...wrong].join('\n');
}
