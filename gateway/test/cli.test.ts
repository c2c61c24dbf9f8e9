import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readCommand } from '../src/cli.ts';
import type { GatewayConfig } from '../src/config.ts';
import { optionsTable } from '../src/help.ts';
import { OPTION_GROUPS } from '../src/options.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-cli-'));
  await writeFile(join(folder, 'supergraph.graphql'), 'enum join__Graph { A @join__graph(name: "a", url: "http://localhost:4001/graphql") B @join__graph(name: "b", url: "http://localhost:4002/graphql") }');
});
afterAll(() => rm(folder, { recursive: true }));

function configOf(args: readonly string[], environment: Record<string, string> = {}): GatewayConfig {
  const command = readCommand(['--directory', folder, '--supergraph', 'supergraph.graphql', ...args], environment);
  if (command.kind !== 'serve') throw new Error(`It told something instead: ${command.text}`);
  return command.config;
}

function problemsOf(args: readonly string[], environment?: Record<string, string>): string {
  try {
    configOf(args, environment);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('The command line', () => {
  test('needs no more than a supergraph where no token is verified', () => {
    expect(configOf(['--no-auth'])).toMatchObject({ auth: 'off', subgraphSecrets: 'off', port: 4000, supergraphFile: join(folder, 'supergraph.graphql') });
  });

  test('says what the environment says otherwise', () => {
    const environment = { PORT: '1', MAX_DEPTH: '5', AUTH: 'on', SUBGRAPH_URLS: 'a=http://other:1/' };
    const config = configOf(['--port=7', '--no-auth', '--subgraph-url', 'b=http://host:2/graphql'], environment);
    expect(config).toMatchObject({ port: 7, maxDepth: 5, auth: 'off', subgraphUrls: new Map([['b', 'http://host:2/graphql']]) });
  });

  test('may repeat what is a list, and ends with the last one of what is none', () => {
    const config = configOf(['--no-auth', '--door', 'papers=a:60', '--door', 'maps=b:120', '--single-root-field', 'signIn', '--single-root-field=renew', '--port', '1', '--port', '2']);
    expect(config).toMatchObject({ doors: [{ path: 'papers' }, { path: 'maps' }], singleRootFields: ['signIn', 'renew'], port: 2 });
  });

  test('tells all that is wrong with it and with the environment in one message, by the flags', () => {
    const problems = problemsOf(['--prot', '5', '--no-auth=yes', 'stray', '--max-cost', 'many', '--wavelength', '--max-depth'], { TRUSTED_PROXIES: 'one' });
    for (const problem of [
      '"stray" belongs to no option',
      '--prot is no option, did you mean --port?',
      '--no-auth takes no value',
      '--max-depth needs a value: N',
      '--wavelength is no option',
      '--jwks-url (JWKS_URL): is missing, set it',
      '--subgraph-secret (SUBGRAPH_SECRETS): there is no secret of at least 16 characters for a, b',
      '--trusted-proxies (TRUSTED_PROXIES): must be a whole number',
      '--max-cost (MAX_COST): must be a whole number',
    ]) expect(problems).toContain(`\n  ${problem}`);
    expect(problems).toMatch(/^The gateway cannot start, its options have 11 problem\(s\):\n[^]*\n--help tells all options\.$/);
  });

  test('does not take a flag for the value of another', () => {
    expect(problemsOf(['--no-auth', '--max-depth', '--max-cost', '5'])).toMatch(/1 problem\(s\):\n {2}--max-depth needs a value: N\n--help/);
  });

  test.each([
    ['--supergrap', '--supergraph'],
    ['--rate-limit-usr', '--rate-limit-user'],
    ['--noauth', '--no-auth'],
    ['--verison', '--version'],
  ])('with %s is asked whether %s was meant', (wrong, right) => {
    expect(problemsOf(['--no-auth', wrong])).toContain(`${wrong} is no option, did you mean ${right}?`);
  });
});

describe('The help', () => {
  test.each([['--help'], ['-h'], ['--port', 'x', '--help']])('is told for %s, whatever else is wrong', (...args) => {
    const command = readCommand(args, {});
    for (const { flag, variable } of OPTION_GROUPS.flatMap(({ options }) => options)) {
      expect(command).toMatchObject({ kind: 'tell', text: expect.stringContaining(`--${flag}`) });
      expect(command).toMatchObject({ text: expect.stringMatching(new RegExp(`\\(${variable}[=;]`)) });
    }
  });

  test('has the options of the README, each with its variable and default', async () => {
    const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8');
    expect(/^\| option \|[^]*?(?=\n\n)/m.exec(readme)?.[0]).toBe(optionsTable());
  });

  test('is not the version, which is told too', () => {
    expect(readCommand(['--version'], {})).toEqual({ kind: 'tell', text: expect.stringMatching(/^@ates\/gateway \d+\.\d+\.\d+\n$/) });
  });
});
