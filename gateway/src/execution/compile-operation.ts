import { operationFromDocument } from '@apollo/federation-internals';
import type { PlanNode } from '@apollo/query-planner';
import { OperationTypeNode, type DocumentNode, type OperationDefinitionNode } from 'graphql';
import type { LoadedSupergraph } from '../federation.ts';
import type { CompiledOperation, Execution, ExecutionResult, PrimarySubscription } from './compiled-operation.ts';
import { createFetchCompiler, type CompiledFetch } from './compiled-fetch.ts';
import { takeTurn } from './dispatch.ts';
import { createFetchJoiner } from './joined-fetches.ts';
import { compilePlan } from './plan-steps.ts';
import { receiveAnswer } from './received-answers.ts';
import type { Run, RunParts, Step } from './run.ts';
import { safeDocument, type SafeDocument } from './safe-document.ts';
import { selectedNames } from './selections.ts';
import { settledResult } from './settled-result.ts';
import { createShaping } from './shaping.ts';
import { supergraphTypes, type SupergraphTypes } from './supergraph-types.ts';

/**
 * Plans an operation and makes code of the plan: how each fetch finds its objects, represents entities and what the answer looks
 * like. The planner and the choice of fetches are Apollo's.
 * @param document valid under the supergraph's schema; `operation` is the one of it to run.
 * @throws when the planner or the generator fails, which no valid operation should make them do.
 */
export function compileOperation(supergraph: LoadedSupergraph, document: DocumentNode, operation: OperationDefinitionNode): CompiledOperation {
  const types = supergraphTypes(supergraph);
  const safe = safeDocument(document, operation, types.required);
  const plan = compiledPlan(supergraph, safe, types);
  const rootType = supergraph.schema.getRootType(operation.operation);
  if (rootType === undefined || rootType === null) throw new Error(`The schema has no ${operation.operation} type`);
  const shaping = createShaping(supergraph.schema, rootType, safe);
  const parts: RunParts = {
    merge: types.merge,
    isOfType: types.isOfType,
    selectedNames: (way) => selectedNames(safe.operation.selectionSet, safe.fragments, way),
    joiner: createFetchJoiner(),
    copiesAnswers: plan.fetches.some(({ contextRewrites }) => contextRewrites.length > 0),
  };
  const responseName = safe.renamed ? safe.responseName : undefined;

  const execute = (execution: Execution, begin: (run: Run) => void): Promise<ExecutionResult> =>
    new Promise((resolve, reject) => {
      const run: Run = { ...parts, execution, root: {}, errors: [], untold: [], outbox: [], fail: reject };
      takeTurn(run, () => {
        begin(run);
        plan.start(run, () => {
          const { data, outcome, errors } = shaping(run.root, execution);
          for (const error of errors) run.errors.push(error);
          resolve(settledResult(run, data, outcome, responseName));
        });
      });
    });

  const { primary } = plan;
  return {
    kind: operation.operation,
    primary: primary === undefined ? undefined : primarySubscription(primary),
    execute: (execution) => execute(execution, () => undefined),
    completeEvent: (event, execution) =>
      execute(execution, (run) => {
        if (primary !== undefined) receiveAnswer(run, primary, { objects: [run.root], numbers: undefined, representations: [], contextMembers: '' }, event);
      }),
  };
}

interface CompiledPlan {
  readonly start: Step;
  readonly fetches: readonly CompiledFetch[];
  /** Of a subscription. */
  readonly primary: CompiledFetch | undefined;
}

function compiledPlan({ planner, apiSchema }: LoadedSupergraph, safe: SafeDocument, types: SupergraphTypes): CompiledPlan {
  const planned = operationFromDocument(apiSchema, safe.planned, { validate: false });
  const { node } = planner.buildQueryPlan(planned);
  const compiler = createFetchCompiler({ safe, isOfType: types.isOfType, namesOfType: types.namesOfType, keyFields: types.required.keyFields });
  const isSubscription = node?.kind === 'Subscription';
  if (!isSubscription && safe.operation.operation === OperationTypeNode.SUBSCRIPTION) {
    throw new Error(`The planner made a ${node?.kind ?? 'plan without nodes'} of a subscription`);
  }
  const primary = isSubscription ? compiler.add(node.primary, []) : undefined;
  const rest: PlanNode | undefined = isSubscription ? node.rest : node;
  const start: Step = rest === undefined ? (_run, done) => done() : compilePlan(rest, { compiler, variableName: safe.variableName });
  return { start, fetches: compiler.finish(), primary };
}

function primarySubscription({ subgraph, document, operationName, variables }: CompiledFetch): PrimarySubscription {
  return { subgraph, document, operationName, variableNames: variables.map(({ name }) => name) };
}
