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
  /** Why fetches failed, for the operation's log line; clients are told only that they failed. */
  readonly fetchFailures: string[];
  /** The subgraph's answer that this execution starts from, when it completes an event of a subscription. */
  readonly event?: SubgraphAnswer;
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

/** The context of a new operation; its trace continues `traceparent` when that can be read. */
export function createOperationContext(
  identity: Pick<OperationContext, 'authorization' | 'viewer' | 'client'>,
  traceparent: string | undefined,
): OperationContext {
  return { ...identity, trace: traceOf(traceparent), fetchFailures: [] };
}
