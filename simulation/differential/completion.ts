import {
  execute,
  isAbstractType,
  isEnumType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  Kind,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
} from 'graphql';
import { collectFields, selectionSetsOf, type Selecting } from './fetch-documents.ts';
import { isTree, type Feature, type Path, type Tree } from './merged-tree.ts';

/** Data as the specification completes it, and the errors that this gives. */
export interface Completed {
  readonly data: Tree | null;
  readonly violations: Violation[];
  readonly features: Feature[];
}

export interface Violation {
  readonly path: Path;
  /** A null where there must be none: an error that was told already may be its reason. */
  readonly isNull: boolean;
  /** Whether its parent was to be null already: siblings may be given up then ("Handling Field Errors"). */
  readonly late: boolean;
}

interface Completing extends Selecting {
  readonly violations: Violation[];
  readonly features: Feature[];
  /** Depth of parents that are null whatever else is found in them. */
  late: number;
}

const NULL_ABOVE: unique symbol = Symbol('null above');
const INT_MAX = 2 ** 31;

/** "Value Completion" and "Handling Field Errors" of the specification, over what subgraphs answered. */
export function complete(selecting: Selecting, tree: Tree): Completed {
  const completing: Completing = { ...selecting, violations: [], features: [], late: 0 };
  const root = selecting.schema.getRootType(selecting.operation.operation);
  if (root === undefined || root === null) throw new Error(`No type for ${selecting.operation.operation}`);
  const data = completeObject(completing, root, tree, { sets: [selecting.operation.selectionSet], path: [] });
  return { data: data === NULL_ABOVE ? null : data, violations: completing.violations, features: completing.features };
}

function completeObject(completing: Completing, type: GraphQLCompositeType, source: Tree, { sets, path }: { readonly sets: Parameters<typeof collectFields>[2]; readonly path: Path }): Tree | typeof NULL_ABOVE {
  const data = Object.create(null) as Tree;
  let whole = true;
  for (const [name, group] of collectFields(completing, type, sets)) {
    const [first] = group;
    if (first === undefined) continue;
    const value = completeField(completing, { type, source, path: [...path, name] }, name, group);
    if (value === NULL_ABOVE && whole) {
      whole = false;
      completing.late += 1;
    }
    data[name] = value;
  }
  if (!whole) completing.late -= 1;
  return whole ? data : NULL_ABOVE;
}

function completeField(completing: Completing, { type, source, path }: { readonly type: GraphQLCompositeType; readonly source: Tree; readonly path: Path }, name: string, group: readonly FieldNode[]): unknown {
  const fieldName = group[0]?.name.value ?? '';
  if (fieldName === '__typename') return isObjectType(type) ? nameOf(completing, type, source[name], path) : nameless(completing, path);
  if (fieldName === '__schema' || fieldName === '__type') return introspect(completing, name, group);
  const field = isUnionType(type) ? undefined : type.getFields()[fieldName];
  if (field === undefined) throw new Error(`No field ${type.name}.${fieldName}`);
  return completeValue(completing, field.type, Object.hasOwn(source, name) ? source[name] : undefined, { group, path });
}

function completeValue(completing: Completing, type: GraphQLOutputType, value: unknown, at: { readonly group: readonly FieldNode[]; readonly path: Path }): unknown {
  const before = completing.violations.length;
  if (isNonNullType(type)) {
    const inner = completeValue(completing, type.ofType, value, at);
    if (inner !== null) return inner;
    if (completing.violations.length === before) violate(completing, at.path, true);
    return NULL_ABOVE;
  }
  if (value === null || value === undefined) return null;
  if (isListType(type)) return completeList(completing, type.ofType, value, at);
  if (isLeafType(type)) return completeLeaf(completing, type, value, at.path);
  if (!isTree(value)) return refuse(completing, at.path, 'wrong kind');
  const runtime = runtimeType(completing, type, value, at);
  if (runtime === undefined) {
    violate(completing, at.path, false);
    return null;
  }
  const object = completeObject(completing, runtime, value, { sets: selectionSetsOf(at.group), path: at.path });
  return object === NULL_ABOVE ? null : object;
}

