import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { composeSupergraph } from '../compose.ts';

const rover = join(import.meta.dirname, '..');

describe('The committed supergraph', () => {
  test('is what composition gives of the committed schemas (else run `npm run compose`)', async () => {
    const committed = await readFile(join(rover, 'supergraph.graphql'), 'utf8');
    expect(committed).toBe(await composeSupergraph(join(rover, 'supergraph.yaml')));
  });
});

describe('Composition', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'compose-test-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function compose(yaml: string, files: Record<string, string> = {}): Promise<string> {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await writeFile(join(folder, 'supergraph.yaml'), yaml);
    return composeSupergraph(join(folder, 'supergraph.yaml'));
  }
  const yaml = (...names: string[]) =>
    `federation_version: =2.14.4\nsubgraphs:\n${names.map((name) => `  ${name}: { routing_url: "http://localhost/${name}", schema: { file: ${name}.graphql } }\n`).join('')}`;

  test('puts each subgraph’s routing URL into the supergraph', async () => {
    expect(await compose(yaml('one'), { 'one.graphql': 'type Query { hello: String }' })).toContain('@join__graph(name: "one", url: "http://localhost/one")');
  });

  test('tells which schema file has which syntax error', async () => {
    await expect(compose(yaml('one'), { 'one.graphql': 'type Query {\n  hello String }' })).rejects.toThrow(/subgraph one: one\.graphql:2:9: Syntax Error/);
  });

  test('tells which schema files are not there, all at once', async () => {
    await expect(compose(yaml('nine', 'ten'))).rejects.toThrow(/2 problem\(s\)[^]*nine\.graphql can't be read \(ENOENT\)[^]*ten\.graphql can't be read/);
  });

  test('tells which subgraphs contradict each other, with the code', async () => {
    const contradicting = { 'one.graphql': 'type Query { hello: String }', 'two.graphql': 'type Query { hello: Int }' };
    await expect(compose(yaml('one', 'two'), contradicting)).rejects.toThrow(/"one"[^]*"two"[^]*\(FIELD_TYPE_MISMATCH\)/);
  });

  test('shows the line of a syntax error, and where in it', async () => {
    await expect(compose(yaml('one'), { 'one.graphql': 'type Query {\n\thello String }' })).rejects.toThrow(/\n {4}2 \| \thello String \}\n {6}\| \t {6}\^/);
  });

  test('tells where each subgraph says what contradicts the others, and what to do', async () => {
    const contradicting = { 'one.graphql': 'type Query {\n  "Says it."\n  hello: String\n}', 'two.graphql': 'type Query { hello: Int }' };
    await expect(compose(yaml('one', 'two'), contradicting)).rejects.toThrow(
      /subgraphs one and two: Type of field[^]*\n {4}one: one\.graphql:3:3: hello: String\n {4}two: two\.graphql:1:14: type Query \{ hello: Int \}\n {4}Hint: give the field the same type/,
    );
  });

  test('tells whose mistake it is when one subgraph is wrong by itself, and shows the line', async () => {
    await expect(compose(yaml('one'), { 'one.graphql': 'type Query {\n  hello: Greeting\n}' })).rejects.toThrow(
      /subgraph one: one\.graphql:2:10: Unknown type Greeting \(INVALID_GRAPHQL\)\n {4}2 \| {3}hello: Greeting\n {6}\| {10}\^\n {4}Hint: /,
    );
  });

  test('tells the path of a query that no subgraph can answer', async () => {
    const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@key", "@shareable"])\n';
    const unreachable = {
      'one.graphql': `${link}type Query { thing: Thing }\ntype Thing { id: ID! @shareable }`,
      'two.graphql': `${link}type Query { other: Thing }\ntype Thing { id: ID! @shareable size: Int }`,
    };
    await expect(compose(yaml('one', 'two'), unreachable)).rejects.toThrow(/thing \{\n[^]*size[^]*\(SATISFIABILITY_ERROR\)\n {4}Hint: give the type a @key/);
  });

  test('wants the version of composition that is installed', async () => {
    await expect(compose('federation_version: 2\nsubgraphs: {}')).rejects.toThrow(/federation_version is 2[^]*names no subgraph/);
  });

  test('wants a URL and a schema file of each subgraph', async () => {
    await expect(compose('federation_version: =2.14.4\nsubgraphs: { one: {} }')).rejects.toThrow(/one has no routing_url[^]*one has no schema\.file/);
  });
});
