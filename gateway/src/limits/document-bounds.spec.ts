import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind, parse, type DocumentNode, type SelectionSetNode } from 'graphql';
import { DIRECTIVES_MAX, documentViolation, NESTING_MAX, parseWithin, REPEATS_MAX, ROOT_FIELDS_MAX, SELECTIONS_MAX, VARIABLE_DEFINITIONS_MAX, type DocumentLimits } from './document-bounds.ts';

const DEFAULTS: DocumentLimits = { maxDepth: 10, maxAliases: 15, maxTokens: 1_000 };
const UNLIMITED: DocumentLimits = { maxDepth: 0, maxAliases: 0, maxTokens: 0 };
const MANY = 20_000;

const times = (count: number, text: (index: number) => string): string => Array.from({ length: count }, (_, index) => text(index)).join(' ');

/** The limit that refuses a document; undefined when it is within all. */
function limitOf(query: string, limits: DocumentLimits = DEFAULTS): unknown {
  try {
    return documentViolation(parseWithin(query, limits), limits)?.extensions['limit'];
  } catch (error) {
    return (error as { extensions: Record<string, unknown> }).extensions['limit'] ?? (error as Error).message;
  }
}

const deep = (levels: number): string => `{ ${'a { '.repeat(levels - 1)} b ${'}'.repeat(levels - 1)} }`;

describe('A document', () => {
  test.each([
    ['10 levels', deep(10)],
    ['__typename below the tenth level', `{ ${'a { '.repeat(10)} __typename ${'}'.repeat(10)} }`],
    ['1,000 selections when its fragments are written out', `{ ${times(20, (n) => `b${n} { ...F }`)} } fragment F on T { ${times(48, (n) => `a${n}`)} }`],
    ['15 aliases', `{ ${times(15, (n) => `a${n}: b`)} }`],
    ['a fragment in many places', `{ ${times(30, (n) => `f${n} { ...F }`)} } fragment F on T { a b c }`],
    ['an introspection query', `{ __schema { types { fields { args { type { ${'ofType { '.repeat(9)} name ${'}'.repeat(9)} } } } } } }`],
    ['fragments that spread each other, which validation refuses', '{ ...A } fragment A on T { a ...B } fragment B on T { b ...A }'],
    ['a fragment that is nowhere, which validation refuses', '{ ...A }'],
    ['a field that is repeated 50 times', `{ ${'a '.repeat(REPEATS_MAX)} }`],
  ])('may hold %s', (_name, query) => {
    expect(limitOf(query)).toBeUndefined();
  });

  test.each([
    ['11 levels', 'maxDepth', deep(11)],
    ['11 levels, in fragments', 'maxDepth', `{ a { ...A } } fragment A on T { ... on T { a { ...B } } } fragment B on T ${deep(9)}`],
    ['16 aliases', 'maxAliases', `{ ${times(16, (n) => `a${n}: b`)} }`],
    ['16 aliases, in a fragment that is spread four times', 'maxAliases', '{ a { ...A } b { ...A } c { ...A } d { ...A } } fragment A on T { a: x b: x c: x d: x }'],
    ['26 levels of introspection', 'introspectionDepth', `{ __schema { types { ${'ofType { '.repeat(24)} name ${'}'.repeat(24)} } } }`],
    ['fragments that double 60 times', 'rootFields', `{ ...F0 } ${times(60, (n) => `fragment F${n} on T { ...F${n + 1} ...F${n + 1} }`)} fragment F60 on T { a }`],
    ['fragments that double below a field', 'selections', `{ a { ...F0 } } ${times(40, (n) => `fragment F${n} on T { ...F${n + 1} ...F${n + 1} }`)} fragment F40 on T { a }`],
    ['1,001 selections when its fragments are written out', 'selections', `{ c ${times(20, (n) => `b${n} { ...F }`)} } fragment F on T { ${times(48, (n) => `a${n}`)} }`],
    ['a field 51 times', 'repeats', `{ ${'a '.repeat(REPEATS_MAX + 1)} }`],
    ['a field 60 times, in inline fragments', 'repeats', `{ ${'... { a a } '.repeat(30)} }`],
    ['101 root fields', 'rootFields', `{ ${times(ROOT_FIELDS_MAX + 1, (n) => `a${n}`)} }`],
    ['1,001 tokens', 'maxTokens', `{ ${'a '.repeat(1_000)} }`],
    ['251 directives', 'directives', `{ a ${'@x '.repeat(DIRECTIVES_MAX + 1)} }`],
  ])('is refused with %s', (_name, limit, query) => {
    expect(limitOf(query)).toBe(limit);
  });

  test('is refused with a message that names the limit and what to do, a code, a reason and the figures', () => {
    const error = documentViolation(parse(deep(11)), DEFAULTS);
    expect(error?.message).toBe('The operation is nested deeper than 10 levels: ask for less at once');
    expect(error?.extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'GRAPHQL_VALIDATION_FAILED', limit: 'maxDepth', max: 10 });
  });

  test('may be as deep, and as full of aliases, as it likes where these limits are off, until it nests more than 250 times', () => {
    expect(limitOf(deep(NESTING_MAX), UNLIMITED)).toBeUndefined();
    expect(limitOf(deep(NESTING_MAX + 1), UNLIMITED)).toBe('nesting');
    expect(limitOf(`{ ${times(ROOT_FIELDS_MAX, (n) => `a${n}: a`)} }`, UNLIMITED)).toBeUndefined();
  });

  test('that exhausts the parser is refused like any other', () => {
    expect(limitOf('{ a '.repeat(60_000), UNLIMITED)).toMatch(/nested deeper/);
  });
});

