import type { GraphQLFormattedError } from 'graphql';
import type { CompiledOperation } from './execution/compiled-operation.ts';
import type { LoadedSupergraph } from './federation.ts';
import type { OperationContext, SubgraphAnswer } from './operation-context.ts';

/** How an operation came. */
export type Transport = 'http' | 'websocket' | 'sse' | 'multipart';

/** A GraphQL request as a client sent it, over whichever transport; members that have another type are refused by `prepare`. */
export interface OperationRequest {
  readonly query?: unknown;
  readonly operationName?: unknown;
  readonly variables?: unknown;
  readonly extensions?: unknown;
}

/** An operation that may run: found, valid, within all limits, planned and compiled, with variables that fit. */
export interface PreparedOperation {
  readonly kind: 'query' | 'mutation' | 'subscription';
  readonly operationName: string | undefined;
  /** The client's document; what a reload prepares again. */
  readonly query: string;
  readonly compiled: CompiledOperation;
  readonly supergraph: LoadedSupergraph;
  readonly variables: Readonly<Record<string, unknown>>;
  readonly coercedVariables: Readonly<Record<string, unknown>>;
  readonly context: OperationContext;
  /** It asks for `__typename` and the schema at most: nothing is fetched for it. */
  readonly asksGatewayAlone: boolean;
  /** The plan as a text, for a client that asked and may; undefined for the others. */
  readonly queryPlan?: (() => string) | undefined;
}

/** What a client gets for a query, a mutation or one event of a subscription. */
export interface OperationAnswer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly GraphQLFormattedError[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** The request is refused before anything ran. Counted and logged where it is thrown. */
export class OperationRefused extends Error {
  override readonly name = 'OperationRefused';
  /** Of an HTTP answer in `application/graphql-response+json`, and of refusals that are no GraphQL answer. */
  readonly status: number;
  /** Already presented: with codes. */
  readonly errors: readonly GraphQLFormattedError[];
  /** Such as `retry-after`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, errors: readonly GraphQLFormattedError[], headers: Readonly<Record<string, string>> = {}) {
    super(errors[0]?.message ?? 'refused');
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

/** Prepares and runs operations, the same for every transport. */
export interface Operations {
  /**
   * Finds (persisted queries, safelist), parses, validates, plans and compiles, from a bounded cache where it can; checks limits,
   * rates and variables. Synchronous.
   * @throws OperationRefused
   */
  prepare(request: OperationRequest, context: OperationContext, transport: Transport): PreparedOperation;
  /** Runs a query or mutation to its end; counts, times and logs it. Never rejects. */
  execute(prepared: PreparedOperation): Promise<OperationAnswer>;
  /** Completes one event of a subscription; counts, times and logs it. Never rejects. */
  completeEvent(prepared: PreparedOperation, event: SubgraphAnswer): Promise<OperationAnswer>;
}
