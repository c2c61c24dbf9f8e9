import type { SubgraphAnswer } from '../operation-context.ts';
import type { FetchFailure } from '../fetch-errors.ts';

/** One request of a plan to a subgraph. */
export interface FetchRequest {
  readonly subgraph: string;
  /** Only queries may be sent again. */
  readonly kind: 'query' | 'mutation';
  /** The whole JSON body: `{"query":…,"operationName":…,"variables":…}`. */
  readonly body: string;
}

/** Sends one request to a subgraph. It never rejects: what brought no GraphQL answer is told as a failure. */
export type SubgraphFetch = (request: FetchRequest) => Promise<SubgraphAnswer | FetchFailure>;

/** What one execution of an operation needs. */
export interface Execution {
  /** As the client sent them; these go to the subgraphs. */
  readonly variables: Readonly<Record<string, unknown>>;
  /** Coerced, with defaults: these decide `@skip` and `@include`. */
  readonly coercedVariables: Readonly<Record<string, unknown>>;
  readonly fetch: SubgraphFetch;
  /** Once aborted, no further fetch is begun; what is there is answered. */
  readonly signal?: AbortSignal | undefined;
}

/** An error of an execution, before it is presented to a client. */
export interface ExecutionError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** The subgraph that said so, or that failed to say anything; undefined for what the gateway itself found. */
  readonly subgraph?: string | undefined;
}

export interface ExecutionResult {
  /** Shaped as the operation asks, in the order of its selections; null when a null reached the root. */
  readonly data: Record<string, unknown> | null;
  /** Left out when there are none. */
  readonly errors?: readonly ExecutionError[];
}

/** What a subscription opens at its subgraph. */
export interface PrimarySubscription {
  readonly subgraph: string;
  readonly document: string;
  readonly operationName: string | undefined;
  /** Those of the operation's variables that go with it. */
  readonly variableNames: readonly string[];
}

/** A plan, made into code once; it holds nothing of a request and is used by many at a time. */
export interface CompiledOperation {
  readonly kind: 'query' | 'mutation' | 'subscription';
  /** Queries and mutations. */
  execute(execution: Execution): Promise<ExecutionResult>;
  /** Subscriptions: what to open; undefined for the others. */
  readonly primary: PrimarySubscription | undefined;
  /** Subscriptions: completes one event, the subgraph's whole answer, by the rest of the plan. */
  completeEvent(event: SubgraphAnswer, execution: Execution): Promise<ExecutionResult>;
}