describe('Without a limit of tokens, in well below a second and without an exception,', () => {
  test.each([
    ['a field 20,000 times', 'repeats', `{ ${'a '.repeat(MANY)} }`],
    ['20,000 fields', 'rootFields', `{ ${times(MANY, (n) => `a${n}`)} }`],
    ['20,000 fields below one', 'selections', `{ a { ${times(MANY, (n) => `a${n}`)} } }`],
    ['a chain of 10,000 fragments', 'definitions', `{ ...F0 } ${times(10_000, (n) => `fragment F${n} on T { ...F${n + 1} }`)} fragment F10000 on T { a }`],
    ['a chain of 249 fragments below 10 levels', 'nesting', `{ a { a { a { a { ...F0 } } } } } ${times(248, (n) => `fragment F${n} on T { ...F${n + 1} }`)} fragment F248 on T { a }`],
    ['200 fragments that spread one another', 'selections', `{ a { ...F0 } } ${times(200, (n) => `fragment F${n} on T { ${times(40, (other) => `...F${n + 1 + other}`)} }`)}`],
    ['20,000 operations', 'definitions', times(MANY, (n) => `query Q${n} { a }`)],
    ['20,000 values in an argument', 'values', `{ a(ids: [${'1 '.repeat(MANY)}]) }`],
    ['20,000 values in directives', 'values', `{ a @x(ids: [${'1 '.repeat(MANY)}]) }`],
    ['200 lists in one another', 'valuesNesting', `{ a(ids: ${'['.repeat(200)}${']'.repeat(200)}) }`],
    ['20,000 directives', 'directives', `{ a ${'@x '.repeat(MANY)} }`],
    ['20,000 variables', 'variables', `query (${times(MANY, (n) => `$v${n}: Int`)}) { a }`],
    ['1,000 levels', 'nesting', deep(1_000)],
    ['251 variables', 'variables', `query (${times(VARIABLE_DEFINITIONS_MAX + 1, (n) => `$v${n}: Int`)}) { a }`],
  ])('%s are refused', (_name, limit, query) => {
    const startedAt = performance.now();
    expect(limitOf(query, UNLIMITED)).toBe(limit);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

/** Trees of selections with fragments that spread later ones only. */
const FRAGMENTS = 4;
const selections = (from: number): fc.Arbitrary<string> =>
  fc.letrec<{ set: string; selection: string }>((tie) => ({
    set: fc.array(tie('selection'), { minLength: 1, maxLength: 4 }).map((all) => `{ ${all.join(' ')} }`),
    selection: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', 'x: a', '__typename', ...(from < FRAGMENTS ? [`...F${from}`, `...F${FRAGMENTS - 1}`] : [])),
      tie('set').map((set) => `c ${set}`),
      tie('set').map((set) => `y: c ${set}`),
      tie('set').map((set) => `... on T ${set}`),
    ),
  })).set;
const documents = fc
  .tuple(selections(0), ...Array.from({ length: FRAGMENTS }, (_, n) => selections(n + 1)))
  .map(([operation, ...fragments]) => `${operation} ${fragments.map((set, n) => `fragment F${n} on T ${set}`).join(' ')}`);

/** The same by writing all fragments out. */
function writtenOut(document: DocumentNode, set: SelectionSetNode): { depth: number; aliases: number; selections: number } {
  const total = { depth: 0, aliases: 0, selections: 0 };
  for (const selection of set.selections) {
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? document.definitions.find((definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value) : selection;
    const below = fragment !== undefined && 'selectionSet' in fragment && fragment.selectionSet ? writtenOut(document, fragment.selectionSet) : { depth: 0, aliases: 0, selections: 0 };
    const level = selection.kind === Kind.FIELD && selection.name.value !== '__typename' ? 1 : 0;
    total.depth = Math.max(total.depth, level + below.depth);
    total.aliases += below.aliases + Number(selection.kind === Kind.FIELD && selection.alias !== undefined);
    total.selections += below.selections + 1;
  }
  return total;
}

test('A document is measured as if its fragments were written out', () => {
  fc.assert(
    fc.property(documents, (query) => {
      const document = parse(query);
      const operation = document.definitions[0] as { selectionSet: SelectionSetNode };
      const limitWith = (limits: Partial<DocumentLimits>) => documentViolation(document, { ...UNLIMITED, ...limits })?.extensions['limit'];
      if (limitWith({}) !== undefined) return;
      const { depth, aliases, selections: count } = writtenOut(document, operation.selectionSet);
      expect(count).toBeLessThanOrEqual(SELECTIONS_MAX);
      if (depth > 0) expect(limitWith({ maxDepth: depth })).toBeUndefined();
      if (depth > 1) expect(limitWith({ maxDepth: depth - 1 })).toBe('maxDepth');
      if (aliases > 0) expect(limitWith({ maxAliases: aliases })).toBeUndefined();
      if (aliases > 1) expect(limitWith({ maxAliases: aliases - 1 })).toBe('maxAliases');
    }),
    { numRuns: 500 },
  );
});
