import { median, quantile, rounded, verdict } from '../ledger-figures.ts';
import type { GatewayName } from './gateways.ts';
import type { Measured, MeasuredLoad, Sample } from './measure.ts';

const TITLES: Readonly<Record<MeasuredLoad, string>> = {
  S: 'S: 4 fetches in sequence and in parallel, an answer of 0.9 KB',
  L: 'L: nested lists, 16 fetches, 86 KB',
  XL: 'XL: 2,000 entities, 3 fetches, 439 KB',
  D: 'D: distinct operations, each for the first time',
  'D again': 'D again: the same ones in turn',
  ONE: 'ONE: S over one connection alone',
};

/** Ours against others: at least so many times as many requests in a second. */
const GOALS: readonly { readonly load: MeasuredLoad; readonly against: GatewayName; readonly factor: number }[] = [
  { load: 'S', against: 'stock', factor: 10 },
  { load: 'S', against: 'grafbase', factor: 1 },
  { load: 'S', against: 'reference', factor: 0.85 },
  { load: 'L', against: 'stock', factor: 8.5 },
  { load: 'L', against: 'grafbase', factor: 1 },
  { load: 'L', against: 'reference', factor: 0.75 },
  { load: 'XL', against: 'stock', factor: 6.5 },
  { load: 'XL', against: 'grafbase', factor: 1 },
  { load: 'D', against: 'stock', factor: 1 },
  { load: 'D again', against: 'stock', factor: 1 },
  { load: 'ONE', against: 'stock', factor: 1 },
];

const BYTES_PER_MB = 1_048_576;

/** Prints a table for each load, what is missing, and the goals. */
export function report({ samples, missing }: Measured): void {
  for (const load of Object.keys(TITLES) as MeasuredLoad[]) {
    const ofLoad = samples.filter((sample) => sample.load === load);
    if (ofLoad.length === 0) continue;
    console.log(`\n${TITLES[load]}`);
    console.table([...new Set(ofLoad.map(({ gateway }) => gateway))].map((gateway) => row(ofLoad, gateway)));
  }
  for (const { gateway, load, reason } of missing) console.log(`MISSING ${gateway}${load === undefined ? '' : `, ${load}`}: ${reason}`);
  reportErrors(samples);
  reportGoals(samples);
}

function row(samples: readonly Sample[], gateway: GatewayName): Record<string, string | number> {
  const results = samples.filter((sample) => sample.gateway === gateway).map(({ result }) => result);
  const middle = (valueOf: (result: Sample['result']) => number): number => median(results.map(valueOf));
  return {
    gateway,
    'requests/s': rounded(middle(({ perSecond }) => perSecond)),
    '× stock': ratioText(samples, gateway, 'stock'),
    '× reference': ratioText(samples, gateway, 'reference'),
    '× stock, by CPU': cpuRatio(samples, gateway),
    'CPU ms': Math.round(middle(({ cpuMsPerRequest }) => cpuMsPerRequest) * 1_000) / 1_000,
    'p50 ms': fine(middle(({ p50Ms }) => p50Ms)),
    'p99 ms': fine(middle(({ p99Ms }) => p99Ms)),
    'peak MB': Math.round(Math.max(...results.map(({ peakBytes }) => peakBytes)) / BYTES_PER_MB),
    'own core': percent(middle(({ cpuMsPerRequest, perSecond }) => (cpuMsPerRequest * perSecond) / 1_000)),
    'other core': percent(middle(({ otherCore }) => otherCore)),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
  };
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function fine(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** Of each repetition, the median over its rounds of how much faster one was than the other in the same round. */
function ratios(samples: readonly Sample[], gateway: GatewayName, against: GatewayName): number[] {
  const byRepetition = new Map<number, number[]>();
  for (const { repetition, round, result } of samples.filter((sample) => sample.gateway === gateway)) {
    const other = samples.find((sample) => sample.gateway === against && sample.repetition === repetition && sample.round === round);
    if (other === undefined) continue;
    byRepetition.set(repetition, [...(byRepetition.get(repetition) ?? []), result.perSecond / other.result.perSecond]);
  }
  return [...byRepetition.values()].map(median);
}

function ratioText(samples: readonly Sample[], gateway: GatewayName, against: GatewayName): string {
  const values = ratios(samples, gateway, against);
  if (values.length === 0) return '';
  const text = median(values).toFixed(2);
  return values.length === 1 ? text : `${text} (${quantile(values, 0).toFixed(2)}–${quantile(values, 1).toFixed(2)})`;
}

/** How many times as much processor time stock takes for a request: hardly changed by what else the machine does. */
function cpuRatio(samples: readonly Sample[], gateway: GatewayName): string {
  const cpuOf = (name: GatewayName): number => median(samples.filter((sample) => sample.gateway === name).map(({ result }) => result.cpuMsPerRequest));
  const ratio = cpuOf('stock') / cpuOf(gateway);
  return Number.isFinite(ratio) ? ratio.toFixed(2) : '';
}

function reportErrors(samples: readonly Sample[]): void {
  const told = new Set<string>();
  for (const { gateway, load, result } of samples) {
    const key = `${gateway}, ${load}`;
    if (result.firstError === null || told.has(key)) continue;
    told.add(key);
    console.log(`WRONG ${key}: ${result.firstError}`);
  }
}

function reportGoals(samples: readonly Sample[]): void {
  const rows = GOALS.flatMap(({ load, against, factor }) => {
    const ofLoad = samples.filter((sample) => sample.load === load);
    const values = ratios(ofLoad, 'ours', against);
    if (values.length === 0) return [];
    return [{ goal: `${load}: ours ≥ ${factor} × ${against}`, measured: ratioText(ofLoad, 'ours', against), '': verdict(median(values) >= factor) }];
  });
  const [ours, stock] = [peakOf(samples, 'ours'), peakOf(samples, 'stock')];
  const memory = { goal: "memory: ours below stock's, at the peak", measured: `${ours} MB, ${stock} MB`, '': verdict(ours < stock) };
  if (ours > 0 && stock > 0) rows.push(memory);
  if (rows.length > 0) console.table(rows);
}

/** Over all loads. */
function peakOf(samples: readonly Sample[], gateway: GatewayName): number {
  const peaks = samples.filter((sample) => sample.gateway === gateway).map(({ result }) => result.peakBytes);
  return Math.round(Math.max(0, ...peaks) / BYTES_PER_MB);
}
