import { createHash } from 'node:crypto';
import { between, oneOf, type Random } from './random.ts';

/** Documents that the orchard answers; mutations of them are the more dangerous for being nearly right. */
export const VALID = [
  '{ __typename }',
  '{ tree(id: "1") { id name kind height(unit: FOOT) planted fruits(first: 2) { name grams } picker { name } weight } }',
  'query Trees($filter: Filter, $first: Int = 2, $tags: [[String!]]) { trees(filter: $filter, first: $first, tags: $tags) { ...T parent { ...T } } } fragment T on Tree { id name notes picker { id trees { name } } }',
  'query S($text: String!, $with: Boolean!) { search(text: $text) { __typename ... on Tree @include(if: $with) { kind } ... on Fruit @skip(if: $with) { grams tree { name } } ... on Grown { id } } }',
  '{ a: picker(id: "k") { name trees(first: 1) { name weight(since: -1) } } b: pickers { name } }',
  'query E($n: Int, $r: Float, $f: Boolean, $i: ID, $d: Day) { echo(text: "a\\u0041\\n", number: $n, ratio: $r, flag: $f, id: $i, day: $d) }',
  'mutation P($tree: NewTree!) { plant(tree: $tree) { id name picker { name } } }',
  'mutation { fell(id: 7) again: fell(id: "8") }',
  'subscription R { ripened(treeId: "1") { id name tree { name picker { name } } } }',
  'subscription { ticked(every: 10, times: 2) }',
  'query I { __schema { queryType { name fields { name args { name defaultValue } } } } __type(name: "Tree") { kind name } }',
  'query A { tree(id: 1) { id } } query B { pickers { id } } subscription C { ticked }',
  '{ grown(id: "g") { __typename id name ... on Tree { height } } }',
  'query L @skip(if: false) { trees(filter: { and: [{ kind: [APPLE, PEAR] }, { not: { height: { from: 1.5e3, to: null } } }], planted: "2020-01-01" }) { id } }',
] as const;

const TOKENS = ['{', '}', '(', ')', '[', ']', ':', '=', '!', '|', '&', '$', '@', '...', '…', '"', '"""', '\\', '#', ',', ';', '\u{feff}', '\0', '\t', '\r\n', ' ', '.', '..', '-', '-0', '00', '1e', '1e999', '-1e-999', '0x1F', '99999999999999999999', '1.', '.5', '1.5.5', '2147483648', '-2147483649',
  'query', 'mutation', 'subscription', 'fragment', 'on', 'true', 'false', 'null', 'on on on', 'schema', 'type Query', 'extend', 'directive', '__typename', '__schema', '__type', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '_entities', '_service', '_Any', 'tree', 'trees', 'id', 'name', 'fruits', 'ticked', 'picker', '...T', '...__proto__', '$id', '$__proto__', '$first: Int!', ': [[[[[String!]!]!]!]!]!', '@skip', '@include(if: $x)', '@include', '@skip(if: true) @skip(if: false)', '@deprecated', '@defer', '@stream(initialCount: 1)', '@key(fields: "id")', '@inaccessible', '@constructor', '(id: 1, id: 2)', '(id: {})', '(id: [1, [2]])', '(first: 1.5)', '(first: "1")', '(filter: {kind: $k})', '(filter: {__proto__: 1})', '"\\u"', '"\\uD800"', '"\\u{110000}"', '"\\uDC00\\uD800"', '"\\u{D83D}\\u{DE00}"', '"\u2028"', '"\ud800"', '"\\q"', '"unended', '"""unended', '"""\\""""""', 'é', '😀', '\u202e', '{{{{{{{{', '}}}}}}}}', '[[[[[[[['] as const;

const HUGE = [() => '{'.repeat(3_000), () => `{ tree(id: ${'['.repeat(500)}1${']'.repeat(500)}) { id } }`, () => `{ a(b: ${'{c:'.repeat(300)}1${'}'.repeat(300)}) }`, () => `query(${'$a:Int '.repeat(200)}) { __typename }`, () => `{ ${'__typename '.repeat(700)} }`, () => `{ ${Array.from({ length: 60 }, (_, at) => `a${at}: __typename`).join(' ')} }`, () => `{ __typename ${'@skip(if: false) '.repeat(90)} }`, () => `{ tree(id: 1) { ${'parent { '.repeat(40)} id ${'}'.repeat(40)} } }`, () => `query Q($v: ${'['.repeat(200)}Int${']'.repeat(200)}) { __typename }`, () => `{ echo(text: "${'a'.repeat(20_000)}") }`, () => `{ echo(text: """${'\n  "'.repeat(2_000)}""") }`, () => `{ ${'a'.repeat(10_000)} }`, () => `#${'x'.repeat(10_000)}`, () => '{ ...F } fragment F on Query { ...F }', () => '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }', () => '{ trees { fruits { tree { fruits { tree { fruits { tree { fruits { id } } } } } } } } }', () => ''] as const;

/** A document that is wrong in nearly all cases; sometimes it is only odd. */
export function oddDocument(random: Random): string {
  const way = random();
  if (way < 0.15) return Array.from({ length: between(random, 1, 40) }, () => oneOf(random, TOKENS)).join(oneOf(random, ['', ' ', ' ', '\n']));
  if (way < 0.22) return oneOf(random, HUGE)();
  let text: string = oneOf(random, VALID);
  for (let left = between(random, 1, 4); left > 0; left -= 1) text = oneOf(random, MUTATIONS)(text, random);
  return text;
}

