import { performance } from 'node:perf_hooks';
import { operationFromDocument } from '@apollo/federation-internals';
import { prettyFormatQueryPlan } from '@apollo/query-planner';
import {
  getOperationAST,
  GraphQLError,
  Kind,
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { createBoundedCache } from './bounded-cache.ts';
import type { GatewayConfig } from './config.ts';
import { compileOperation } from './execution/compile-operation.ts';
import type { CompiledOperation } from './execution/compiled-operation.ts';
import type { LoadedSupergraph } from './federation.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';
import { compileCost } from './limits/operation-cost.ts';
import type { OperationRecord, OperationRecords } from './operation-records.ts';
import { createDocumentReader, refusal, type ValidationSettings } from './operation-validation.ts';

/** An operation that is valid under one supergraph, planned and compiled; it holds nothing of a request. */
export interface ReadyOperation {
  readonly supergraph: LoadedSupergraph;
  /** One copy for all who have it under way. */
  readonly query: string;
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly operationName: string | undefined;
  readonly compiled: CompiledOperation;
  readonly hasVariables: boolean;
  /** Undefined where no price is asked. */
  readonly price: ((coercedVariables: Readonly<Record<string, unknown>>) => number) | undefined;
  readonly asksGatewayAlone: boolean;
  readonly record: OperationRecord;
}

export interface OperationCache {
  /** @returns the operation, or why the document is refused. @throws Error when a valid operation can't be planned, and what `admit` throws */
  get(supergraph: LoadedSupergraph, query: string, operationName: string | undefined): ReadyOperation | readonly GraphQLError[];
}

export type OperationCacheSettings = ValidationSettings & Pick<GatewayConfig, 'operationCacheMax' | 'maxCost' | 'assumedListSize'>;

interface OperationCacheParts {
  readonly settings: OperationCacheSettings;
  readonly metrics: GatewayMetrics;
  readonly records: OperationRecords;
  /** Asked before a valid document is planned, which takes milliseconds; throws a refusal. */
  readonly admit: (query: string, document: DocumentNode) => void;
}

const TEXTS_MAX_CHARACTERS = 32 * 1024 * 1024;
/** Who sends the same refused document again and again costs a look. */
const REFUSED_MAX = 500;
const REFUSED_MAX_CHARACTERS = 2 * 1024 * 1024;
const NAME = /^[_A-Za-z][_0-9A-Za-z]*$/;

/** Operations by their text and name, as many as are set, under the supergraph that was asked for last. */
export function createOperationCache({ settings, metrics, records, admit }: OperationCacheParts): OperationCache {
  const reader = createDocumentReader(settings);
  const ready = createBoundedCache<ReadyOperation>(settings.operationCacheMax, TEXTS_MAX_CHARACTERS);
  const refused = createBoundedCache<readonly GraphQLError[]>(REFUSED_MAX, REFUSED_MAX_CHARACTERS);
  const [hits, misses, refusals] = (['hit', 'miss', 'refused'] as const).map((result) => metrics.cacheLookups(result)) as [Count, Count, Count];
  let inForce: LoadedSupergraph | undefined;

  const compile = (supergraph: LoadedSupergraph, query: string, document: DocumentNode, operation: OperationDefinitionNode): ReadyOperation => {
    const startedAt = performance.now();
    const compiled = compileOperation(supergraph, document, operation);
    metrics.compileSeconds.observe((performance.now() - startedAt) / 1_000);
    return {
      supergraph,
      query,
      document,
      operation,
      operationName: operation.name?.value,
      compiled,
      hasVariables: (operation.variableDefinitions?.length ?? 0) > 0,
      price: settings.maxCost === 0 ? undefined : compileCost(supergraph.supergraphSchema, document, operation, settings),
      asksGatewayAlone: asksGatewayAlone(document, operation.selectionSet),
      record: records.of(operation.operation, operation.name?.value),
    };
  };

  return {
    get: (supergraph, query, operationName) => {
      if (supergraph !== inForce) {
        ready.clear();
        refused.clear();
        inForce = supergraph;
      }
      // What is no name names no operation, and would make keys ambiguous.
      const name = operationName === undefined || NAME.test(operationName) ? operationName : ' ';
      const key = name === undefined ? query : `\n${name}\n${query}`;
      const known = ready.get(key);
      if (known !== undefined) {
        hits.inc();
        return known;
      }
      const problems = refused.get(key);
      if (problems !== undefined) {
        refusals.inc();
        return problems;
      }
      misses.inc();
      const document = reader.read(query, supergraph.schema);
      const operation = 'kind' in document ? (getOperationAST(document, name) ?? [unresolved(operationName)]) : document;
      if (!('kind' in document) || !('kind' in operation)) {
        refused.set(key, operation as readonly GraphQLError[]);
        return operation as readonly GraphQLError[];
      }
      admit(query, document);
      const made = orBeyondPlanning(() => compile(supergraph, query, document, operation));
      if ('compiled' in made) ready.set(key, made);
      else refused.set(key, made);
      return made;
    },
  };
}

type Count = ReturnType<GatewayMetrics['cacheLookups']>;

/** The plan of an operation for people, made anew. */
export function planText({ supergraph, document, operationName }: ReadyOperation): string {
  const { planner, apiSchema } = supergraph;
  return prettyFormatQueryPlan(planner.buildQueryPlan(operationFromDocument(apiSchema, document, { operationName })));
}

/** A refusal where the planner throws at its bound for the ways to get the fields of an operation: see `PLANNING_BOUNDS`. */
function orBeyondPlanning(compile: () => ReadyOperation): ReadyOperation | readonly GraphQLError[] {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('Too many options')) throw error;
    const problem = 'There are too many ways to get all of these fields together: ask for fewer of them in fragments of one another';
    return [refusal(new GraphQLError(problem), 'OPERATION_TOO_COMPLEX')];
  }
}

function unresolved(operationName: string | undefined): GraphQLError {
  const what = operationName === undefined ? 'name one of its operations in operationName' : `there is none named "${operationName.slice(0, 100)}"`;
  return refusal(new GraphQLError(`The document does not tell which operation to run: ${what}`), 'OPERATION_RESOLUTION_FAILURE');
}

function asksGatewayAlone(document: DocumentNode, selectionSet: SelectionSetNode): boolean {
  return selectionSet.selections.every((selection) => {
    if (selection.kind === Kind.FIELD) return selection.name.value.startsWith('__');
    if (selection.kind === Kind.INLINE_FRAGMENT) return asksGatewayAlone(document, selection.selectionSet);
    const fragment = document.definitions.find(
      (definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value,
    );
    return fragment !== undefined && asksGatewayAlone(document, fragment.selectionSet);
  });
}
