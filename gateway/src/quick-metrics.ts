import type { Registry } from '@ates/service-kit/metrics';

/** Counts durations of one kind. */
export interface Timing {
  observe(seconds: number): void;
}

export interface Count {
  inc(): void;
}

export interface MetricAbout {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName: string;
}

/**
 * Counters whose children are looked up once and then cost an addition. Those of prom-client put their labels together for
 * each observation, which costs a gateway as much as the rest of a small fetch.
 * @returns the child for values of the labels, in their order
 */
export function createCounts(registry: Registry, about: MetricAbout): (...values: readonly string[]) => Count {
  const children = createChildren(about, () => {
    let value = 0;
    return {
      inc: () => {
        value += 1;
      },
      samples: (labels: Sample['labels']): Sample[] => [{ labels, value, metricName: about.name }],
    };
  });
  register(registry, about, 'counter', children.samples);
  return children.of;
}

/** As `createCounts`, for histograms of durations. @param bounds upper bounds of the buckets in seconds, ascending */
export function createTimings(registry: Registry, about: MetricAbout, bounds: readonly number[]): (...values: readonly string[]) => Timing {
  const children = createChildren(about, () => createHistogram(about.name, bounds));
  register(registry, about, 'histogram', children.samples);
  return children.of;
}

/** As `createTimings`, for sums and numbers of durations alone: what there are hundreds of. */
export function createSums(registry: Registry, about: MetricAbout): (...values: readonly string[]) => Timing {
  const children = createChildren(about, () => createHistogram(about.name, undefined));
  register(registry, about, 'summary', children.samples);
  return children.of;
}

function createHistogram(name: string, bounds: readonly number[] | undefined) {
  const counts = new Float64Array((bounds?.length ?? 0) + 1);
  let sum = 0;
  let count = 0;
  return {
    observe: (seconds: number): void => {
      sum += seconds;
      count += 1;
      if (bounds === undefined) return;
      let at = 0;
      while (at < bounds.length && seconds > (bounds[at] as number)) at += 1;
      counts[at] = (counts[at] as number) + 1;
    },
    samples: (labels: Sample['labels']): Sample[] => {
      let cumulated = 0;
      const buckets = (bounds ?? []).map((bound, at) => {
        cumulated += counts[at] as number;
        return { labels: { ...labels, le: bound }, value: cumulated, metricName: `${name}_bucket` };
      });
      if (bounds !== undefined) buckets.push({ labels: { ...labels, le: '+Inf' as never }, value: count, metricName: `${name}_bucket` });
      return [...buckets, { labels, value: sum, metricName: `${name}_sum` }, { labels, value: count, metricName: `${name}_count` }];
    },
  };
}

function createChildren<Child extends { samples(labels: Sample['labels']): Sample[] }>({ labels }: MetricAbout, make: () => Child) {
  const children = new Map<string, { readonly named: Sample['labels']; readonly child: Child }>();
  return {
    of: (...values: readonly string[]): Child => {
      const key = values.join('\0');
      const known = children.get(key);
      if (known !== undefined) return known.child;
      const child = make();
      children.set(key, { named: Object.fromEntries(labels.map((label, at) => [label, values[at] ?? ''])), child });
      return child;
    },
    samples: (): Sample[] => [...children.values()].flatMap(({ named, child }) => child.samples(named)),
  };
}

function register(registry: Registry, { name, help }: MetricAbout, type: string, samples: () => Sample[]): void {
  // What a registry asks of its metrics, though its types name its own classes.
  const metric = { name, help, type, aggregator: 'sum', get: async () => ({ name, help, type, aggregator: 'sum', values: samples() }), reset: () => {} };
  registry.registerMetric(metric as never);
}
