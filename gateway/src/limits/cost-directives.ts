import { Kind, type ConstDirectiveNode, type ConstValueNode, type GraphQLField, type GraphQLNamedType, type GraphQLSchema } from 'graphql';

/** What a supergraph's `@listSize` says of a field. */
export interface ListSize {
  readonly assumedSize: number | undefined;
  /** Arguments that hold the size; undefined: the usual ones. */
  readonly slicingArguments: readonly string[] | undefined;
  /** Fields of the answer that have the size, in place of the field itself. */
  readonly sizedFields: readonly string[] | undefined;
}

/** Reads prices out of a schema with the directives of https://specs.apollo.dev/cost. */
export interface CostDirectives {
  /** `@cost(weight:)` of a field, an argument or a type; undefined without. */
  weightOf(element: GraphQLField<unknown, unknown> | GraphQLField<unknown, unknown>['args'][number] | GraphQLNamedType): number | undefined;
  listSizeOf(field: GraphQLField<unknown, unknown>): ListSize | undefined;
}

const SPECIFICATION = /^https:\/\/specs\.apollo\.dev\/cost\//;
const NO_DIRECTIVES: CostDirectives = { weightOf: () => undefined, listSizeOf: () => undefined };
const known = new WeakMap<GraphQLSchema, CostDirectives>();

/** The prices of a schema; without the link to the specification (the API schema has none) there are none. */
export function costDirectivesOf(schema: GraphQLSchema): CostDirectives {
  let directives = known.get(schema);
  if (directives === undefined) known.set(schema, (directives = read(schema)));
  return directives;
}

function read(schema: GraphQLSchema): CostDirectives {
  const links = [schema.astNode, ...schema.extensionASTNodes].flatMap((node) => node?.directives ?? []);
  const link = links.find((directive) => SPECIFICATION.test(String(argumentOf(directive, 'url'))));
  if (link === undefined) return NO_DIRECTIVES;
  const namespace = (argumentOf(link, 'as') as string | undefined) ?? 'cost';
  const imports = (argumentOf(link, 'import') as (string | { name: string; as?: string })[] | undefined) ?? [];
  const nameOf = (name: string): string => {
    for (const imported of imports) {
      if (imported === `@${name}`) return name;
      if (typeof imported === 'object' && imported.name === `@${name}`) return (imported.as ?? imported.name).slice(1);
    }
    return name === 'cost' ? namespace : `${namespace}__${name}`;
  };
  const cost = nameOf('cost');
  const listSize = nameOf('listSize');
  return {
    weightOf: (element) => {
      const weight = Number(argumentOf(directiveOf(element, cost), 'weight') ?? NaN);
      return Number.isFinite(weight) ? Math.max(0, weight) : undefined;
    },
    listSizeOf: (field) => {
      const directive = directiveOf(field, listSize);
      if (directive === undefined) return undefined;
      return {
        assumedSize: argumentOf(directive, 'assumedSize') as number | undefined,
        slicingArguments: argumentOf(directive, 'slicingArguments') as string[] | undefined,
        sizedFields: argumentOf(directive, 'sizedFields') as string[] | undefined,
      };
    },
  };
}

interface Element {
  readonly astNode?: { readonly directives?: readonly ConstDirectiveNode[] | undefined } | null | undefined;
}

function directiveOf({ astNode }: Element, name: string): ConstDirectiveNode | undefined {
  return astNode?.directives?.find((directive) => directive.name.value === name);
}

/** Undefined when it is not there, or null. */
function argumentOf(directive: ConstDirectiveNode | undefined, name: string): unknown {
  const node = directive?.arguments?.find((argument) => argument.name.value === name)?.value;
  return node === undefined ? undefined : (valueOf(node) ?? undefined);
}

function valueOf(node: ConstValueNode): unknown {
  if (node.kind === Kind.NULL) return null;
  if (node.kind === Kind.LIST) return node.values.map(valueOf);
  if (node.kind === Kind.OBJECT) return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, valueOf(value)]));
  return node.kind === Kind.INT || node.kind === Kind.FLOAT ? Number(node.value) : node.value;
}
