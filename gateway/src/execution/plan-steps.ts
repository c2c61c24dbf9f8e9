import type { PlanNode } from '@apollo/query-planner';
import type { CompiledFetch, FetchCompiler } from './compiled-fetch.ts';
import { contextBatches } from './context-batches.ts';
import { flattenSteps, type FlattenStep } from './flatten-path.ts';
import { entityBatch } from './entity-batch.ts';
import { dispatch } from './dispatch.ts';
import type { Batch, Run, Step } from './run.ts';
import type { Tree } from './tree.ts';

interface PlanParts {
  readonly compiler: FetchCompiler;
  /** The client's variable for one of the plan's. */
  readonly variableName: (safe: string) => string;
}

/** Makes a step of a plan. Sequences and parallels call on without promises: only fetches are awaited. */
export function compilePlan(node: PlanNode, parts: PlanParts, steps: readonly FlattenStep[] = []): Step {
  switch (node.kind) {
    case 'Sequence':
      return sequence(node.nodes.map((inner) => compilePlan(inner, parts, steps)));
    case 'Parallel':
      return parallel(node.nodes.map((inner) => compilePlan(inner, parts, steps)));
    case 'Flatten':
      return compilePlan(node.node, parts, [...steps, ...flattenSteps(node.path)]);
    case 'Condition':
      return condition(parts.variableName(node.condition), optional(node.ifClause, parts, steps), optional(node.elseClause, parts, steps));
    case 'Fetch':
      return fetchStep(parts.compiler.add(node, steps));
    case 'Defer':
    default:
      throw new Error(`The planner made a node ${node.kind}, which it was not asked for`);
  }
}

function optional(node: PlanNode | undefined, parts: PlanParts, steps: readonly FlattenStep[]): Step {
  return node === undefined ? (_run, done) => done() : compilePlan(node, parts, steps);
}

function sequence(nodes: readonly Step[]): Step {
  const from = (index: number, run: Run, done: () => void): void => {
    const node = nodes[index];
    if (node === undefined) done();
    else node(run, () => from(index + 1, run, done));
  };
  return (run, done) => from(0, run, done);
}

function parallel(nodes: readonly Step[]): Step {
  return (run, done) => {
    let left = nodes.length;
    const one = () => {
      left--;
      if (left === 0) done();
    };
    for (const node of nodes) node(run, one);
  };
}

function condition(variable: string, ifTrue: Step, ifFalse: Step): Step {
  return (run, done) => (run.execution.coercedVariables[variable] === true ? ifTrue(run, done) : ifFalse(run, done));
}

function fetchStep(fetch: CompiledFetch): Step {
  return (run, done) => {
    if (run.execution.signal?.aborted === true) {
      done();
      return;
    }
    const batches = fetch.contextRewrites.length > 0 ? contextBatches(run, fetch) : batchesOf(fetch, run.root);
    let left = batches.length;
    if (left === 0) {
      done();
      return;
    }
    const one = left === 1 ? done : () => (--left === 0 ? done() : undefined);
    for (const batch of batches) dispatch(run, { fetch, batch, finished: one });
  };
}

function batchesOf(fetch: CompiledFetch, root: Tree): Batch[] {
  const found = fetch.gather(root);
  if (found.length === 0) return [];
  if (fetch.represent === undefined) return [{ objects: found, numbers: undefined, representations: [], contextMembers: '' }];
  const batch = entityBatch(fetch, found);
  return batch === undefined ? [] : [batch];
}
