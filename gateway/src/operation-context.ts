import { performance } from 'node:perf_hooks';
import type { ClientOrigin } from '@ates/service-kit/client-origin';
import { traceOf, type Trace } from '@ates/service-kit/trace-context';
import type { Viewer } from '@ates/service-kit/viewer';

/** What belongs to one operation on its way through the gateway, over HTTP or a socket. */
export interface OperationContext {
  /** The verified `Authorization` value, forwarded to the subgraphs, which verify it again; undefined for nobody. */
  readonly authorization: string | undefined;
  readonly viewer: Viewer | null;
  /** Told to the subgraphs. */
  readonly client: ClientOrigin;
  readonly trace: Trace;
  /** Of `performance.now()`. */
  readonly startedAt: number;
  /** Why fetches failed, for the operation's log line; clients are told only that they failed. */
  readonly fetchFailures: string[];
  /** Ends the fetches under way when nobody waits for the answer any more. */
  readonly cancellation: Cancellation;
  /** The client asks for the query plan; whether it gets it is decided elsewhere. */
  readonly wantsQueryPlan?: boolean;
}

/** A GraphQL answer of a subgraph. */
export interface SubgraphAnswer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly SubgraphError[];
}

export interface SubgraphError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** Cheaper than an AbortController with a listener for each fetch: an operation that nobody cancels pays one small object. */
export interface Cancellation {
  isCancelled: boolean;
  /** The fetches under way. */
  readonly running: Set<{ abort(): void }>;
}

/** Ends the fetches of an operation; what it would fetch from now on fails at once. */
export function cancelOperation({ cancellation }: OperationContext): void {
  cancellation.isCancelled = true;
  for (const fetch of cancellation.running) fetch.abort();
}

/** The context of a new operation; its trace continues `traceparent` when that can be read. */
export function createOperationContext(
  identity: Pick<OperationContext, 'authorization' | 'viewer' | 'client'>,
  traceparent: string | undefined,
): OperationContext {
  return contextInTrace(identity, traceOf(traceparent));
}

/** The context of a new operation whose trace is begun already. */
export function contextInTrace({ authorization, viewer, client }: Pick<OperationContext, 'authorization' | 'viewer' | 'client'>, trace: Trace): OperationContext {
  return { authorization, viewer, client, trace, startedAt: performance.now(), fetchFailures: [], cancellation: { isCancelled: false, running: new Set() } };
}
