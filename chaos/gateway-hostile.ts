import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';

/** A request that is expensive to anybody who does not refuse it soon. */
interface Hostile {
  readonly query: string;
  readonly variables?: Readonly<Record<string, unknown>>;
}

const times = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');
const nested = (levels: number, open: string, inner: string): string => `${open.repeat(levels)} ${inner} ${'}'.repeat(open.split('{').length * levels - levels)}`;
const bomb = (count: number, type: string, inner: string): string => `${times(count, (n) => `fragment F${n} on ${type} { ...F${n + 1} ...F${n + 1} }`)} fragment F${count} on ${type} { ${inner} }`;
const ECHO = 'query ($text: String) { echo(text: $text) }';

export const HOSTILE: Readonly<Record<string, Hostile>> = {
  'deep, 200 levels': { query: `{ tree(id: 1) { ${nested(200, 'parent { ', 'id')} } }` },
  'deep in fragments': { query: `{ tree(id: 1) { ...F0 } } ${times(60, (n) => `fragment F${n} on Tree { parent { ...F${n + 1} } }`)} fragment F60 on Tree { id }` },
  'deep beyond tokens': { query: '{tree(id:1)'.repeat(20_000) },
  'wide, one field': { query: `{ ${times(900, () => '__typename')} }` },
  'wide, different arguments': { query: `{ tree(id: 1) { ${times(160, (n) => `fruits(first: ${n})`)} } }` },
  'wide beyond tokens': { query: `{ ${times(20_000, () => '__typename')} }` },
  'aliased, 300': { query: `{ ${times(300, (n) => `a${n}: __typename`)} }` },
  'aliased objects': { query: `{ ${times(80, (n) => `a${n}: tree(id: ${n}) { id }`)} }` },
  'fragment bomb': { query: `{ tree(id: 1) { ...F0 } } ${bomb(60, 'Tree', 'id')}` },
  'fragment bomb at the root': { query: `{ ...F0 } ${bomb(60, 'Query', '__typename')}` },
  'inline fragment bomb': { query: `{ tree(id: 1) { ${nested(150, '... on Tree { id ', 'id')} } }` },
  'circle of fragments': { query: `{ ...F0 } ${times(100, (n) => `fragment F${n} on Query { ...F${(n + 1) % 100} }`)}` },
  'lists in one another': { query: '{ trees(first: 100000) { neighbours(first: 100000) { fruits(first: 100000) { id } } } }' },
  'list sizes by variables': { query: 'query ($first: Int) { trees(first: $first) { neighbours(first: $first) { id } } }', variables: { first: 2_147_483_647 } },
  'unknown fields': { query: `{ tree(id: 1) { ${times(900, (n) => `nam${n}`)} } }` },
  'directives': { query: `{ __typename ${'@skip(if: false) '.repeat(190)} }` },
  'overlapping fields': { query: `{ tree(id: 1) { ${times(14, () => `parent { ${times(14, () => 'name')} }`)} ...A ...B } } fragment A on Tree { ${times(100, () => 'parent { id }')} } fragment B on Tree { ${times(60, () => 'parent { name }')} }` },
  'introspection in itself': { query: `{ __schema { types { ${nested(6, 'fields { type { ', 'name')} } } }` },
  'many variables declared': { query: `query (${times(300, (n) => `$v${n}: Int`)}) { __typename }` },
  'huge list of variables': { query: ECHO, variables: { text: 'a', unused: Array.from({ length: 60_000 }, () => ({})) } },
  'variables deep in one another': { query: ECHO, variables: { text: JSON.parse(`${'['.repeat(2_000)}${']'.repeat(2_000)}`) } },
  'huge list for an input': { query: 'query ($tags: [[String!]]) { trees(tags: $tags) { id } }', variables: { tags: Array.from({ length: 20_000 }, () => ['a']) } },
  'filters in one another': { query: 'query ($filter: Filter) { trees(filter: $filter) { id } }', variables: { filter: JSON.parse(`${'{"not":'.repeat(2_000)}{}${'}'.repeat(2_000)}`) } },
  'long text': { query: `{ echo(text: "${'\\u0041'.repeat(40_000)}" x }` },
  'body beyond its bound': { query: `# ${'x'.repeat(400_000)}` },
};

export interface Refused {
  readonly status: number;
  readonly code: string;
  readonly reason: string;
  readonly milliseconds: number;
}

const agent = new Agent({ keepAlive: true });

/** Sends one, with a text of its own: what was refused may be remembered. */
export function sendHostile(port: number, { query, variables }: Hostile, round: number): Promise<Refused> {
  const body = JSON.stringify({ query: `# ${round}\n${query}`, variables });
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json', 'content-length': Buffer.byteLength(body) };
    const asking = request({ port, agent, path: '/graphql', method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, ...refusalIn(text), milliseconds: performance.now() - startedAt }));
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

function refusalIn(text: string): Pick<Refused, 'code' | 'reason'> {
  const { errors } = JSON.parse(text) as { readonly errors?: readonly { readonly extensions?: { readonly code?: string; readonly reason?: string; readonly limit?: string } }[] };
  const { code = 'none', reason, limit } = errors?.[0]?.extensions ?? {};
  return { code, reason: limit ?? reason ?? '' };
}
