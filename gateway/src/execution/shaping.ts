import type { GraphQLObjectType, GraphQLSchema } from 'graphql';
import type { Execution, ExecutionError } from './compiled-operation.ts';
import { createIntrospection } from './introspection.ts';
import type { Outcome } from './outcome.ts';
import { compileProjection } from './projection.ts';
import type { SafeDocument } from './safe-document.ts';
import { conditionVariables, createSelections } from './selections.ts';
import type { Tree } from './tree.ts';

export interface Shaped {
  /** Undefined when a null reached the root. */
  readonly data: Tree | undefined;
  readonly outcome: Outcome;
  readonly errors: readonly ExecutionError[];
}

/** Makes the answer of a merged tree. */
export type Shaping = (tree: Tree, execution: Execution) => Shaped;

/** Choices of condition variables whose projections are kept; an operation with more of them compiles the oldest again. */
const PROJECTIONS_MAX = 32;

/** A projection is compiled for each choice of the variables that skip and include, when it first comes. */
export function createShaping(schema: GraphQLSchema, rootType: GraphQLObjectType, safe: SafeDocument): Shaping {
  const conditions = conditionVariables(safe.planned).map((name) => safe.variableName(name));
  const shapings = new Map<string, Shaping>();
  return (tree, execution) => {
    let choice = '';
    for (const name of conditions) choice += execution.coercedVariables[name] === true ? '1' : '0';
    let shaping = shapings.get(choice);
    if (shaping === undefined) {
      shaping = shapingFor(execution.coercedVariables, { schema, rootType, safe });
      const [oldest] = shapings.keys();
      if (oldest !== undefined && shapings.size >= PROJECTIONS_MAX) shapings.delete(oldest);
      shapings.set(choice, shaping);
    }
    return shaping(tree, execution);
  };
}

interface ShapingParts {
  readonly schema: GraphQLSchema;
  readonly rootType: GraphQLObjectType;
  readonly safe: SafeDocument;
}

function shapingFor(variables: Readonly<Record<string, unknown>>, { schema, rootType, safe }: ShapingParts): Shaping {
  const selections = createSelections(schema, safe.fragments, (name) => variables[safe.variableName(name)] === true);
  const { shape, introspections } = compileProjection({ schema, rootType, selectionSet: safe.operation.selectionSet, selections, responseName: safe.responseName });
  const introspect = introspections.length === 0 ? undefined : createIntrospection(schema, safe, introspections);
  return (tree, execution) => {
    const { answers, errors } = introspect?.(execution.variables) ?? NOTHING;
    const outcome: Outcome = { count: 0, violations: [], introspected: answers };
    return { data: shape(tree, outcome), outcome, errors };
  };
}

const NOTHING = { answers: [], errors: [] };
