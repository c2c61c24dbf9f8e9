import type { Deadlines } from './fetch-deadlines.ts';
import type { Cancellation } from './operation-context.ts';

/** Of one answer of a subgraph. */
export const SUBGRAPH_ANSWER_MAX_BYTES = 16 * 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** No whole answer came; the text says why, without an address. */
export interface NoAnswer {
  readonly problem: string;
}

export type HttpOutcome = HttpAnswer | NoAnswer;

export interface HttpPost {
  /** Those that differ from request to request; names and values in turn. */
  readonly headers: readonly string[];
  readonly body: string;
  /** They count from now to the last byte of the answer, waiting for a free connection included. */
  readonly deadlines: Deadlines;
  readonly cancellation: Cancellation;
  /** Send again, once, when a connection that was kept alive was lost before the answer began: for requests that change nothing. */
  readonly retryOnce: boolean;
}
