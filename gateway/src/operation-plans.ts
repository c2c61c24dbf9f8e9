import { operationFromDocument } from '@apollo/federation-internals';
import type { FetchNode, PlanNode, QueryPlan } from '@apollo/query-planner';
import type { ErrorCode } from '@ates/service-kit/domain-error';
import {
  getOperationAST,
  getVariableValues,
  GraphQLError,
  OperationTypeNode,
  parse,
  specifiedRules,
  validate,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { createBoundedCache } from './bounded-cache.ts';
import type { Federation, LoadedSupergraph } from './federation.ts';
import { parseLimits, PLANS_MAX } from './limits.ts';
import { gatewayRules } from './validation-rules.ts';

/** An operation that came over a socket, parsed and valid under one supergraph. */
export interface PreparedOperation {
  readonly supergraph: LoadedSupergraph;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  /** Null for queries and mutations, which take the way of HTTP. */
  readonly subscription: SubscriptionPlan | null;
}

/** How a subscription is executed. */
export interface SubscriptionPlan {
  /** What is subscribed to, at which subgraph. */
  readonly primary: FetchNode;
  /** Completes an event: begins with a fetch from the service `@event`, which stands for what the primary delivered. */
  readonly perEvent: QueryPlan;
}

export interface OperationPlans {
  /**
   * Parses, validates and, for a subscription, plans; the outcome is remembered (1,000 operations) until the supergraph
   * is loaded anew.
   * @returns the operation, or the errors that refuse it, all BAD_USER_INPUT with a `reason`.
   */
  prepare(query: string, operationName: string | null | undefined): PreparedOperation | readonly GraphQLError[];
}

/** The name under which the executor finds an event's data; no subgraph can have it, names don't begin with an at sign. */
export const EVENT_SERVICE = '@event';

/** Prepares operations of sockets under whatever supergraph is in force. */
export function createOperationPlans(federation: Federation): OperationPlans {
  const prepared = createBoundedCache<PreparedOperation>(PLANS_MAX);
  federation.onLoad(() => prepared.clear());
  return {
    prepare: (query, operationName) => {
      const key = JSON.stringify([operationName ?? null, query]);
      const known = prepared.get(key);
      if (known !== undefined) return known;
      const supergraph = federation.current();
      if (supergraph === undefined) return [new GraphQLError('The gateway is starting: try again in a second', codeExtensions('SERVICE_UNAVAILABLE'))];
      const outcome = prepare(supergraph, query, operationName);
      if ('document' in outcome) prepared.set(key, outcome);
      return outcome;
    },
  };
}

/** Whether the variables fit the operation. @returns the errors, BAD_USER_INPUT, or null. */
export function variableErrors(schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Readonly<Record<string, unknown>>): GraphQLError[] | null {
  const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  return errors === undefined ? null : errors.map((error) => refusal(error));
}

function prepare(supergraph: LoadedSupergraph, query: string, operationName: string | null | undefined): PreparedOperation | readonly GraphQLError[] {
  const document = orErrors(() => parse(query, parseLimits));
  if (Array.isArray(document)) return document.map((problem) => refusal(problem, 'GRAPHQL_PARSE_FAILED'));
  const problems = orErrors(() => validate(supergraph.schema, document, [...specifiedRules, ...gatewayRules]));
  if (problems.length > 0) return problems.map((problem) => refusal(problem, 'GRAPHQL_VALIDATION_FAILED'));
  const operation = getOperationAST(document, operationName);
  if (operation === null || operation === undefined) {
    const problem = 'The document does not tell which operation to run: name one of its operations in operationName';
    return [refusal(new GraphQLError(problem), 'OPERATION_RESOLUTION_FAILURE')];
  }
  if (operation.operation !== OperationTypeNode.SUBSCRIPTION) return { supergraph, document, operation, subscription: null };
  return { supergraph, document, operation, subscription: planSubscription(supergraph, document, operationName) };
}

function planSubscription({ planner, apiSchema }: LoadedSupergraph, document: DocumentNode, operationName: string | null | undefined): SubscriptionPlan {
  const { node } = planner.buildQueryPlan(operationFromDocument(apiSchema, document, { operationName: operationName ?? undefined }));
  if (node?.kind !== 'Subscription') throw new Error(`The planner made a ${node?.kind ?? 'plan without nodes'} of a subscription`);
  const { primary, rest } = node;
  const event: FetchNode = { ...primary, serviceName: EVENT_SERVICE };
  const perEvent: PlanNode = rest === undefined ? event : { kind: 'Sequence', nodes: [event, rest] };
  return { primary, perEvent: { kind: 'QueryPlan', node: perEvent } };
}

function orErrors<Result>(work: () => Result): Result | GraphQLError[] {
  try {
    return work();
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    throw error;
  }
}

function refusal({ message, nodes, source, positions }: GraphQLError, reason?: string): GraphQLError {
  return new GraphQLError(message, { nodes, source, positions, extensions: { ...codeExtensions('BAD_USER_INPUT').extensions, ...(reason !== undefined && { reason }) } });
}

function codeExtensions(code: ErrorCode): { extensions: { code: ErrorCode } } {
  return { extensions: { code } };
}
