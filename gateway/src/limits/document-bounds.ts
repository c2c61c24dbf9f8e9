import {
  GraphQLError,
  Kind,
  parse,
  type ASTNode,
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import { limitError } from './limit-error.ts';

/** The bounds that an operator sets; 0 switches one off. */
export interface DocumentLimits {
  /** Levels of fields; what introspection asks for is bounded by itself. */
  readonly maxDepth: number;
  /** With those of fragments, wherever they are spread. */
  readonly maxAliases: number;
  /** Lexical tokens of the document. */
  readonly maxTokens: number;
}

/** Levels of fields below `__schema` and `__type`: the usual introspection queries have up to 15. */
const INTROSPECTION_DEPTH_MAX = 25;
/**
 * Selections with fragments written out, which is what has to be planned, fetched and answered: as many as there may be tokens, fragments
 * are no way around these; so many where tokens are not bounded.
 */
export const SELECTIONS_MAX = 10_000;
export const ROOT_FIELDS_MAX = 100;
/** One response name in one selection set: validation compares each with each. */
export const REPEATS_MAX = 50;
export const DIRECTIVES_MAX = 250;
export const VARIABLE_DEFINITIONS_MAX = 250;
/** Literals in arguments, each item and member of lists and objects. */
const VALUES_MAX = 5_000;
/** Operations and fragments: some rules look at all fragments for each operation. */
const DEFINITIONS_MAX = 250;
/** Fields, inline fragments and fragments within one another: what walks a document recursively has to end. */
export const NESTING_MAX = 250;
/** Lists and objects in arguments. */
const VALUES_NESTING_MAX = 50;
/** Sums stop here: fragments that spread one another twice reach any number. */
const SATURATED = 1e9;

/** What a selection set comes to with its fragments written out. */
interface Size {
  depth: number;
  introspectionDepth: number;
  aliases: number;
  selections: number;
  /** Fields of the set itself, those of its fragments included, not of what is below them. */
  fields: number;
}

interface Walk {
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  /** Of fragments that were looked into, each once. */
  readonly sizes: Map<string, Size>;
  directives: number;
  values: number;
  nesting: number;
}

/** Ends the walk early. */
class Violation extends Error {
  readonly refusal: GraphQLError;

  constructor(refusal: GraphQLError) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/**
 * Parses a document that may be hostile.
 * @throws GraphQLError of the syntax, or that it is too long or nested too deep to be read.
 */
export function parseWithin(query: string, { maxTokens }: Pick<DocumentLimits, 'maxTokens'>): DocumentNode {
  try {
    return parse(query, maxTokens === 0 ? {} : { maxTokens });
  } catch (error) {
    // The parser is recursive: a hundred thousand braces exhaust the stack, which holds nothing of anybody else's.
    if (error instanceof RangeError) throw new GraphQLError(`The document is nested deeper than ${NESTING_MAX} levels: ask for less at once`);
    if (error instanceof GraphQLError && maxTokens !== 0 && /more tha[nt] \d+ tokens/.test(error.message)) {
      const message = `Syntax Error: The document has more than ${maxTokens} tokens: ask for less at once, or send it as several operations`;
      throw limitError(message, { reason: 'GRAPHQL_PARSE_FAILED', limit: 'maxTokens', max: maxTokens });
    }
    throw error;
  }
}

/**
 * What a parsed document has too much of: depth, aliases, selections with fragments written out, root fields, repeated
 * fields, directives, variables. One pass in time linear to the document, whatever is in it; run it before validation, whose rules
 * take more. Fragments are measured once each; one that spreads itself is left to validation.
 * @returns the first violation, BAD_USER_INPUT with the reason GRAPHQL_VALIDATION_FAILED, its `limit` and `max`; null without.
 */
export function documentViolation(document: DocumentNode, limits: DocumentLimits): GraphQLError | null {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const walk: Walk = { fragments, sizes: new Map(), directives: 0, values: 0, nesting: 0 };
  try {
    within(document.definitions.length, boundOf.definitions, document);
    for (const definition of document.definitions) {
      if (definition.kind === Kind.OPERATION_DEFINITION) checkOperation(walk, definition, limits);
      // One that no operation spreads costs validation all the same.
      else if (definition.kind === Kind.FRAGMENT_DEFINITION) sizeOfFragment(walk, definition.name.value, definition);
    }
    return null;
  } catch (error) {
    if (error instanceof Violation) return error.refusal;
    throw error;
  }
}

function checkOperation(walk: Walk, operation: OperationDefinitionNode, { maxDepth, maxAliases, maxTokens }: DocumentLimits): void {
  const variables = operation.variableDefinitions ?? [];
  within(variables.length, boundOf.variables, operation);
  countDirectives(walk, operation.directives, operation);
  for (const variable of variables) {
    countDirectives(walk, variable.directives, variable);
    if (variable.defaultValue !== undefined) countValues(walk, variable.defaultValue, 1);
  }
  const size = sizeOf(walk, operation.selectionSet);
  if (maxDepth !== 0) within(size.depth, boundOf.depth(maxDepth), operation);
  within(size.introspectionDepth, boundOf.introspectionDepth, operation);
  if (maxAliases !== 0) within(size.aliases, boundOf.aliases(maxAliases), operation);
  within(size.fields, boundOf.rootFields, operation);
  within(size.selections, boundOf.selections(maxTokens === 0 ? SELECTIONS_MAX : maxTokens), operation);
}

interface Bound {
  readonly limit: string;
  readonly max: number;
  /** After "The operation", with the bound in it. */
  readonly problem: string;
}

const LESS = 'ask for less at once';
const boundOf = {
  depth: (max: number): Bound => ({ limit: 'maxDepth', max, problem: `is nested deeper than ${max} levels: ${LESS}` }),
  aliases: (max: number): Bound => ({ limit: 'maxAliases', max, problem: `has more than ${max} aliases, each fragment's counted wherever it is spread: ${LESS}` }),
  selections: (max: number): Bound => ({ limit: 'selections', max, problem: `has more than ${max} selections when its fragments are written out: ${LESS}` }),
  introspectionDepth: { limit: 'introspectionDepth', max: INTROSPECTION_DEPTH_MAX, problem: `asks for the schema deeper than ${INTROSPECTION_DEPTH_MAX} levels: ${LESS}` },
  nesting: { limit: 'nesting', max: NESTING_MAX, problem: `nests fields and fragments deeper than ${NESTING_MAX} levels: ${LESS}` },
  rootFields: { limit: 'rootFields', max: ROOT_FIELDS_MAX, problem: `has more than ${ROOT_FIELDS_MAX} root fields: send several operations` },
  repeats: { limit: 'repeats', max: REPEATS_MAX, problem: `has one field more than ${REPEATS_MAX} times in one selection: once is enough` },
  directives: { limit: 'directives', max: DIRECTIVES_MAX, problem: `has more than ${DIRECTIVES_MAX} directives: leave out those that decide nothing` },
  definitions: { limit: 'definitions', max: DEFINITIONS_MAX, problem: `stands in a document of more than ${DEFINITIONS_MAX} operations and fragments: send them in several documents` },
  values: { limit: 'values', max: VALUES_MAX, problem: `has more than ${VALUES_MAX} values in its arguments: send them as variables, or in several operations` },
  valuesNesting: { limit: 'valuesNesting', max: VALUES_NESTING_MAX, problem: `nests lists and objects in its arguments deeper than ${VALUES_NESTING_MAX} levels` },
  variables: { limit: 'variables', max: VARIABLE_DEFINITIONS_MAX, problem: `declares more than ${VARIABLE_DEFINITIONS_MAX} variables: put them into lists or input objects` },
} as const;

function within(actual: number, { limit, max, problem }: Bound, node: ASTNode): void {
  if (actual > max) throw new Violation(limitError(`The operation ${problem}`, { reason: 'GRAPHQL_VALIDATION_FAILED', limit, max }, node));
}

function sizeOf(walk: Walk, selectionSet: SelectionSetNode): Size {
  const size: Size = { depth: 0, introspectionDepth: 0, aliases: 0, selections: 0, fields: 0 };
  const { selections } = selectionSet;
  // Names are counted only where there can be too many of one.
  const mayRepeat = selections.length > REPEATS_MAX || selections.some(({ kind }) => kind === Kind.INLINE_FRAGMENT);
  addSelections(walk, size, selectionSet, mayRepeat ? new Map() : undefined);
  return size;
}

/** Inline fragments belong to the set that they stand in. */
function addSelections(walk: Walk, size: Size, selectionSet: SelectionSetNode, names: Map<string, number> | undefined): void {
  walk.nesting += 1;
  within(walk.nesting, boundOf.nesting, selectionSet);
  for (const selection of selectionSet.selections) {
    countDirectives(walk, selection.directives, selection);
    size.selections = Math.min(size.selections + 1, SATURATED);
    if (selection.kind === Kind.FIELD) addField(walk, size, selection, names);
    else if (selection.kind === Kind.FRAGMENT_SPREAD) addSize(size, sizeOfFragment(walk, selection.name.value, walk.fragments.get(selection.name.value)));
    else addSelections(walk, size, selection.selectionSet, names);
  }
  walk.nesting -= 1;
}

function addField(walk: Walk, size: Size, field: FieldNode, names: Map<string, number> | undefined): void {
  size.fields = Math.min(size.fields + 1, SATURATED);
  if (field.alias !== undefined) size.aliases = Math.min(size.aliases + 1, SATURATED);
  if (names !== undefined) countRepeat(names, field);
  if (field.arguments !== undefined) for (const { value } of field.arguments) countValues(walk, value, 1);
  const isIntrospection = field.name.value.startsWith('__');
  if (field.selectionSet === undefined) {
    if (!isIntrospection && size.depth < 1) size.depth = 1;
    return;
  }
  const below = sizeOf(walk, field.selectionSet);
  if (isIntrospection) size.introspectionDepth = Math.max(size.introspectionDepth, 1 + below.depth);
  else size.depth = Math.max(size.depth, 1 + below.depth);
  size.introspectionDepth = Math.max(size.introspectionDepth, below.introspectionDepth);
  size.aliases = Math.min(size.aliases + below.aliases, SATURATED);
  size.selections = Math.min(size.selections + below.selections, SATURATED);
}

function countRepeat(names: Map<string, number>, field: FieldNode): void {
  const name = (field.alias ?? field.name).value;
  const repeats = (names.get(name) ?? 0) + 1;
  names.set(name, repeats);
  within(repeats, boundOf.repeats, field);
}

/** What a spread adds: the fragment counts each time, whatever it spreads itself was summed before. */
function addSize(size: Size, of: Size): void {
  size.depth = Math.max(size.depth, of.depth);
  size.introspectionDepth = Math.max(size.introspectionDepth, of.introspectionDepth);
  size.aliases = Math.min(size.aliases + of.aliases, SATURATED);
  size.selections = Math.min(size.selections + of.selections, SATURATED);
  size.fields = Math.min(size.fields + of.fields, SATURATED);
}

const NOTHING: Readonly<Size> = { depth: 0, introspectionDepth: 0, aliases: 0, selections: 0, fields: 0 };

function sizeOfFragment(walk: Walk, name: string, fragment: FragmentDefinitionNode | undefined): Size {
  const known = walk.sizes.get(name);
  if (known !== undefined) return known;
  if (fragment === undefined) return NOTHING;
  // While it is measured it counts as nothing: a fragment that spreads itself ends here.
  walk.sizes.set(name, NOTHING);
  countDirectives(walk, fragment.directives, fragment);
  const size = sizeOf(walk, fragment.selectionSet);
  walk.sizes.set(name, size);
  return size;
}

function countDirectives(walk: Walk, directives: readonly DirectiveNode[] | undefined, node: ASTNode): void {
  if (directives === undefined || directives.length === 0) return;
  walk.directives += directives.length;
  within(walk.directives, boundOf.directives, node);
  for (const directive of directives) for (const { value } of directive.arguments ?? []) countValues(walk, value, 1);
}

function countValues(walk: Walk, value: ValueNode, nesting: number): void {
  walk.values += 1;
  within(walk.values, boundOf.values, value);
  within(nesting, boundOf.valuesNesting, value);
  if (value.kind === Kind.LIST) for (const item of value.values) countValues(walk, item, nesting + 1);
  else if (value.kind === Kind.OBJECT) for (const member of value.fields) countValues(walk, member.value, nesting + 1);
}
