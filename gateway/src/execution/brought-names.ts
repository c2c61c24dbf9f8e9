import { Kind, parse, type FieldNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql';
import { responseNameOf } from './safe-document.ts';
import { isIncluded } from './selections.ts';

/**
 * Response names that a subgraph's document brings to the root or, when it fetches entities, to an entity of the type
 * `typename`; without `__typename` and without what is skipped.
 */
export type BroughtNames = (typename: string | undefined, isTrue: (variable: string) => boolean) => string[];

const ENTITIES_FIELD = '_entities';

/** Parses the document when it is asked for the first time: only failures ask. */
export function broughtNames(document: string): BroughtNames {
  let parsed: { root: SelectionSetNode; fragments: Map<string, FragmentDefinitionNode> } | undefined;
  return (typename, isTrue) => {
    parsed ??= parsedDocument(document);
    const { root, fragments } = parsed;
    const fieldsOf = (selectionSet: SelectionSetNode, type: string | undefined): FieldNode[] => {
      const inner = selectionSet.selections.map((selection) => {
        const isLeftOut = !isIncluded(selection, isTrue);
        if (selection.kind === Kind.FIELD) return { condition: undefined, fields: isLeftOut ? [] : [selection] };
        const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
        const fields = fragment === undefined || isLeftOut ? [] : fieldsOf(fragment.selectionSet, type);
        return { condition: fragment?.typeCondition?.name.value, fields };
      });
      // A fragment on the very type, left out or not, says what an entity of it gets; on abstract types it is not known here whether they apply.
      const named = inner.some(({ condition }) => condition !== undefined && condition === type);
      return inner.flatMap(({ condition, fields }) => (condition === undefined || condition === type || !named ? fields : []));
    };
    const roots = fieldsOf(root, undefined);
    const entities = roots.find((field) => field.name.value === ENTITIES_FIELD);
    const fields = entities?.selectionSet === undefined ? roots : fieldsOf(entities.selectionSet, typename);
    return [...new Set(fields.filter(({ name }) => name.value !== '__typename').map(responseNameOf))];
  };
}

function parsedDocument(document: string): { root: SelectionSetNode; fragments: Map<string, FragmentDefinitionNode> } {
  const { definitions } = parse(document, { noLocation: true });
  const operation = definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const fragments = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  return {
    root: operation?.selectionSet ?? { kind: Kind.SELECTION_SET, selections: [] },
    fragments: new Map(fragments.map((fragment) => [fragment.name.value, fragment])),
  };
}
