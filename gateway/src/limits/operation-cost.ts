import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isObjectType,
  Kind,
  OperationTypeNode,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLError,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type InlineFragmentNode,
  type FragmentSpreadNode,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';
import { constantPrice, createPriceProgram, type Condition, type Price, type PriceProgram, type Term } from './price-program.ts';
import { costDirectivesOf, type CostDirectives } from './cost-directives.ts';
import { limitError } from './limit-error.ts';
import { sizeOfField, type HandedOn, type Variables } from './list-sizes.ts';

export interface CostSettings {
  /** The length of a list that no argument tells. */
  readonly assumedListSize: number;
}

/** Of a field that answers an object. */
const OBJECT_COST = 1;
/** Of a root field of a mutation, whatever it answers. */
const MUTATION_COST = 10;
/** Lists of the schema itself: the gateway answers them from memory. */
const INTROSPECTION_LIST_SIZE = 10;

/**
 * Prices an operation: a field that answers an object costs 1, a scalar nothing, a root field of a mutation 10, all times the
 * lengths of the lists around it. A length is told by the arguments first, last, limit, size or take of the list's field or of its
 * connection, else it is assumed; `@cost` and `@listSize` of the supergraph go before. An upper bound: of abstract types
 * the dearest possible type counts, what is asked for twice counts twice. Compiled once, in time linear to the document.
 * @param schema the supergraph's own (the API schema has lost the directives); the operation is valid under it.
 * @returns the price for the coerced variables, at most Number.MAX_SAFE_INTEGER.
 */
export function compileCost(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, settings: CostSettings): (coercedVariables: Variables) => number {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const program = createPriceProgram();
  const pricing: Pricing = { schema, fragments, program, directives: costDirectivesOf(schema), assumedListSize: settings.assumedListSize, known: new Map() };
  const root = schema.getRootType(operation.operation);
  if (root === undefined || root === null) return () => 0;
  return program.compile(priceOf(pricing, operation.selectionSet, { type: root, handedOn: undefined, isMutation: operation.operation === OperationTypeNode.MUTATION }));
}

/** BAD_USER_INPUT with the reason OPERATION_TOO_EXPENSIVE, `cost` and `maxCost`. */
export function costError(cost: number, maxCost: number): GraphQLError {
  const message =
    `The operation costs ${cost}, more than the ${maxCost} that one may: each object costs 1, times the lengths of the lists around it. ` +
    'Ask for shorter lists (first, last, limit, size or take), or for fewer lists within one another';
  return limitError(message, { reason: 'OPERATION_TOO_EXPENSIVE', cost, maxCost });
}

interface Pricing {
  readonly schema: GraphQLSchema;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly program: PriceProgram;
  readonly directives: CostDirectives;
  readonly assumedListSize: number;
  /** Of selection sets, by what their connection hands on to them: each is priced once, also in fragments that are spread many times. */
  readonly known: Map<SelectionSetNode, Map<string, Price>>;
}

/** Where a selection set stands. */
interface Place {
  readonly type: GraphQLCompositeType;
  readonly handedOn: HandedOn | undefined;
  readonly isMutation: boolean;
}

function priceOf(pricing: Pricing, selectionSet: SelectionSetNode, place: Place): Price {
  const key = `${place.isMutation} ${place.handedOn?.key ?? ''}`;
  let prices = pricing.known.get(selectionSet);
  if (prices === undefined) pricing.known.set(selectionSet, (prices = new Map()));
  let price = prices.get(key);
  if (price === undefined) {
    // Validation refuses fragments that spread themselves; here they would end.
    prices.set(key, constantPrice(0));
    prices.set(key, (price = priceOfSelections(pricing, selectionSet, place)));
  }
  return price;
}

interface TypedTerm {
  readonly type: GraphQLCompositeType;
  readonly term: Term;
}

function priceOfSelections(pricing: Pricing, selectionSet: SelectionSetNode, place: Place): Price {
  const always: Term[] = [];
  const ofTypes: TypedTerm[] = [];
  for (const selection of selectionSet.selections) {
    const conditions = conditionsOf(selection);
    if (conditions === 'never') continue;
    if (selection.kind === Kind.FIELD) {
      const term = termOfField(pricing, selection, place, conditions);
      if (term !== undefined) always.push(term);
      continue;
    }
    const fragment = fragmentOf(pricing, selection, place.type);
    if (fragment === undefined) continue;
    const price = priceOf(pricing, fragment.selectionSet, { ...place, type: fragment.type });
    const term: Term = { conditions, size: 1, weight: 0, once: 0, below: price };
    if (fragment.type === place.type) always.push(term);
    else ofTypes.push({ type: fragment.type, term });
  }
  return pricing.program.dearest(ofTypes.length === 0 ? [always] : alternatives(pricing.schema, place.type, always, ofTypes));
}

