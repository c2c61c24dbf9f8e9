import { isListType, isNonNullType, Kind, type FieldNode, type GraphQLField, type GraphQLOutputType } from 'graphql';
import type { ListSize } from './cost-directives.ts';

/** Variables of a request, coerced, with defaults. */
export type Variables = Readonly<Record<string, unknown>>;

/** The size of a list: the largest that the arguments name, else the fallback. */
export interface Size {
  readonly given: readonly { readonly variable: string | undefined; /** Without the variable. */ readonly value: unknown }[];
  readonly fallback: number;
  /** Of lists in this list: their sizes, multiplied. */
  readonly factor: number;
}

/** A size that a connection hands on to its lists. */
export interface HandedOn {
  readonly size: Size;
  readonly fields: readonly string[];
  /** The same for the same size and fields. */
  readonly key: string;
}

export interface FieldSize {
  /** How many times the field's selections are answered. */
  readonly size: Size | number;
  readonly handedOn: HandedOn | undefined;
}

export interface SizeHints {
  readonly listSize: ListSize | undefined;
  readonly handedOn: HandedOn | undefined;
  /** When nothing tells the size. */
  readonly assumed: number;
}

/** Names of arguments that say how long a list is; Int arguments only. */
const SLICING_ARGUMENTS = ['first', 'last', 'limit', 'size', 'take'];
/** Lists of a connection, as https://relay.dev/graphql/connections.htm has them. */
const CONNECTION_LISTS = ['edges', 'nodes'];

/** How long the list is that a field answers, or what its connection hands on. */
export function sizeOfField(field: FieldNode, definition: GraphQLField<unknown, unknown>, how: SizeHints): FieldSize {
  const { listSize, handedOn } = how;
  const size = givenSize(field, definition, listSize, how.assumed);
  const lists = listDepth(definition.type);
  if (lists === 0 || listSize?.sizedFields !== undefined) {
    const fields = listSize?.sizedFields ?? CONNECTION_LISTS;
    return { size: lists === 0 ? 1 : how.assumed ** lists, handedOn: size === undefined ? undefined : { size, fields, key: JSON.stringify([size, fields]) } };
  }
  const own = size ?? (handedOn?.fields.includes(definition.name) === true ? handedOn.size : how.assumed);
  // Of lists in lists the arguments tell the outer one's size.
  return { size: lists === 1 ? own : times(own, how.assumed ** (lists - 1)), handedOn: undefined };
}

export function evaluateSize({ given, fallback, factor }: Size, variables: Variables): number {
  let size = -1;
  for (const { variable, value } of given) {
    const told = variable !== undefined && variable in variables ? variables[variable] : value;
    // A negative one asks for whatever the subgraph makes of it, the whole list perhaps.
    if (typeof told === 'number' && told > size) size = told;
  }
  return (size < 0 ? fallback : size) * factor;
}

/** @returns undefined when no argument and no directive tells a size; a size of literals only still has the form. */
function givenSize(field: FieldNode, definition: GraphQLField<unknown, unknown>, listSize: ListSize | undefined, assumed: number): Size | undefined {
  const slicing = listSize === undefined ? SLICING_ARGUMENTS : (listSize.slicingArguments ?? []);
  const given: Size['given'][number][] = [];
  for (const argument of definition.args) {
    if (!slicing.includes(argument.name) || String(argument.type).replace('!', '') !== 'Int') continue;
    const node = field.arguments?.find(({ name }) => name.value === argument.name)?.value;
    if (node?.kind === Kind.VARIABLE) given.push({ variable: node.name.value, value: argument.defaultValue });
    else given.push({ variable: undefined, value: node === undefined ? argument.defaultValue : node.kind === Kind.INT ? Number(node.value) : undefined });
  }
  const told = given.filter(({ variable, value }) => variable !== undefined || typeof value === 'number');
  if (told.length === 0 && listSize?.assumedSize === undefined) return undefined;
  return { given: told, fallback: listSize?.assumedSize ?? assumed, factor: 1 };
}

function times(size: Size | number, factor: number): Size | number {
  return typeof size === 'number' ? size * factor : { ...size, factor: size.factor * factor };
}

function listDepth(type: GraphQLOutputType): number {
  if (isNonNullType(type)) return listDepth(type.ofType);
  return isListType(type) ? 1 + listDepth(type.ofType) : 0;
}
