import type { ASTNode, GraphQLError } from 'graphql';

/** A subgraph's schema as it is on the disk. */
export interface SchemaFile {
  readonly subgraph: string;
  /** As it is told to people. */
  readonly path: string;
}

/** What to do about composition's own codes, each of which https://www.apollographql.com/docs/federation/errors explains. */
const HINTS: Readonly<Record<string, string>> = {
  INVALID_GRAPHQL: 'correct the schema as the message says; a directive of federation must be imported by @link(url: "https://specs.apollo.dev/federation/…", import: […])',
  FIELD_TYPE_MISMATCH: 'give the field the same type in each subgraph',
  FIELD_ARGUMENT_TYPE_MISMATCH: 'give the argument the same type in each subgraph',
  FIELD_ARGUMENT_DEFAULT_MISMATCH: 'give the argument the same default in each subgraph',
  INPUT_FIELD_DEFAULT_MISMATCH: 'give the input field the same default in each subgraph',
  TYPE_KIND_MISMATCH: 'make the type the same kind (object, interface, input, …) in each subgraph, or rename one of them',
  ENUM_VALUE_MISMATCH: 'define the same values in each subgraph, or use the enum only in answers or only in arguments',
  INVALID_FIELD_SHARING: 'mark the field @shareable in each of these subgraphs, or define it in one of them alone',
  KEY_INVALID_FIELDS: 'name fields in @key that the type has in this very subgraph',
  REQUIRES_INVALID_FIELDS: 'name fields in @requires that the type has in this very subgraph, marked @external',
  PROVIDES_INVALID_FIELDS: 'name fields in @provides that the type has in this very subgraph, marked @external',
  EXTERNAL_UNUSED: 'take @external away, or use the field in @key, @requires or @provides',
  EXTERNAL_MISSING_ON_BASE: 'define the field without @external in the subgraph that it belongs to',
  EXTERNAL_TYPE_MISMATCH: 'give the @external field the type that it has where it belongs',
  REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH: 'add the argument in each subgraph, or make it optional',
  REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH: 'add the input field in each subgraph, or make it optional',
  SATISFIABILITY_ERROR: 'give the type a @key in the subgraph that has the field and in the one that the query comes from, or make the field @shareable and define it there too',
  NO_QUERIES: 'define a field of Query in one of the subgraphs',
};

/**
 * One problem of composition: whose it is, where, what, its code, and what to do. Problems of one subgraph are told at its place in the
 * file, those between subgraphs with the places of each.
 * @param files by the names of the sources that the schemas were parsed from
 */
export function compositionProblem(error: GraphQLError, files: ReadonlyMap<string, SchemaFile>): string {
  const places = (error.nodes ?? []).flatMap((node) => placeOf(node, files) ?? []);
  const [, prefixed, bare = ''] = /^(?:\[([^\]]+)\] )?([^]*)$/.exec(error.message) ?? [];
  const subgraphs = [...new Set(prefixed === undefined ? places.map(({ subgraph }) => subgraph) : [prefixed])];
  const code = error.extensions['code'];
  const [first] = places;
  const isOfOnePlace = subgraphs.length === 1 && places.length === 1 && first !== undefined;
  const whose = subgraphs.length === 0 ? '' : `${subgraphs.length === 1 ? 'subgraph' : 'subgraphs'} ${new Intl.ListFormat('en-GB').format(subgraphs)}: `;
  const head = `${whose}${isOfOnePlace ? `${first.at}: ` : ''}${bare.replaceAll('\n', '\n    ')}${typeof code === 'string' ? ` (${code})` : ''}`;
  const shown = isOfOnePlace ? [first.excerpt] : places.map(({ subgraph, at, text }) => `${subgraphs.length > 1 ? `${subgraph}: ` : ''}${at}: ${text}`);
  const hint = typeof code === 'string' ? HINTS[code] : undefined;
  return [head, ...shown.map(indented), ...(hint === undefined ? [] : [`    Hint: ${hint}.`])].join('\n');
}

/** A schema file with a syntax error: the line, and where in it. */
export function syntaxProblem({ subgraph, path }: SchemaFile, { message, locations, source }: GraphQLError): string {
  const [location] = locations ?? [];
  if (location === undefined || source === undefined) return `subgraph ${subgraph}: ${path}: ${message}`;
  return `subgraph ${subgraph}: ${path}:${location.line}:${location.column}: ${message}\n${indented(excerpt(source.body, location))}`;
}

interface Place {
  readonly subgraph: string;
  /** `file:line:column` */
  readonly at: string;
  /** The line itself. */
  readonly text: string;
  readonly excerpt: string;
}

function placeOf({ loc }: ASTNode, files: ReadonlyMap<string, SchemaFile>): Place | undefined {
  const file = loc === undefined ? undefined : files.get(loc.source.name);
  if (loc === undefined || file === undefined) return undefined;
  const { line, column } = afterDescription(loc.startToken);
  return { subgraph: file.subgraph, at: `${file.path}:${line}:${column}`, text: lineOf(loc.source.body, line).trim(), excerpt: excerpt(loc.source.body, { line, column }) };
}

type Token = NonNullable<ASTNode['loc']>['startToken'];

/** A definition begins with its description; the line that people look for is the one of its name. */
function afterDescription(token: Token): Token {
  const isDescription = token.kind === 'String' || token.kind === 'BlockString';
  return isDescription && token.next !== null ? token.next : token;
}

/** The line with its number, and a mark below its column. */
function excerpt(body: string, { line, column }: { readonly line: number; readonly column: number }): string {
  const number = `${line} | `;
  const text = lineOf(body, line);
  const before = text.slice(0, column - 1).replaceAll(/[^\t]/g, ' ');
  return `${number}${text}\n${' '.repeat(number.length - 2)}| ${before}^`;
}

function lineOf(body: string, line: number): string {
  return body.split(/\r\n|[\n\r]/)[line - 1] ?? '';
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ');
}
