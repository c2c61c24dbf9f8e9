import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import fc from 'fast-check';
import { parse, print } from 'graphql';
import { eventually } from '../../test/support/eventually.ts';
import { manifestFrom } from './make-manifest.ts';
import { fingerprintOf, manifestOf, sha256 } from './safelist-manifest.ts';
import { createSafelist, type Safelist, type SafelistMode } from './safelist.ts';

const BOOK = 'query Book($id: ID!) { book(id: $id) { ...B } } fragment B on Book { id title author { name } }';
let folder: string;
let file: string;
const running: Safelist[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'safelist-'));
  file = join(folder, 'manifest.json');
});
afterEach(() => {
  for (const safelist of running.splice(0)) safelist.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

function start(mode: SafelistMode, manifest: unknown = { book: BOOK }): { safelist: Safelist; logs: Record<string, unknown>[] } {
  writeFileSync(file, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  const logs: Record<string, unknown>[] = [];
  const safelist = createSafelist({ safelist: mode, safelistFile: file }, createLogger('test', 'info', { write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>) }));
  running.push(safelist);
  return { safelist, logs };
}

const check = (safelist: Safelist, query: string) => safelist.check(query, parse(query));

describe('A safelist in force', () => {
  test.each([
    ['as it is listed', BOOK],
    ['formatted otherwise, with comments', `# the book\n${print(parse(BOOK)).replaceAll('\n', '\n\n  ')}`],
    ['with its definitions in another order', print(parse(BOOK)).split('\n\n').reverse().join('\n')],
    ['with the __typename that clients add', BOOK.replaceAll('id title', '__typename id title __typename')],
  ])('lets an operation run %s', (_name, query) => {
    expect(check(start('enforce').safelist, query)).toBeNull();
  });

  test.each([
    ['one more field', BOOK.replace('title', 'title pages')],
    ['another alias', BOOK.replace('title', 'title: pages')],
    ['an aliased __typename', BOOK.replace('title', 'title secret: __typename')],
    ['fields in another order, which answers otherwise', BOOK.replace('id title', 'title id')],
    ['another operation beside it', `${BOOK} query Other { books { id } }`],
  ])('refuses one with %s', (_name, query) => {
    const { safelist } = start('enforce');
    const error = check(safelist, query);
    expect(error?.extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_NOT_SAFELISTED' });
    expect(error?.message).toMatch(/build the manifest anew .* and deploy it/);
    expect(check(safelist, query)).not.toBeNull();
    expect(safelist.unlisted()).toBe(2);
  });

  test('finds documents by their ids, and refuses ids that it does not know', () => {
    const { safelist } = start('enforce', { format: 'apollo-persisted-query-manifest', version: 1, operations: [{ id: sha256(BOOK), body: BOOK, name: 'Book', type: 'query' }] });
    expect(safelist.find(sha256(BOOK))).toBe(BOOK);
    expect(safelist.find('other')).toBeUndefined();
    expect(safelist.unknownId('other').extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'PERSISTED_QUERY_NOT_IN_LIST' });
  });

  test('follows its file, and stays when the file can’t be used', async () => {
    const { safelist, logs } = start('enforce');
    const other = 'query Other { books { id } }';
    expect(check(safelist, other)).not.toBeNull();
    writeFileSync(file, '{ "broken": ');
    await eventually('the bad file was seen', async () => logs.some(({ level }) => level === 50 || level === 'error'));
    expect(check(safelist, BOOK)).toBeNull();
    writeFileSync(file, JSON.stringify({ other }));
    await eventually('the new file is in force', async () => check(safelist, other) === null);
    expect(check(safelist, BOOK)).not.toBeNull();
  });

  test('is needed where it is to be enforced', () => {
    const logger = createLogger('test', 'silent');
    expect(() => createSafelist({ safelist: 'enforce', safelistFile: undefined }, logger)).toThrow(/set SAFELIST_FILE/);
    expect(() => createSafelist({ safelist: 'log', safelistFile: join(folder, 'none.json') }, logger)).toThrow(/none\.json can't be used: ENOENT/);
    expect(createSafelist({ safelist: 'off', safelistFile: undefined }, logger).find('any')).toBeUndefined();
  });
});

test('A safelist that logs lets everything run and tells of each unlisted document once', () => {
  const { safelist, logs } = start('log');
  for (const query of ['{ books { id } }', '{ books { id } }', '{ books { id __typename } }', BOOK, 'query Third { count }']) expect(check(safelist, query)).toBeNull();
  expect(safelist.unlisted()).toBe(4);
  expect(logs.map(({ operations }) => operations)).toEqual([['(without a name)'], ['Third']]);
});

test('A safelist that is off lets everything run, and still knows documents by their ids', () => {
  const { safelist } = start('off');
  expect(check(safelist, '{ anything }')).toBeNull();
  expect(safelist.find('book')).toBe(BOOK);
});

describe('A manifest', () => {
  test.each([
    ['a list', [], /no JSON object/],
    ['another format', { format: 'other', version: 1, operations: [] }, /format other, version 1; known is/],
    ['another version', { format: 'apollo-persisted-query-manifest', version: 2, operations: [] }, /version 2/],
    ['an operation without a body', { format: 'apollo-persisted-query-manifest', version: 1, operations: [{ id: 'a' }] }, /body of operation 0 is no text/],
    ['what is no GraphQL', { a: '{' }, /operation a is no GraphQL document/],
    ['a schema', { a: 'type T { a: Int }' }, /document a holds no operation/],
  ])('is refused when it is %s', (_name, json, problem) => {
    expect(() => manifestOf(json)).toThrow(problem);
  });

  test('is made of files: each operation with the fragments that it spreads, wherever they are', () => {
    const manifest = manifestFrom([
      { path: 'a.graphql', text: 'query B { book { ...X } } query A { count }' },
      { path: 'fragments.gql', text: 'fragment Y on Book { id } fragment X on Book { ...Y title } fragment Unused on Book { id }' },
      { path: 'empty.graphql', text: '# nothing yet\n' },
    ]);
    expect(manifest.operations.map(({ name, type }) => [name, type])).toEqual([['A', 'query'], ['B', 'query']]);
    for (const { id, body } of manifest.operations) expect(id).toBe(sha256(body));
    expect(manifest.operations[1]?.body).toMatch(/^query B[^]*fragment X[^]*fragment Y(?![^]*Unused)/);
    expect(manifestOf(manifest).byId.size).toBe(2);
  });

  test.each([
    ['an operation has no name', '{ a }', /a\.graphql: an operation has no name/],
    ['a fragment is missing', 'query A { ...F }', /A spreads the fragment F, which is in none of the files/],
    ['a name is given twice', 'query A { a } query A { b }', /there is another A/],
    ['there is a schema in them', 'type A { a: Int }', /ObjectTypeDefinition is no operation/],
    ['they are no GraphQL', 'query {', /a\.graphql: Syntax Error/],
  ])('is not made of files when %s', (_name, text, problem) => {
    expect(() => manifestFrom([{ path: 'a.graphql', text }])).toThrow(problem);
  });
});

test('Documents that are printed otherwise have the same fingerprint, those with other names don’t', () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(names, fc.constantFrom(' ', '\n', ' , ', ' # x\n'), (fields, gap) => {
      const fingerprint = fingerprintOf(parse(`query Q { ${fields.join(' ')} }`));
      expect(fingerprintOf(parse(`query Q {${gap}${fields.join(gap)}${gap}}`))).toBe(fingerprint);
      expect(fingerprintOf(parse(`query Q { ${fields.slice(1).join(' ')} }`))).not.toBe(fingerprint);
    }),
  );
});
