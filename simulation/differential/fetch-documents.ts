import {
  isAbstractType,
  isUnionType,
  Kind,
  parse,
  valueFromASTUntyped,
  type DirectiveNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** A document and what it is executed with; also of the client's own operation. */
export interface Selecting {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** With defaults. */
  readonly variables: Readonly<Record<string, unknown>>;
}

const DOCUMENTS_MAX = 5_000;
const parsed = new Map<string, Pick<Selecting, 'operation' | 'fragments'>>();

export function parseOnce(text: string): Pick<Selecting, 'operation' | 'fragments'> {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const { definitions } = parse(text, { noLocation: true });
  const operation = definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  if (operation === undefined) throw new Error(`No operation in ${text}`);
  const fragments = definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
  const made = { operation, fragments: new Map(fragments.map((fragment) => [fragment.name.value, fragment])) };
  if (parsed.size >= DOCUMENTS_MAX) parsed.clear();
  parsed.set(text, made);
  return made;
}

/** The variables with the defaults that an operation declares. */
export function withDefaults({ variableDefinitions = [] }: OperationDefinitionNode, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { variable, defaultValue } of variableDefinitions) {
    const name = variable.name.value;
    if (given[name] !== undefined) values[name] = given[name];
    else if (defaultValue !== undefined) values[name] = valueFromASTUntyped(defaultValue);
  }
  return values;
}

/**
 * CollectFields of the specification (section "Field Collection"), for one or more selection sets of the same object: the
 * fields by response name, in order.
 */
export function collectFields(selecting: Selecting, type: GraphQLCompositeType, sets: readonly SelectionSetNode[]): Map<string, FieldNode[]> {
  const grouped = new Map<string, FieldNode[]>();
  const visited = new Set<string>();
  const collect = ({ selections }: SelectionSetNode): void => {
    for (const selection of selections) {
      if (!isIncluded(selection.directives, selecting.variables)) continue;
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value;
        const group = grouped.get(name);
        if (group === undefined) grouped.set(name, [selection]);
        else group.push(selection);
        continue;
      }
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        if (applies(selecting.schema, type, selection.typeCondition?.name.value)) collect(selection.selectionSet);
        continue;
      }
      const fragment = visited.has(selection.name.value) ? undefined : selecting.fragments.get(selection.name.value);
      visited.add(selection.name.value);
      if (fragment !== undefined && applies(selecting.schema, type, fragment.typeCondition.name.value)) collect(fragment.selectionSet);
    }
  };
  sets.forEach(collect);
  return grouped;
}

export function selectionSetsOf(fields: readonly FieldNode[]): SelectionSetNode[] {
  return fields.flatMap(({ selectionSet }) => (selectionSet === undefined ? [] : [selectionSet]));
}

function applies(schema: GraphQLSchema, type: GraphQLCompositeType, condition: string | undefined): boolean {
  if (condition === undefined || condition === type.name) return true;
  const wanted = schema.getType(condition);
  return isAbstractType(wanted) && !isUnionType(type) && schema.isSubType(wanted, type);
}

function isIncluded(directives: readonly DirectiveNode[] | undefined, variables: Readonly<Record<string, unknown>>): boolean {
  for (const { name, arguments: args = [] } of directives ?? []) {
    const condition = args[0]?.value;
    if (condition === undefined) continue;
    const value = condition.kind === Kind.VARIABLE ? variables[condition.name.value] : valueFromASTUntyped(condition);
    if (name.value === 'skip' && value === true) return false;
    if (name.value === 'include' && value !== true) return false;
  }
  return true;
}
