import type { Logger } from './logger.ts';
import { Counter, type Registry } from './metrics.ts';

/** Tells operators what becomes of spans. */
export interface SpanReport {
  sent(count: number): void;
  /** @param error why they could not be sent; undefined when there was no room for them */
  dropped(count: number, error: unknown): void;
  failed(error: unknown): void;
}

const LOG_EVERY_MS = 60_000;

/** Counts in `metrics`, and logs what is lost once a minute at most: a collector that is away must not fill the log too. */
export function createSpanReport({ metrics, logger, endpoint }: { readonly metrics: Registry; readonly logger: Logger; readonly endpoint: string }): SpanReport {
  const sent = new Counter({ name: 'ates_trace_spans_sent_total', help: 'Spans that the collector took', registers: [metrics] });
  const dropped = new Counter({ name: 'ates_trace_spans_dropped_total', help: 'Spans that were not sent: the collector did not take them, or too many waited', registers: [metrics] });
  let quietUntil = 0;
  let unsaid = 0;
  const complain = (error: unknown): void => {
    const now = Date.now();
    if (now < quietUntil) return;
    quietUntil = now + LOG_EVERY_MS;
    logger.warn({ ...(error !== undefined && { err: error }), endpoint, spans: unsaid }, 'spans were dropped: is the collector up, and as fast as they come?');
    unsaid = 0;
  };
  return {
    sent: (count) => sent.inc(count),
    dropped: (count, error) => {
      dropped.inc(count);
      unsaid += count;
      complain(error);
    },
    failed: complain,
  };
}
