import { GraphQLError, Kind, OperationTypeNode, type SelectionSetNode, type ValidationContext, type ValidationRule } from 'graphql';

export interface ValidationSettings {
  /** An operation may hold one of these root fields, once. */
  readonly singleRootFields: readonly string[];
}

/** What this gateway refuses besides what GraphQL does, over every transport; what is too large is refused before validation. */
export function validationRulesFor({ singleRootFields }: ValidationSettings): ValidationRule[] {
  return singleRootFields.length === 0 ? [noConditionalSubscriptions] : [noConditionalSubscriptions, oneOf(singleRootFields)];
}

/**
 * A subscription whose root field has @skip or @include might have no field at all: the specification forbids it. graphql-js
 * 16 does not, its own rule for subscriptions even throws where variables decide: hence this one throws before it can.
 */
const noConditionalSubscriptions: ValidationRule = (context) => ({
  Document: ({ definitions }) => {
    for (const definition of definitions) {
      if (definition.kind !== Kind.OPERATION_DEFINITION || definition.operation !== OperationTypeNode.SUBSCRIPTION) continue;
      if (!rootIsConditional(definition.selectionSet, context, new Set())) continue;
      const problem = 'The root field of a subscription cannot have @skip or @include: decide in the client whether to subscribe';
      throw new GraphQLError(problem, { nodes: definition });
    }
  },
});

/** However the fields are named by aliases, or hidden in fragments. */
function oneOf(singleRootFields: readonly string[]): ValidationRule {
  const names = new Set(singleRootFields);
  return (context) => ({
    OperationDefinition: (operation) => {
      if (countFields(operation.selectionSet, { names, context, known: new Map() }) <= 1) return;
      const problem = `An operation may hold one of ${singleRootFields.join(', ')}, once: send them one after the other`;
      context.reportError(new GraphQLError(problem, { nodes: operation }));
    },
  });
}

function rootIsConditional(selectionSet: SelectionSetNode, context: ValidationContext, visited: Set<string>): boolean {
  return selectionSet.selections.some((selection) => {
    if (selection.directives?.some(({ name }) => name.value === 'skip' || name.value === 'include') === true) return true;
    if (selection.kind === Kind.INLINE_FRAGMENT) return rootIsConditional(selection.selectionSet, context, visited);
    if (selection.kind === Kind.FIELD || visited.has(selection.name.value)) return false;
    visited.add(selection.name.value);
    const fragment = context.getFragment(selection.name.value);
    return fragment !== undefined && fragment !== null && rootIsConditional(fragment.selectionSet, context, visited);
  });
}

interface Count {
  readonly names: ReadonlySet<string>;
  readonly context: ValidationContext;
  /** Of fragments that were counted: each is looked into once, also where they spread one another many times. */
  readonly known: Map<string, number>;
}

function countFields(selectionSet: SelectionSetNode, count: Count): number {
  let total = 0;
  for (const selection of selectionSet.selections) {
    if (selection.kind === Kind.FIELD) total += Number(count.names.has(selection.name.value));
    else if (selection.kind === Kind.INLINE_FRAGMENT) total += countFields(selection.selectionSet, count);
    else total += countInFragment(selection.name.value, count);
  }
  return total;
}

function countInFragment(name: string, count: Count): number {
  const counted = count.known.get(name);
  if (counted !== undefined) return counted;
  // A fragment that spreads itself is refused by another rule; here it ends.
  count.known.set(name, 0);
  const fragment = count.context.getFragment(name);
  const total = fragment === undefined || fragment === null ? 0 : countFields(fragment.selectionSet, count);
  count.known.set(name, total);
  return total;
}
