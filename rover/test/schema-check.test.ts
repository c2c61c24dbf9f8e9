import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { composeSupergraph } from '../compose.ts';
import { schemaCheck } from '../schema-check.ts';

const COMMITTED = `
  type Query { hello(to: String): String now: Int kind: Kind }
  type Greeting { text: String }
  enum Kind { LOUD QUIET }`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'schema-check-test-'));
  await writeFile(join(folder, 'supergraph.yaml'), 'federation_version: =2.14.4\nsubgraphs:\n  one: { routing_url: "http://localhost/one", schema: { file: one.graphql } }\n');
  await change(COMMITTED);
  await writeFile(join(folder, 'supergraph.graphql'), await composeSupergraph(join(folder, 'supergraph.yaml')));
});
afterEach(() => rm(folder, { recursive: true }));

const change = (schema: string) => writeFile(join(folder, 'one.graphql'), schema);
const check = (...args: string[]) => schemaCheck(args, { rover: folder, from: folder });
const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.test', ...args], { cwd: folder, stdio: 'pipe' });
const commit = () => {
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--no-gpg-sign', '--message', 'first');
};

describe('The check of a schema', () => {
  test('says that nothing changed, and succeeds', async () => {
    const { exitCode, words } = await check();
    expect(exitCode).toBe(0);
    expect(words).toMatch(/^Clients see the same API as at /);
  });

  test('fails when a field is gone or an argument is needed, and says which and what to do', async () => {
    await change(COMMITTED.replace('now: Int', '').replace('to: String', 'to: String!'));
    const { exitCode, words } = await check();
    expect(exitCode).toBe(1);
    expect(words).toMatch(/2 breaking, 0 dangerous, 0 safe[^]*Breaking[^]*Query\.hello\.to: [^]*Query\.now: Field 'now' was removed[^]*@deprecated/);
  });

  test('tells dangerous and safe changes apart, and succeeds with them', async () => {
    await change(COMMITTED.replace('QUIET', 'QUIET SILENT').replace('now: Int', 'now: Int! then: Int'));
    const { exitCode, words } = await check();
    expect(exitCode).toBe(0);
    expect(words).toMatch(/0 breaking, 1 dangerous, 2 safe[^]*Dangerous[^]*Kind\.SILENT[^]*Safe[^]*Query\.now[^]*Query\.then/);
  });

  test('tells a new type as one change, and what breaks beside a new description all the same', async () => {
    await change(`${COMMITTED.replace('type Greeting { text: String }', '"What is said." type Greeting { words: String }')} "New." type Thing { "Of it." name: String @deprecated }`);
    const changes = JSON.parse((await check('--json')).words) as Record<'breaking' | 'safe', { path: string }[]>;
    expect(changes.breaking.map(({ path }) => path)).toEqual(['Greeting.text']);
    expect(changes.safe.map(({ path }) => path)).toEqual(['Greeting', 'Greeting.words', 'Thing']);
  });

  test('tells a deprecation once', async () => {
    await change(COMMITTED.replace('now: Int', 'now: Int @deprecated(reason: "late")'));
    const changes = JSON.parse((await check('--json')).words) as Record<'safe', { path: string }[]>;
    expect(changes.safe).toHaveLength(1);
  });

  test('doesn’t mind what clients never see: what is inaccessible, and which subgraph answers', async () => {
    const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: ["@inaccessible", "@shareable"])';
    await change(`${link} ${COMMITTED.replace('now: Int', 'now: Int @shareable secret: Int @inaccessible')}`);
    expect(await check()).toMatchObject({ exitCode: 0, words: expect.stringMatching(/same API/) });
  });

  test('compares with what git has at HEAD, even after the file was composed anew', async () => {
    commit();
    await change(COMMITTED.replace('now: Int', ''));
    await writeFile(join(folder, 'supergraph.graphql'), await composeSupergraph(join(folder, 'supergraph.yaml')));
    expect(await check()).toMatchObject({ exitCode: 1, words: expect.stringMatching(/^Against HEAD: 1 breaking/) });
  });

  test('compares with another commit or another file on request', async () => {
    commit();
    git('tag', 'first');
    await change(COMMITTED.replace('now: Int', ''));
    const composed = await composeSupergraph(join(folder, 'supergraph.yaml'));
    await writeFile(join(folder, 'other.graphql'), composed);
    expect((await check('--base', 'first')).exitCode).toBe(1);
    expect((await check('--base', 'other.graphql')).exitCode).toBe(0);
    expect(await check('--base', 'nowhere')).toMatchObject({ exitCode: 2, words: expect.stringMatching(/--base nowhere is neither a file nor a commit/) });
  });

  test('says that it can’t tell when the schemas don’t compose or an option is unknown', async () => {
    expect(await check('--bas', 'x')).toMatchObject({ exitCode: 2, words: expect.stringMatching(/--bas/) });
    await change('type Query {');
    expect(await check()).toMatchObject({ exitCode: 2, words: expect.stringMatching(/one\.graphql:1:13: Syntax Error/) });
  });

  test('explains itself', async () => {
    expect(await check('--help')).toMatchObject({ exitCode: 0, words: expect.stringMatching(/--base[^]*--operations[^]*--json[^]*Exit codes/) });
  });
});

describe('Documents of clients', () => {
  const documents = async (files: Record<string, string>) => {
    await mkdir(join(folder, 'web/queries'), { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, 'web', name), text);
  };

  test('of a folder are named when they break, with the place', async () => {
    await documents({ 'queries/now.graphql': 'query Now {\n  now\n}', 'hello.gql': '{ hello ...F }', 'fragment.graphql': 'fragment F on Query { kind }', 'old.graphql': '{ neverThere }' });
    await change(COMMITTED.replace('now: Int', ''));
    const { exitCode, words } = await check('--operations', 'web');
    expect(exitCode).toBe(1);
    expect(words).toMatch(/Documents of the clients that break\n {2}- queries\/now\.graphql\n {6}2:3: Cannot query field "now"/);
    expect(words).not.toMatch(/hello\.gql|old\.graphql|fragment\.graphql/);
  });

  test('of a manifest are named by their ids', async () => {
    await writeFile(join(folder, 'manifest.json'), JSON.stringify({ greeting: '{ hello }', clock: '{ now }' }));
    await change(COMMITTED.replace('now: Int', ''));
    const { words } = await check('--operations', 'manifest.json', '--json');
    expect((JSON.parse(words) as { brokenDocuments: object[] }).brokenDocuments).toEqual([{ name: 'clock', errors: ['1:3: Cannot query field "now" on type "Query".'] }]);
  });

  test('are fine when none uses what changed', async () => {
    await documents({ 'hello.graphql': '{ hello }' });
    expect(await check('--operations', 'web')).toMatchObject({ exitCode: 0, words: expect.stringMatching(/No document of the clients breaks/) });
  });

  test('that can’t be read are told', async () => {
    await documents({ 'bad.graphql': '{ hello' });
    expect(await check('--operations', 'web')).toMatchObject({ exitCode: 2, words: expect.stringMatching(/bad\.graphql is no GraphQL document: Syntax Error/) });
  });
});
