import { isAbstractType, Kind, visit, type DocumentNode, type FieldNode, type FragmentDefinitionNode, type GraphQLNamedType, type GraphQLSchema, type SelectionNode, type SelectionSetNode } from 'graphql';
import { responseNameOf } from './safe-document.ts';

/** What fields an operation selects, for one choice of the variables that skip and include. */
export interface Selections {
  /** The fields that an object of `type` answers, merged by response name, in the order of the specification's CollectFields. */
  fieldsOf(type: GraphQLNamedType, selectionSets: readonly SelectionSetNode[]): Map<string, FieldNode[]>;
}

/** Variables that decide `@skip` or `@include` somewhere in the document. */
export function conditionVariables(document: DocumentNode): string[] {
  const names = new Set<string>();
  visit(document, {
    Directive: ({ name, arguments: given }) => {
      if (name.value !== 'skip' && name.value !== 'include') return;
      for (const { value } of given ?? []) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

/** @param isTrue tells the value of a condition variable. */
export function createSelections(
  schema: GraphQLSchema,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  isTrue: (variable: string) => boolean,
): Selections {
  const applies = (condition: string | undefined, type: GraphQLNamedType): boolean => {
    if (condition === undefined || condition === type.name) return true;
    const conditionType = schema.getType(condition);
    return isAbstractType(conditionType) && 'getFields' in type && schema.isSubType(conditionType, type as never);
  };

  const collect = (type: GraphQLNamedType, { selections }: SelectionSetNode, into: Map<string, FieldNode[]>, visited: Set<string>): void => {
    for (const selection of selections) {
      if (!isIncluded(selection, isTrue)) continue;
      if (selection.kind === Kind.FIELD) {
        const name = responseNameOf(selection);
        const fields = into.get(name);
        if (fields === undefined) into.set(name, [selection]);
        else fields.push(selection);
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        if (applies(selection.typeCondition?.name.value, type)) collect(type, selection.selectionSet, into, visited);
      } else {
        const fragment = fragments.get(selection.name.value);
        if (fragment === undefined || visited.has(selection.name.value)) continue;
        visited.add(selection.name.value);
        if (applies(fragment.typeCondition.name.value, type)) collect(type, fragment.selectionSet, into, visited);
      }
    }
  };

  return {
    fieldsOf: (type, selectionSets) => {
      const fields = new Map<string, FieldNode[]>();
      const visited = new Set<string>();
      for (const selectionSet of selectionSets) collect(type, selectionSet, fields, visited);
      return fields;
    },
  };
}

/** Whether `@skip` and `@include` let a selection in. */
export function isIncluded({ directives }: SelectionNode, isTrue: (variable: string) => boolean): boolean {
  for (const { name, arguments: given } of directives ?? []) {
    if (name.value !== 'skip' && name.value !== 'include') continue;
    const value = given?.find((argument) => argument.name.value === 'if')?.value;
    const condition = value?.kind === Kind.VARIABLE ? isTrue(value.name.value) : value?.kind === Kind.BOOLEAN && value.value;
    if (condition === (name.value === 'skip')) return false;
  }
  return true;
}

/** Sub-selections of fields that were merged into one. */
export function selectionSetsOf(fields: readonly FieldNode[]): SelectionSetNode[] {
  return fields.flatMap(({ selectionSet }) => selectionSet ?? []);
}

/**
 * Response names that an operation selects at a place, whatever the types on the way are; the place is named by the response
 * names that lead to it.
 */
export function selectedNames(
  root: SelectionSetNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  way: readonly string[],
): ReadonlySet<string> {
  const fieldsIn = (selectionSets: readonly SelectionSetNode[]): FieldNode[] =>
    selectionSets.flatMap(({ selections }) => selections).flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return selection;
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
      return fragment === undefined ? [] : fieldsIn([fragment.selectionSet]);
    });
  let selectionSets: readonly SelectionSetNode[] = [root];
  for (const name of way) selectionSets = selectionSetsOf(fieldsIn(selectionSets).filter((field) => responseNameOf(field) === name));
  return new Set(fieldsIn(selectionSets).map(responseNameOf));
}