function completeList(completing: Completing, itemType: GraphQLOutputType, value: unknown, { group, path }: { readonly group: readonly FieldNode[]; readonly path: Path }): unknown {
  if (!Array.isArray(value)) return refuse(completing, path, 'wrong kind');
  let whole = true;
  const items = value.map((item: unknown, index) => {
    const completed = completeValue(completing, itemType, item, { group, path: [...path, index] });
    if (completed === NULL_ABOVE && whole) {
      whole = false;
      completing.late += 1;
    }
    return completed;
  });
  if (!whole) completing.late -= 1;
  return whole ? items : null;
}

function completeLeaf(completing: Completing, type: GraphQLLeafType, value: unknown, path: Path): unknown {
  if (isEnumType(type)) {
    if (typeof value === 'string' && type.getValue(value) !== undefined) return value;
    return refuse(completing, path, 'enum value');
  }
  const sound: Readonly<Record<string, () => boolean>> = {
    Int: () => Number.isInteger(value) && Number(value) >= -INT_MAX && Number(value) < INT_MAX,
    Float: () => Number.isFinite(value),
    String: () => typeof value === 'string',
    Boolean: () => typeof value === 'boolean',
    ID: () => typeof value === 'string' || Number.isInteger(value),
  };
  if (sound[type.name]?.() === false) return refuse(completing, path, 'scalar');
  if (type.name !== 'ID' || typeof value === 'string') return value;
  completing.features.push({ rule: 'id as a number', path });
  return String(value);
}

/** The object's own type, or the abstract one where nobody told. What a subgraph calls it must be a type that clients know and that the field can have. */
function runtimeType(completing: Completing, type: GraphQLCompositeType, { __typename: name }: Tree, { group, path }: { readonly group: readonly FieldNode[]; readonly path: Path }): GraphQLCompositeType | undefined {
  const { schema, features } = completing;
  const isNameless = name === undefined || name === null || isInterfaceOf(schema, type, name);
  if (isNameless && !isUnionType(type)) {
    // Nobody asks for the name when all that is selected are fields of the interface.
    if (!isObjectType(type)) features.push({ rule: 'abstract type without a name', path });
    else if (selectionSetsOf(group).some(({ selections }) => selections.some(({ kind }) => kind !== Kind.FIELD))) features.push({ rule: 'fragments on what has no name', path });
    return type;
  }
  const found = typeof name === 'string' ? schema.getType(name) : undefined;
  const fits = isObjectType(found) && (found === type || (isAbstractType(type) && schema.isSubType(type, found)));
  if (!fits) features.push({ rule: 'type that the field cannot have', path });
  return fits ? found : undefined;
}

/** A subgraph may have said anything under an alias of `__typename`. */
function nameOf({ features }: Completing, { name }: GraphQLObjectType, said: unknown, path: Path): string {
  if (said !== undefined && said !== null && said !== name) features.push({ rule: 'type that the field cannot have', path: path.slice(0, -1) });
  return name;
}

function nameless(completing: Completing, path: Path): typeof NULL_ABOVE {
  violate(completing, path, true);
  return NULL_ABOVE;
}

/** Subgraphs that take an interface for an object call the object by its name. */
function isInterfaceOf(schema: Completing['schema'], type: GraphQLCompositeType, name: unknown): boolean {
  const found = typeof name === 'string' ? schema.getType(name) : undefined;
  return isInterfaceType(found) && (found === type || (!isUnionType(type) && schema.isSubType(found, type)) || (isInterfaceType(type) && schema.isSubType(type, found)));
}

function refuse(completing: Completing, path: Path, rule: string): null {
  completing.features.push({ rule, path });
  violate(completing, path, false);
  return null;
}

function violate({ violations, late }: Completing, path: Path, isNull: boolean): void {
  violations.push({ path, isNull, late: late > 0 });
}

function introspect({ schema, operation, fragments, variables }: Completing, name: string, group: readonly FieldNode[]): unknown {
  const asked = { ...operation, directives: [], variableDefinitions: [], selectionSet: { kind: Kind.SELECTION_SET, selections: group } } as const;
  const result = execute({ schema, document: { kind: Kind.DOCUMENT, definitions: [asked, ...fragments.values()] }, variableValues: variables, rootValue: {} });
  if (result instanceof Promise) throw new Error('Introspection takes no time');
  return result.data?.[name];
}
