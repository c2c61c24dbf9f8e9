import { maxAliasesRule } from '@escape.tech/graphql-armor-max-aliases';
import { maxDepthRule } from '@escape.tech/graphql-armor-max-depth';
import { GraphQLError, Kind, OperationTypeNode, type ASTVisitor, type SelectionSetNode, type ValidationContext, type ValidationRule } from 'graphql';
import { ALIASES_MAX, DEPTH_MAX } from './limits.ts';

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

/** What this gateway refuses besides what GraphQL does, over HTTP and sockets alike: too deep, too many aliases, no certain field. */
export const gatewayRules: readonly ValidationRule[] = [
  noConditionalSubscriptions,
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

function reporting(message: string): (context: ValidationContext | null) => void {
  return (context) => context?.reportError(new GraphQLError(message));
}

function asValidationRule(rule: (context: ValidationContext) => object): ValidationRule {
  return (context): ASTVisitor => rule(context);
}
