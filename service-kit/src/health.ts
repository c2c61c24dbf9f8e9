/** What a check says: null when all is well, else the reason in words that an operator can act on. */
export type HealthCheck = () => Promise<string | null> | string | null;

export interface HealthReport {
  readonly ready: boolean;
  /** Each check's name with `ok` or its reason. */
  readonly checks: Readonly<Record<string, string>>;
}

export interface Health {
  add(name: string, check: HealthCheck): void;
  /** A check that is shown in the report and decides nothing: the process works on without what it looks at. */
  show(name: string, check: HealthCheck): void;
  /** From now on not ready, whatever the checks say: the process is draining. */
  drain(): void;
  report(): Promise<HealthReport>;
}

const CHECK_TIMEOUT_MS = 2_000;

/** Readiness composed from named checks; a check that throws or takes longer than 2 s counts as failed. */
export function createHealth(): Health {
  const checks = new Map<string, { readonly check: HealthCheck; readonly decides: boolean }>();
  let draining = false;
  return {
    add: (name, check) => void checks.set(name, { check, decides: true }),
    show: (name, check) => void checks.set(name, { check, decides: false }),
    drain: () => {
      draining = true;
    },
    report: async () => {
      const results = await Promise.all(
        [...checks].map(async ([name, { check, decides }]) => ({ name, decides, result: await runCheck(check) })),
      );
      if (draining) results.push({ name: 'process', decides: true, result: 'is shutting down' });
      return {
        ready: results.every(({ decides, result }) => !decides || result === 'ok'),
        checks: Object.fromEntries(results.map(({ name, result }) => [name, result])),
      };
    },
  };
}

async function runCheck(check: HealthCheck): Promise<string> {
  const { promise: timeout, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  try {
    return (await Promise.race([check(), timeout])) ?? 'ok';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
