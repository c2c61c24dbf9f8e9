import type { Schema } from '@apollo/federation-internals';
import { isAbstractType, isInterfaceType, isObjectType, isUnionType } from 'graphql';
import type { LoadedSupergraph } from '../federation.ts';
import { createMerge, type Merge } from './merge.ts';
import type { IsOfType } from './rewrites.ts';
import type { RequiredNames } from './safe-document.ts';

/** What execution wants to know of a supergraph's types, those that clients may not see among them. */
export interface SupergraphTypes {
  readonly isOfType: IsOfType;
  /** Names that objects which fulfil a type condition may tell as their type. */
  readonly namesOfType: (condition: string) => readonly string[];
  readonly merge: Merge;
  readonly required: RequiredNames;
}

const known = new WeakMap<LoadedSupergraph, SupergraphTypes>();

export function supergraphTypes(supergraph: LoadedSupergraph): SupergraphTypes {
  const types = known.get(supergraph) ?? createTypes(supergraph);
  known.set(supergraph, types);
  return types;
}

function createTypes({ supergraphSchema: schema, planner }: LoadedSupergraph): SupergraphTypes {
  return {
    isOfType: (typename, condition) => {
      if (typename === condition) return true;
      const [type, conditionType] = [schema.getType(typename), schema.getType(condition)];
      return isAbstractType(conditionType) && (isObjectType(type) || isInterfaceType(type)) && schema.isSubType(conditionType, type);
    },
    namesOfType: (condition) => {
      const type = schema.getType(condition);
      if (!isAbstractType(type)) return [condition];
      const objects = schema.getPossibleTypes(type).map(({ name }) => name);
      return isUnionType(type) ? objects : [condition, ...objects, ...schema.getImplementations(type).interfaces.map(({ name }) => name)];
    },
    merge: createMerge((name) => isObjectType(schema.getType(name))),
    required: requiredNames(planner.supergraph.schema),
  };
}

/** Names in the supergraph's `join__type(key:)` and `join__field(requires:)`; a few that are no fields among them do no harm. */
function requiredNames(schema: Schema): RequiredNames {
  const fields = new Set<string>();
  const fieldsWithArguments = new Set<string>();
  const keyFields = new Set<string>();
  const add = (selection: unknown, ...into: Set<string>[]): void => {
    if (typeof selection !== 'string') return;
    for (const [, name = '', open] of selection.matchAll(/([_A-Za-z][_0-9A-Za-z]*)\s*(\()?/g)) {
      for (const names of [fields, ...into]) names.add(name);
      if (open !== undefined) fieldsWithArguments.add(name);
    }
  };
  for (const type of schema.types()) {
    for (const directive of type.appliedDirectives) add(directive.arguments()['key'], keyFields);
    if (type.kind !== 'ObjectType' && type.kind !== 'InterfaceType') continue;
    for (const field of type.fields()) for (const directive of field.appliedDirectives) add(directive.arguments()['requires']);
  }
  return { fields, fieldsWithArguments, keyFields };
}
