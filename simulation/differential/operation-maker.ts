import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isInterfaceType,
  isLeafType,
  isNonNullType,
  isObjectType,
  isUnionType,
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
} from 'graphql';
import { between, oneOf, shuffled, type Random } from '../../chaos/random.ts';
import { happens } from './chance.ts';
import { ODD_ALIASES } from './odd-aliases.ts';
import { drawValue, literalOf } from './operation-values.ts';

export interface DrawnOperation {
  readonly text: string;
  /** Draws values for the variables: the same operation is run with several. */
  readonly variables: (random: Random) => Record<string, unknown>;
}

type Draw = (random: Random) => unknown;

interface Draft {
  readonly schema: GraphQLSchema;
  readonly random: Random;
  /** By name: how they are declared, and how a value is drawn; undefined leaves it out. */
  readonly variables: Map<string, { readonly declared: string; readonly draw: Draw }>;
  readonly fragments: { readonly name: string; readonly on: GraphQLCompositeType; readonly text: string }[];
  budget: number;
}

const DEPTH_MAX = 6;
const FIELDS_MAX = 40;
const INTROSPECTION = ['__schema { queryType { name } }', '__type(name: "Query") { kind name }', 'meta: __schema { types { name } }'];

/** Draws a query or mutation for what clients see of a supergraph; mostly valid, which is for the caller to check. */
export function drawOperation(schema: GraphQLSchema, random: Random): DrawnOperation {
  const mutation = schema.getMutationType();
  const [kind, root] = mutation !== undefined && mutation !== null && happens(random, 0.15) ? (['mutation', mutation] as const) : (['query', schema.getQueryType()] as const);
  if (root === null || root === undefined) throw new Error('A schema without queries');
  const draft: Draft = { schema, random, variables: new Map(), fragments: [], budget: FIELDS_MAX };
  const selection = selectionOf(draft, root, 0);
  const introspection = kind === 'query' && happens(random, 0.04) ? ` ${oneOf(random, INTROSPECTION)}` : '';
  const declared = [...draft.variables].map(([name, variable]) => `$${name}: ${variable.declared}`);
  const head = `${kind} Drawn${declared.length > 0 ? `(${declared.join(', ')})` : ''}`;
  const fragments = draft.fragments.map(({ name, on, text }) => `fragment ${name} on ${on.name} ${text}`);
  const variables = new Map(draft.variables);
  return {
    text: [`${head} {${introspection}${selection.slice(1)}`, ...fragments].join('\n'),
    variables: (chance) => Object.fromEntries([...variables].map(([name, { draw }]) => [name, draw(chance)]).filter(([, value]) => value !== undefined)),
  };
}

function selectionOf(draft: Draft, type: GraphQLCompositeType, depth: number): string {
  const { random } = draft;
  const parts: string[] = [];
  const fields = isUnionType(type) ? [] : shuffled(random, Object.values(type.getFields())).filter((field) => depth < DEPTH_MAX - 1 || isLeafType(getNamedType(field.type)));
  const count = Math.min(fields.length, between(random, 1, depth === 0 ? 3 : 4));
  for (const field of fields.slice(0, count)) parts.push(...fieldOf(draft, field, depth));
  if (isAbstractType(type) || happens(random, 0.15)) {
    const fragments = between(random, isAbstractType(type) ? 1 : 0, 2);
    for (let index = 0; index < fragments; index += 1) parts.push(fragmentOf(draft, type, depth));
  }
  if (happens(random, isAbstractType(type) ? 0.4 : 0.15)) parts.push(happens(random, 0.3) ? 'kindOf: __typename' : '__typename');
  const written = parts.filter((part) => part !== '');
  if (written.length === 0) written.push('__typename');
  return `{ ${(happens(random, 0.3) ? shuffled(random, written) : written).join(' ')} }`;
}