const at = (text: string, random: Random): number => Math.floor(random() * (text.length + 1));

const MUTATIONS: readonly ((text: string, random: Random) => string)[] = [
  (text, random) => text.slice(0, at(text, random)),
  (text, random) => insert(text, random, oneOf(random, TOKENS)),
  (text, random) => insert(text, random, ` ${oneOf(random, TOKENS)} `),
  (text, random) => {
    const from = at(text, random);
    return text.slice(0, from) + text.slice(from + between(random, 1, 12));
  },
  (text, random) => {
    const from = at(text, random);
    return insert(text, random, text.slice(from, from + between(random, 1, 60)));
  },
  (text, random) => replaceWord(text, random, () => oneOf(random, TOKENS)),
  (text, random) => replaceWord(text, random, (words) => oneOf(random, words)),
  (text, random) => text.replace(/"[^"]*"|\b\d+\b/, () => oneOf(random, TOKENS)),
  (text, random) => text.replace(/\b(?:Int|Float|String|Boolean|ID|Day|Filter|NewTree)\b!?/, () => oneOf(random, ['Int!', 'Tree', '[Filter]', 'Query', '__Schema', 'Nothing', 'Found', '[[[Int!]!]!]!', 'Float', 'constructor', '__proto__'])),
  (text, random) => insert(text, random, String.fromCharCode(between(random, 0, 0xff_ff))),
];

function insert(text: string, random: Random, what: string): string {
  const from = at(text, random);
  return text.slice(0, from) + what + text.slice(from);
}

function replaceWord(text: string, random: Random, by: (words: readonly string[]) => string): string {
  const words = text.match(/\w+/g) ?? [''];
  const chosen = between(random, 0, words.length - 1);
  let index = -1;
  return text.replaceAll(/\w+/g, (word) => {
    index += 1;
    return index === chosen ? by(words) : word;
  });
}

const deep = (levels: number): unknown => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`);

/** A value where another was expected. */
export function oddValue(random: Random): unknown {
  return oneOf(random, ODD_VALUES)(random);
}

const ODD_VALUES: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 1.5,
  () => 2 ** 53,
  () => 1e308,
  () => '',
  () => 'x',
  () => '\ud800',
  () => '\0',
  () => 'é😀\u202e',
  () => 'a'.repeat(5_000),
  () => [],
  () => [null],
  () => [[['x']]],
  () => ({}),
  () => ({ query: '{ __typename }' }),
  () => JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"prototype": 1}}') as unknown,
  () => ({ toString: 1, valueOf: null, toJSON: 'x', length: -1 }),
  () => deep(60),
  () => deep(3_000),
  () => Array.from({ length: 2_000 }, () => ({})),
  (random) => oneOf(random, TOKENS),
  (random) => oddDocument(random),
];

/** Variables for the documents above, some of them fitting. */
export function oddVariables(random: Random): Record<string, unknown> {
  const variables: Record<string, unknown> = { first: 2, text: 'a', with: true, tree: { name: 'new' }, filter: { not: { name: 'x' } }, n: 1, r: 1.5, f: false, i: 'i', d: 'day', tags: [['a']] };
  for (let left = between(random, 0, 4); left > 0; left -= 1) variables[oneOf(random, [...Object.keys(variables), '__proto__', 'unknown', '', 'constructor'])] = oddValue(random);
  if (random() < 0.1) Object.defineProperty(variables, '__proto__', { value: oddValue(random), enumerable: true });
  return variables;
}

/** The members of a GraphQL request, one or another of them wrong. */
export function oddRequest(random: Random): Record<string, unknown> {
  const query: unknown = random() < 0.6 ? oddDocument(random) : oneOf(random, VALID);
  const request: Record<string, unknown> = { query };
  if (random() < 0.6) request['variables'] = random() < 0.8 ? oddVariables(random) : oddValue(random);
  if (random() < 0.2) request['operationName'] = random() < 0.5 ? oneOf(random, ['A', 'B', 'C', 'I', 'nobody', '', '__proto__']) : oddValue(random);
  if (random() < 0.25) request['extensions'] = random() < 0.8 ? oddExtensions(random, query) : oddValue(random);
  if (random() < 0.06) request['query'] = oddValue(random);
  if (random() < 0.04) delete request['query'];
  if (random() < 0.06) request[oneOf(random, ['documentId', 'id', 'doc_id', '__proto__x', 'operations', 'map'])] = oddValue(random);
  return request;
}

function oddExtensions(random: Random, query: unknown): Record<string, unknown> {
  const hash = createHash('sha256').update(String(query)).digest('hex');
  const sha256Hash = oneOf<() => unknown>(random, [() => hash, () => hash.toUpperCase(), () => hash.slice(1), () => 'a'.repeat(64), () => '__proto__', () => oddValue(random)])();
  const persistedQuery = random() < 0.8 ? { version: random() < 0.7 ? 1 : oddValue(random), sha256Hash } : oddValue(random);
  const traceparent = oneOf<() => unknown>(random, [() => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', () => '00-0-0-0', () => oddValue(random)])();
  return oneOf<Record<string, unknown>>(random, [{ persistedQuery }, { persistedQuery, traceparent }, { traceparent }, { queryPlan: oddValue(random) }, { operationId: oddValue(random) }, { operationId: 'o1', persistedQuery }]);
}