/** What is asked of each possible type; types of which the same is asked are told once. */
function alternatives(schema: GraphQLSchema, type: GraphQLCompositeType, always: readonly Term[], ofTypes: readonly TypedTerm[]): Term[][] {
  const found = new Map<string, Term[]>();
  for (const possible of possibleTypes(schema, type)) {
    const indexes = ofTypes.flatMap(({ type: condition }, index) => (includes(schema, condition, possible) ? [index] : []));
    const key = indexes.join();
    if (!found.has(key)) found.set(key, [...always, ...indexes.map((index) => (ofTypes[index] as TypedTerm).term)]);
  }
  return [...found.values()];
}

function termOfField(pricing: Pricing, field: FieldNode, { type, handedOn, isMutation }: Place, conditions: readonly Condition[]): Term | undefined {
  const definition = fieldOf(pricing.schema, type, field.name.value);
  if (definition === undefined) return undefined;
  const { directives } = pricing;
  const answered = getNamedType(definition.type);
  const assumed = answered.name.startsWith('__') ? INTROSPECTION_LIST_SIZE : pricing.assumedListSize;
  const sized = sizeOfField(field, definition, { listSize: directives.listSizeOf(definition), handedOn, assumed });
  const below =
    field.selectionSet === undefined || !isCompositeType(answered)
      ? constantPrice(0)
      : priceOf(pricing, field.selectionSet, { type: answered, handedOn: sized.handedOn, isMutation: false });
  let once = 0;
  for (const argument of definition.args) {
    if (field.arguments?.some(({ name }) => name.value === argument.name) === true) once += directives.weightOf(argument) ?? 0;
  }
  const ownWeight = directives.weightOf(definition);
  if (isMutation) return { conditions, size: sized.size, weight: 0, once: once + (ownWeight ?? MUTATION_COST), below };
  return { conditions, size: sized.size, weight: ownWeight ?? weightOfType(pricing, answered), once, below };
}

function weightOfType({ schema, directives }: Pricing, type: GraphQLNamedType): number {
  if (!isAbstractType(type)) return directives.weightOf(type) ?? (isObjectType(type) ? OBJECT_COST : 0);
  return schema.getPossibleTypes(type).reduce((most, possible) => Math.max(most, directives.weightOf(possible) ?? OBJECT_COST), OBJECT_COST);
}

function fieldOf(schema: GraphQLSchema, type: GraphQLCompositeType, name: string): GraphQLField<unknown, unknown> | undefined {
  if (name === TypeNameMetaFieldDef.name) return undefined;
  if (name === SchemaMetaFieldDef.name && type === schema.getQueryType()) return SchemaMetaFieldDef;
  if (name === TypeMetaFieldDef.name && type === schema.getQueryType()) return TypeMetaFieldDef;
  return 'getFields' in type ? type.getFields()[name] : undefined;
}

function fragmentOf({ schema, fragments }: Pricing, selection: InlineFragmentNode | FragmentSpreadNode, parent: GraphQLCompositeType): { type: GraphQLCompositeType; selectionSet: SelectionSetNode } | undefined {
  const node = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection;
  if (node === undefined) return undefined;
  const type = node.typeCondition === undefined ? parent : schema.getType(node.typeCondition.name.value);
  return isCompositeType(type) ? { type, selectionSet: node.selectionSet } : undefined;
}

function possibleTypes(schema: GraphQLSchema, type: GraphQLCompositeType): readonly GraphQLObjectType[] {
  return isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
}

function includes(schema: GraphQLSchema, condition: GraphQLCompositeType, type: GraphQLObjectType): boolean {
  return condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
}

/** @returns `never` when a literal decides so. */
function conditionsOf({ directives }: SelectionNode): readonly Condition[] | 'never' {
  if (directives === undefined || directives.length === 0) return [];
  const conditions: Condition[] = [];
  for (const { name, arguments: given } of directives) {
    if (name.value !== 'skip' && name.value !== 'include') continue;
    const wanted = name.value === 'include';
    const value = given?.find((argument) => argument.name.value === 'if')?.value;
    if (value?.kind === Kind.VARIABLE) conditions.push({ variable: value.name.value, wanted });
    else if (value?.kind === Kind.BOOLEAN && value.value !== wanted) return 'never';
  }
  return conditions;
}
