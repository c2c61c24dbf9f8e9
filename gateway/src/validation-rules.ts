import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { GraphQLError, Kind, OperationTypeNode, type ASTVisitor, type SelectionSetNode, type ValidationContext, type ValidationRule } from 'graphql';
import { ALIASES_MAX, DEPTH_MAX, SIGN_IN_FIELDS } from './limits.ts';

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

/** However they are named by aliases, or hidden in fragments. */
const oneSignIn: ValidationRule = (context) => ({
  OperationDefinition: (operation) => {
    if (countSignIns(operation.selectionSet, context, new Map()) <= 1) return;
    const problem = `An operation may hold one of ${SIGN_IN_FIELDS.join(', ')}, once: send them one after the other`;
    context.reportError(new GraphQLError(problem, { nodes: operation }));
  },
});

/** What this gateway refuses besides what GraphQL does, over HTTP and sockets alike: too deep, too many aliases, several sign-ins, no certain field. */
export const gatewayRules: readonly ValidationRule[] = [
  noConditionalSubscriptions,
  oneSignIn,
  asValidationRule(
    maxDepthRule({
      n: DEPTH_MAX,
      flattenFragments: true,
      propagateOnRejection: false,
      onReject: [reporting(`The operation is nested deeper than ${DEPTH_MAX} levels: ask for less at once`)],
    }),
  ),
  asValidationRule(
    maxAliasesRule({
      n: ALIASES_MAX,
      propagateOnRejection: false,
      onReject: [reporting(`The operation has more than ${ALIASES_MAX} aliases: ask for less at once`)],
    }),
  ),
];

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

/** @param known of fragments that were counted: each is looked into once, also where they spread one another many times */
function countSignIns(selectionSet: SelectionSetNode, context: ValidationContext, known: Map<string, number>): number {
  let count = 0;
  for (const selection of selectionSet.selections) {
    if (selection.kind === Kind.FIELD) count += Number(SIGN_IN_FIELDS.includes(selection.name.value));
    else if (selection.kind === Kind.INLINE_FRAGMENT) count += countSignIns(selection.selectionSet, context, known);
    else count += countInFragment(selection.name.value, context, known);
  }
  return count;
}

function countInFragment(name: string, context: ValidationContext, known: Map<string, number>): number {
  const counted = known.get(name);
  if (counted !== undefined) return counted;
  // A fragment that spreads itself is refused by another rule; here it ends.
  known.set(name, 0);
  const fragment = context.getFragment(name);
  const count = fragment === undefined || fragment === null ? 0 : countSignIns(fragment.selectionSet, context, known);
  known.set(name, count);
  return count;
}

function reporting(message: string): (context: ValidationContext | null) => void {
  return (context) => context?.reportError(new GraphQLError(message));
}

function asValidationRule(rule: (context: ValidationContext) => object): ValidationRule {
  return (context): ASTVisitor => rule(context);
}
