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
  test('has a default for everything but who signs the tokens and the secrets', () => {
    expect(readConfig(complete)).toEqual({
      host: '127.0.0.1',
      port: 4000,
      supergraphFile: complete['SUPERGRAPH_FILE'],
      subgraphUrls: new Map([['b', 'http://localhost:9/graphql']]),
      subgraphSecrets: new Map([['a', '0123456789abcdef'], ['b', '0123456789abcdeg']]),
      auth: 'on',
      jwksUrl: 'http://localhost:4001/.well-known/jwks.json',
      jwksFile: undefined,
      tokenIssuer: 'issuer',
      tokenAudience: 'audience',
      natsUrl: undefined,
      tokenExchange: undefined,
      doors: [],
      trustedProxies: 0,
      maxDepth: 10,
      maxAliases: 15,
      maxTokens: 1_000,
      maxCost: 1_000_000,
      assumedListSize: 10,
      maxBodyBytes: 262_144,
      maxSocketPayloadBytes: 65_536,
      maxSubscriptionsPerSocket: 50,
      socketInitTimeoutMs: 3_000,
      maxWaitingEvents: 256,
      maxSocketBufferBytes: 1_048_576,
      singleRootFields: [],
      rateLimitUser: undefined,
      rateLimitAddress: undefined,
      safelist: 'off',
      safelistFile: undefined,
      introspection: true,
      landingPage: 'sandbox',
      queryPlans: 'off',
      subgraphTimeoutMs: 10_000,
      subgraphConnections: 64,
      operationCacheMax: 2_000,
      persistedQueriesMax: 1_000,
      logLevel: 'info',
    });
  });

  test('needs neither issuer nor secrets where no token is verified', () => {
    const config = readConfig({ SUPERGRAPH_FILE: complete['SUPERGRAPH_FILE'], SUBGRAPH_URLS: complete['SUBGRAPH_URLS'], AUTH: 'off' });
    expect(config).toMatchObject({ auth: 'off', subgraphSecrets: 'off', jwksUrl: '', natsUrl: undefined });
    expect(readConfig({ ...complete, AUTH: 'off' }).subgraphSecrets).toEqual(new Map([['a', '0123456789abcdef'], ['b', '0123456789abcdeg']]));
    expect(readConfig({ ...complete, SUBGRAPH_SECRETS: 'off' })).toMatchObject({ auth: 'on', subgraphSecrets: 'off' });
  });

  test.each([
    ['RATE_LIMIT_USER', '100/s', { rateLimitUser: { perSecond: 100, burst: 1_000 } }],
    ['RATE_LIMIT_USER', '600/m', { rateLimitUser: { perSecond: 10, burst: 600 } }],
    ['RATE_LIMIT_ADDRESS', '3/m', { rateLimitAddress: { perSecond: 0.05, burst: 3 } }],
    ['RATE_LIMIT_ADDRESS', 'off', { rateLimitAddress: undefined }],
    ['DOORS', 'papers=a:300, maps=b:1800', { doors: [{ path: 'papers', subgraph: 'a', seconds: 300 }, { path: 'maps', subgraph: 'b', seconds: 1_800 }] }],
    ['TOKEN_EXCHANGE', 'https://other.test/?realm=x=a', { tokenExchange: { issuer: 'https://other.test/?realm=x', subgraph: 'a' } }],
    ['SINGLE_ROOT_FIELDS', 'signIn, renew', { singleRootFields: ['signIn', 'renew'] }],
    ['QUERY_PLANS', 'role:ADMIN', { queryPlans: { role: 'ADMIN' } }],
    ['INTROSPECTION', 'off', { introspection: false }],
    ['MAX_DEPTH', '0', { maxDepth: 0 }],
    ['PORT', '0', { port: 0 }],
    ['MAX_DEPTH', '', { maxDepth: 10 }],
  ])('reads %s=%s', (name, value, expected) => {
    expect(readConfig({ ...complete, [name]: value })).toMatchObject(expected);
  });

  test('takes relative paths from the given folder', () => {
    const config = readConfig({ ...complete, DIRECTORY: folder, SUPERGRAPH_FILE: 'supergraph.graphql', JWKS_FILE: 'keys/jwks.json', SAFELIST: 'log', SAFELIST_FILE: './safe.json' });
    expect(config).toMatchObject({ supergraphFile: complete['SUPERGRAPH_FILE'], jwksFile: join(folder, 'keys/jwks.json'), safelistFile: join(folder, 'safe.json') });
  });

  test('tells all its problems in one message', () => {
    const problems = problemsOf({ JWKS_URL: undefined, NATS_URL: 'nowhere', TRUSTED_PROXIES: 'one', TOKEN_ISSUER: undefined, PORT: 'many', SUBGRAPH_SECRETS: undefined, SUBGRAPH_URLS: undefined });
    for (const name of ['JWKS_URL: is missing', 'NATS_URL: ', 'TRUSTED_PROXIES: must be a whole number', 'TOKEN_ISSUER: is missing', 'PORT', 'SUBGRAPH_SECRETS', 'SUBGRAPH_URLS']) expect(problems).toContain(name);
  });

  test.each([
    ['a subgraph without a URL', { SUBGRAPH_URLS: '' }, 'SUBGRAPH_URLS: there is no usable URL for b'],
    ['a subgraph without a secret', { SUBGRAPH_SECRETS: 'a=0123456789abcdef' }, 'SUBGRAPH_SECRETS: there is no secret of at least 16 characters for b'],
    ['a secret that is too short', { SUBGRAPH_SECRETS: 'a=0123456789abcdef,b=short' }, 'characters for b'],
    ['a URL for a subgraph that is none', { SUBGRAPH_URLS: 'b=http://x/,c=http://y/' }, 'c is no subgraph'],
    ['a URL that is none', { SUBGRAPH_URLS: 'b=banana' }, 'no usable URL for b'],
    ['a port that is none', { PORT: '65536' }, 'PORT: must be a port'],
    ['a door to a subgraph that is none', { DOORS: 'papers=c:60' }, 'DOORS: c is no subgraph'],
    ['a door without a time', { DOORS: 'papers=a' }, 'is not path=subgraph:seconds'],
    ['a door where the gateway serves itself', { DOORS: 'graphql=a:60' }, '/graphql is served by the gateway itself'],
    ['a door with more than a segment', { DOORS: '../papers=a:60' }, 'can be no path'],
    ['an exchange of tokens by a subgraph that is none', { TOKEN_EXCHANGE: 'https://other.test=c' }, 'TOKEN_EXCHANGE: c is no subgraph'],
    ['a rate that is none', { RATE_LIMIT_USER: '100' }, 'RATE_LIMIT_USER: "100" is no rate: write 100/s'],
    ['a switch that is neither on nor off', { INTROSPECTION: 'yes' }, 'INTROSPECTION: "yes" is neither on nor off'],
    ['a role without a name', { QUERY_PLANS: 'role:' }, 'neither off, on nor role:NAME'],
    ['a root field that has no name', { SINGLE_ROOT_FIELDS: 'sign-in' }, '"sign-in" is no name of a field'],
    ['a safelist without its file', { SAFELIST: 'enforce' }, 'SAFELIST_FILE: is missing'],
    ['an unknown mode of the safelist', { SAFELIST: 'on', SAFELIST_FILE: 'x' }, 'SAFELIST: Value "on" not in choices'],
    ['room for no connection', { SUBGRAPH_CONNECTIONS: '0' }, 'SUBGRAPH_CONNECTIONS: must be a whole number, 1 or more'],
    ['a supergraph file that is not there', { SUPERGRAPH_FILE: '/nowhere.graphql' }, 'SUPERGRAPH_FILE: can\'t be used (ENOENT'],
  ])('refuses %s', (_what, changes, problem) => {
    expect(problemsOf(changes)).toContain(problem);
  });
});