function fieldOf(draft: Draft, field: GraphQLField<unknown, unknown>, depth: number): string[] {
  const { random } = draft;
  draft.budget -= 1;
  const type = getNamedType(field.type);
  if (draft.budget < 0 && isCompositeType(type)) return [];
  const written = (): string => (isCompositeType(type) ? ` ${selectionOf(draft, type, depth + 1)}` : '');
  const args = argumentsOf(draft, field);
  const plain = args === '' && happens(random, 0.85);
  const alias = plain ? '' : `${happens(random, 0.03) ? oneOf(random, ODD_ALIASES) : `a${draft.budget < 0 ? random().toString(36).slice(2, 8) : draft.budget}`}: `;
  const once = `${alias}${field.name}${args}${directiveOf(draft)}`;
  const parts = [`${once}${written()}`];
  // The same field again: what is selected of it is merged.
  if (happens(random, 0.1)) parts.push(`${alias}${field.name}${args}${directiveOf(draft)}${written()}`);
  return parts;
}

function argumentsOf(draft: Draft, { args }: GraphQLField<unknown, unknown>): string {
  const given = args.filter((arg) => (isNonNullType(arg.type) && arg.defaultValue === undefined) || happens(draft.random, 0.6));
  return given.length === 0 ? '' : `(${given.map((arg) => `${arg.name}: ${argumentOf(draft, arg)}`).join(', ')})`;
}

function argumentOf(draft: Draft, { type }: GraphQLArgument): string {
  const { random, variables } = draft;
  if (happens(random, 0.5)) return literalOf(drawValue(random, type), type);
  const name = `v${variables.size}`;
  if (isNonNullType(type)) {
    variables.set(name, { declared: String(type), draw: (chance) => drawValue(chance, type) });
  } else {
    const fallback = happens(random, 0.4) ? ` = ${literalOf(drawValue(random, type), type)}` : '';
    variables.set(name, { declared: `${String(type)}${fallback}`, draw: (chance) => (happens(chance, 0.3) ? undefined : drawValue(chance, type)) });
  }
  return `$${name}`;
}

function directiveOf({ random, variables }: Draft): string {
  if (happens(random, 0.88)) return '';
  const directive = oneOf(random, ['skip', 'include']);
  if (happens(random, 0.3)) return ` @${directive}(if: ${oneOf(random, ['true', 'false'])})`;
  const name = `b${between(random, 0, 2)}`;
  if (!variables.has(name)) {
    const fallback = happens(random, 0.4);
    const draw: Draw = (chance) => (fallback && happens(chance, 0.4) ? undefined : happens(chance, 0.5));
    variables.set(name, { declared: fallback ? `Boolean = ${oneOf(random, ['true', 'false'])}` : 'Boolean!', draw });
  }
  const both = happens(random, 0.1) ? ' @include(if: true)' : '';
  return ` @${directive}(if: $${name})${directive === 'skip' ? both : ''}`;
}

/** An inline or named fragment on a type that overlaps with `type`. */
function fragmentOf(draft: Draft, type: GraphQLCompositeType, depth: number): string {
  const { schema, random, fragments } = draft;
  const possible = isAbstractType(type) ? schema.getPossibleTypes(type) : [type];
  if (draft.budget < 0 || possible.length === 0) return '';
  const composites = Object.values(schema.getTypeMap()).filter((candidate) => isInterfaceType(candidate) || isUnionType(candidate));
  const overlapping = composites.filter((candidate) => schema.getPossibleTypes(candidate).some((each) => possible.includes(each)));
  const target = happens(random, 0.65) ? oneOf(random, possible) : oneOf(random, [type, ...overlapping]);
  const known = fragments.filter(({ on }) => on === target);
  if (known.length > 0 && happens(random, 0.4)) return `...${oneOf(random, known).name}${directiveOf(draft)}`;
  const text = selectionOf(draft, target, Math.min(depth + 1, DEPTH_MAX));
  if (happens(random, 0.3)) {
    const name = `Part${fragments.length}`;
    fragments.push({ name, on: target, text });
    return `...${name}${directiveOf(draft)}`;
  }
  const condition = target === type && isObjectType(type) && happens(random, 0.5) ? '' : ` on ${target.name}`;
  return `...${condition}${directiveOf(draft)} ${text}`;
}
