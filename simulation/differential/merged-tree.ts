import { isAbstractType, isInterfaceType, isObjectType, type GraphQLSchema } from 'graphql';
import type { FetchNode, QueryPlanSelectionNode } from '@apollo/query-planner';

export type Path = readonly (string | number)[];
export type Tree = Record<string, unknown>;

/** An object of the answer so far, and where it is. */
export interface Place {
  readonly value: unknown;
  readonly path: Path;
}

/** Something about which Apollo's executor and the specification can disagree, and where in the answer. */
export interface Feature {
  readonly rule: string;
  /** Undefined: it is about the answer as a whole. */
  readonly path: Path | undefined;
}

export type Tell = (rule: string, path: Path | undefined) => void;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The objects at a plan's path below a place; what is of another kind than the path takes for granted has none. */
export function placesAt(place: Place, path: Path, tell: Tell): Place[] {
  const { value, path: at } = place;
  if (value === null || value === undefined) return [];
  const [head, ...rest] = path;
  if (head === undefined && !Array.isArray(value)) return [place];
  if (head === '@') {
    if (Array.isArray(value)) return value.flatMap((item: unknown, index) => placesAt({ value: item, path: [...at, index] }, rest, tell));
    tell('wrong kind on the way', at);
    return [];
  }
  if (!isTree(value) || head === undefined) {
    tell('wrong kind on the way', at);
    return [];
  }
  return placesAt({ value: value[head], path: [...at, head] }, rest, tell);
}

/** Puts what a subgraph answered into the tree. A null never takes the place of a value that another subgraph gave. */
export function merge(target: Tree, source: Tree, at: Path, context: { readonly schema: GraphQLSchema; readonly tell: Tell }): void {
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined) continue;
    const path = [...at, name];
    const present = target[name];
    target[name] = name === '__typename' ? mergedName(present, value, at, context) : merged(present, value, path, context);
  }
}

/** A subgraph may call an object by the interface that it takes for an object: the name of its own type stays. */
function mergedName(present: unknown, value: unknown, at: Path, { schema, tell }: { readonly schema: GraphQLSchema; readonly tell: Tell }): unknown {
  if (typeof present !== 'string') return value;
  if (typeof value !== 'string' || !isObjectType(schema.getType(value))) {
    // Also when both say the interface's: of fetches at the same time, Apollo takes the name that came last.
    tell(typeof value === 'string' && isInterfaceType(schema.getType(value)) ? 'name of the interface object' : 'type that the field cannot have', at);
    return present;
  }
  if (present === value) return value;
  if (isObjectType(schema.getType(present))) tell('subgraphs disagree', at);
  return value;
}

function merged(present: unknown, value: unknown, path: Path, context: { readonly schema: GraphQLSchema; readonly tell: Tell }): unknown {
  if (present === undefined || present === null) {
    if (present === null && value !== null) context.tell('subgraphs disagree', path);
    return value;
  }
  if (value === null) {
    context.tell('subgraphs disagree', path);
    return present;
  }
  if (isTree(present) && isTree(value)) {
    merge(present, value, path, context);
    return present;
  }
  if (Array.isArray(present) && Array.isArray(value) && present.length === value.length) {
    if (present.some((item) => Array.isArray(item))) context.tell('list of lists merged', path);
    return present.map((item: unknown, index) => merged(item, value[index], [...path, index], context));
  }
  if (present === value) return value;
  context.tell('subgraphs disagree', path);
  // Apollo gives up the rest of the fetch when it can put nothing into what is there.
  if (typeof present !== typeof value) context.tell('subgraphs disagree', undefined);
  return value;
}

/** An entity's representation, undefined when it is of another type or lacks what is required. */
export function representationOf(schema: GraphQLSchema, place: Place, requires: readonly QueryPlanSelectionNode[], tell: Tell): Tree | undefined {
  const made = required(schema, place.value, requires, { at: place.path, tell });
  return isTree(made) && typeof made['__typename'] === 'string' ? made : undefined;
}

function required(schema: GraphQLSchema, source: unknown, selections: readonly QueryPlanSelectionNode[], where: { readonly at: Path; readonly tell: Tell }): unknown {
  if (source === null || source === undefined) return null;
  if (Array.isArray(source)) {
    if (source.some((item) => Array.isArray(item))) where.tell('list of lists required', where.at);
    return source.map((item: unknown) => required(schema, item, selections, where));
  }
  if (!isTree(source)) {
    where.tell('wrong kind required', where.at);
    return null;
  }
  const result = Object.create(null) as Tree;
  for (const selection of selections) {
    if (selection.kind === 'InlineFragment') {
      if (selection.typeCondition === undefined || !isOfType(schema, source, selection.typeCondition)) continue;
      const part = required(schema, source, selection.selections, where);
      if (isTree(part)) merge(result, part, [], { schema, tell: () => {} });
      continue;
    }
    const name = selection.alias ?? selection.name;
    const value = source[name];
    if (value === undefined) return null;
    result[name] = selection.selections === undefined ? value : required(schema, value, selection.selections, where);
  }
  return result;
}

function isOfType(schema: GraphQLSchema, { __typename: name }: Tree, condition: string, unknownIs = false): boolean {
  if (name === undefined || name === null) return unknownIs;
  if (name === condition) return true;
  const type = typeof name === 'string' ? schema.getType(name) : undefined;
  const wanted = schema.getType(condition);
  return isAbstractType(wanted) && (isObjectType(type) || isInterfaceType(type)) && schema.isSubType(wanted, type);
}

/** Renames and sets what the plan says, in an answer or a representation. */
export function rewrite(schema: GraphQLSchema, rewrites: FetchNode['inputRewrites'], value: unknown): void {
  for (const each of rewrites ?? []) {
    const last = each.path.at(-1);
    if (last === undefined) continue;
    eachAt(schema, each.path.slice(0, -1), value, (tree) => {
      if (each.kind === 'ValueSetter') tree[last] = each.setValueTo as unknown;
      else if (tree[last] !== undefined && tree[last] !== null) {
        tree[each.renameKeyTo] = tree[last];
        delete tree[last];
      }
    });
  }
}

function eachAt(schema: GraphQLSchema, path: readonly string[], value: unknown, change: (tree: Tree) => void): void {
  if (Array.isArray(value)) value.forEach((item) => eachAt(schema, path, item, change));
  if (!isTree(value)) return;
  const [first, ...rest] = path;
  if (first === undefined) change(value);
  else if (!first.startsWith('... on ')) eachAt(schema, rest, value[first], change);
  else if (isOfType(schema, value, first.slice('... on '.length), true)) eachAt(schema, rest, value, change);
}
