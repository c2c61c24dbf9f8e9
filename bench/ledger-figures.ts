/** The least value that so great a share of all is not above; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return (quantile(values, 0.5) + quantile([...values].map((value) => -value), 0.5) * -1) / 2;
}

/** To one decimal. */
export function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Columns of a table: how the values are spread. In the values' unit. */
export function spread(values: readonly number[], prefix = ''): Record<string, number> {
  const shares = { p50: 0.5, p99: 0.99, max: 1 };
  return Object.fromEntries(Object.entries(shares).map(([name, share]) => [`${prefix}${name}`, rounded(quantile(values, share))]));
}

export function verdict(isReached: boolean): string {
  return isReached ? 'reached' : 'MISSED';
}
