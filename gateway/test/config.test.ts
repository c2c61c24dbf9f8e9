import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readConfig } from '../src/config.ts';

let folder: string;
let complete: Record<string, string>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gateway-config-'));
  const supergraph = 'enum join__Graph { A @join__graph(name: "a", url: "http://localhost:4001/graphql") B @join__graph(name: "b", url: "") }';
  await writeFile(join(folder, 'supergraph.graphql'), supergraph);
  complete = {
    SUPERGRAPH_FILE: join(folder, 'supergraph.graphql'),
    SUBGRAPH_URLS: 'b=http://localhost:9/graphql',
    SUBGRAPH_SECRETS: 'a=0123456789abcdef, b=0123456789abcdeg',
    NATS_URL: 'nats://gateway:password@localhost:4222',
    JWKS_URL: 'http://localhost:4001/.well-known/jwks.json',
    TOKEN_ISSUER: 'issuer',
    TOKEN_AUDIENCE: 'audience',
  };
});
afterAll(() => rm(folder, { recursive: true }));

const problemsOf = (changes: Record<string, string | undefined>): string => {
  try {
    readConfig({ ...complete, ...changes });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('The configuration', () => {
  test('has defaults for what is no secret', () => {
    expect(readConfig(complete)).toMatchObject({ host: '127.0.0.1', port: 4000, logLevel: 'info', trustedProxies: 0, jwksFile: undefined, subgraphUrls: new Map([['b', 'http://localhost:9/graphql']]) });
  });

  test('tells all its problems in one message', () => {
    const problems = problemsOf({ JWKS_URL: undefined, NATS_URL: undefined, TRUSTED_PROXIES: 'one', TOKEN_ISSUER: undefined, PORT: 'many', SUBGRAPH_SECRETS: undefined, SUBGRAPH_URLS: undefined });
    for (const name of ['JWKS_URL: is missing', 'NATS_URL: is missing', 'TRUSTED_PROXIES: must be a whole number', 'TOKEN_ISSUER: is missing', 'PORT', 'SUBGRAPH_SECRETS', 'SUBGRAPH_URLS']) expect(problems).toContain(name);
  });

  test.each([
    ['a subgraph without a URL', { SUBGRAPH_URLS: '' }, 'SUBGRAPH_URLS: there is no usable URL for b'],
    ['a subgraph without a secret', { SUBGRAPH_SECRETS: 'a=0123456789abcdef' }, 'SUBGRAPH_SECRETS: there is no secret of at least 16 characters for b'],
    ['a secret that is too short', { SUBGRAPH_SECRETS: 'a=0123456789abcdef,b=short' }, 'characters for b'],
    ['a URL for a subgraph that is none', { SUBGRAPH_URLS: 'b=http://x/,c=http://y/' }, 'c is no subgraph'],
    ['a URL that is none', { SUBGRAPH_URLS: 'b=banana' }, 'no usable URL for b'],
    ['a supergraph file that is not there', { SUPERGRAPH_FILE: '/nowhere.graphql' }, 'SUPERGRAPH_FILE: can\'t be used (ENOENT'],
  ])('refuses %s', (_what, changes, problem) => {
    expect(problemsOf(changes)).toContain(problem);
  });
});
