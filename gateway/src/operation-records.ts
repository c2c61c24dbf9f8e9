import { performance } from 'node:perf_hooks';
import type { Logger } from '@ates/service-kit/logger';
import { runInTrace } from '@ates/service-kit/trace-context';
import type { GraphQLFormattedError } from 'graphql';
import type { GatewayMetrics } from './gateway-metrics.ts';
import type { OperationContext } from './operation-context.ts';
import { logFailure } from './operation-log.ts';
import { outcomeOf } from './present-error.ts';

/** Counts, times and logs the executions of one operation. */
export interface OperationRecord {
  ended(context: OperationContext, errors: readonly GraphQLFormattedError[] | undefined): void;
}

export interface OperationRecords {
  /** For an operation that is valid; look it up once and keep it. */
  of(kind: string, operationName: string | undefined): OperationRecord;
  /** Logs what went wrong with an event of a subscription. */
  failedEvent(context: OperationContext, errors: readonly GraphQLFormattedError[], operationName: string | undefined): void;
  /** Counts and logs what was not executed. */
  refused(context: OperationContext, errors: readonly GraphQLFormattedError[], about?: { readonly kind?: string; readonly operationName?: unknown }): void;
}

/** Names are the clients', who may think up ever new ones. */
const NAMES_MAX = 500;
const OTHER_NAMES = 'other';
const UNNAMED = '(unnamed)';

export function createOperationRecords(metrics: GatewayMetrics, logger: Logger): OperationRecords {
  const names = new Set<string>();
  const countedName = (name: string | undefined): string => {
    if (name === undefined) return UNNAMED;
    if (names.has(name)) return name;
    if (names.size >= NAMES_MAX || name.length > 100) return OTHER_NAMES;
    names.add(name);
    return name;
  };

  return {
    of: (kind, operationName) => {
      const name = countedName(operationName);
      const ok = metrics.operationCount(kind, 'ok');
      const seconds = metrics.operationSeconds(kind);
      const namedSeconds = metrics.namedSeconds(name);
      return {
        ended: (context, errors) => {
          const durationMs = performance.now() - context.startedAt;
          seconds.observe(durationMs / 1_000);
          namedSeconds.observe(durationMs / 1_000);
          if (errors === undefined) return ok.inc();
          const outcome = outcomeOf(errors);
          metrics.operationCount(kind, outcome).inc();
          metrics.namedFailures(name, outcome).inc();
          return runInTrace(context.trace, () => logFailure(logger, { kind, operationName, outcome, errors, durationMs, context }));
        },
      };
    },
    failedEvent: (context, errors, operationName) =>
      runInTrace(context.trace, () => logFailure(logger, { kind: 'subscription', operationName, outcome: outcomeOf(errors), errors, context })),
    refused: (context, errors, { kind = 'unknown', operationName } = {}) => {
      const outcome = outcomeOf(errors);
      metrics.operationCount(kind, outcome).inc();
      const name = typeof operationName === 'string' ? operationName.slice(0, 100) : undefined;
      runInTrace(context.trace, () => logFailure(logger, { kind, operationName: name, outcome, errors, context }));
    },
  };
}
