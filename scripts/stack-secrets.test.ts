import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { provideSecrets, SUBGRAPHS } from './stack-secrets.ts';

let dataDir: string;
const file = (): string => join(dataDir, 'secrets.json');

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ates-secrets-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test('are made once, all different, for the eyes of their owner only', () => {
  const secrets = provideSecrets(dataDir);
  const all = [secrets.postgresPassword, secrets.natsPassword, secrets.gatewayNatsPassword, ...SUBGRAPHS.flatMap((name) => Object.values(secrets.subgraphs[name]))];
  expect(new Set(all).size).toBe(3 + 4 * SUBGRAPHS.length);
  for (const secret of all) expect(secret).toMatch(/^[\w-]{32}$/);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  const written = statSync(file()).ino;
  expect(provideSecrets(dataDir)).toEqual(secrets);
  expect(statSync(file()).ino).toBe(written);
});

test("those that an older version's file lacks are added, the others stay", () => {
  const ofSubgraph = { databaseOwnerPassword: 'owner', databasePassword: 'database', gatewaySecret: 'gateway' };
  const old = { postgresPassword: 'postgres', natsPassword: 'nats', subgraphs: Object.fromEntries(SUBGRAPHS.map((name) => [name, ofSubgraph])) };
  writeFileSync(file(), JSON.stringify(old), { mode: 0o600 });
  const secrets = provideSecrets(dataDir);
  expect(secrets).toMatchObject(old);
  expect(new Set(SUBGRAPHS.map((name) => secrets.subgraphs[name].natsPassword)).size).toBe(SUBGRAPHS.length);
  expect(secrets.gatewayNatsPassword).toMatch(/^[\w-]{32}$/);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual(secrets);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(readdirSync(dataDir)).toEqual(['secrets.json']);
  expect(provideSecrets(dataDir)).toEqual(secrets);
});

test.each(['', '{}', 'null', '{"postgresPassword":"p"}'])('a file that holds only %j is refused, and left as it is', (text) => {
  writeFileSync(file(), text);
  expect(() => provideSecrets(dataDir)).toThrow(/secrets\.json can't be read .* restore it/);
  expect(readFileSync(file(), 'utf8')).toBe(text);
});
