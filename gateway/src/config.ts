import { join } from 'node:path';
import { host, makeValidator, parseNamedValues, port, readEnv, str, url, wholeNumber } from '@ates/service-kit/env';
import { readSupergraphFile, subgraphsOf, type SubgraphEntry } from './supergraph-file.ts';

/** Where a subgraph is and how the gateway proves itself there. */
export interface SubgraphEndpoint {
  readonly name: string;
  /** The URL of its GraphQL endpoint, over HTTP; sockets use the same one with ws. */
  readonly url: string;
  readonly secret: string;
}

/** What the gateway is told by its environment; each member names its variable. */
export interface GatewayConfig {
  /** HOST, default 127.0.0.1 */
  readonly host: string;
  /** PORT, default 4000 */
  readonly port: number;
  /** SUPERGRAPH_FILE, default rover/supergraph.graphql of this checkout; looked at again when it changes */
  readonly supergraphFile: string;
  /** SUBGRAPH_URLS, `name=url,name=url`: replaces the routing URLs that were composed into the supergraph */
  readonly subgraphUrls: ReadonlyMap<string, string>;
  /** SUBGRAPH_SECRETS, `name=secret,name=secret`: one for each subgraph, at least 16 characters */
  readonly subgraphSecrets: ReadonlyMap<string, string>;
  /** NATS_URL, for example nats://gateway:password@127.0.0.1:4222: from where revocations are heard */
  readonly natsUrl: string;
  /** TRUSTED_PROXIES, default 0: how many proxies of ours stand in front; so many entries of X-Forwarded-For are believed */
  readonly trustedProxies: number;
  /** JWKS_URL: where the token issuer publishes its keys */
  readonly jwksUrl: string;
  /** OIDC_ISSUER, default none: another identity provider, whose tokens Users turns into ours; it has the same one set */
  readonly oidcIssuer: string | undefined;
  /** JWKS_FILE, default none: a file in which fetched keys are kept, for a start while they can't be fetched */
  readonly jwksFile: string | undefined;
  /** TOKEN_ISSUER: `iss` of the tokens that are trusted */
  readonly tokenIssuer: string;
  /** TOKEN_AUDIENCE: `aud` of the tokens that are trusted */
  readonly tokenAudience: string;
  /** LOG_LEVEL, default info */
  readonly logLevel: string;
}

const DEFAULT_SUPERGRAPH_FILE = join(import.meta.dirname, '../../rover/supergraph.graphql');
const SECRET_LENGTH_MIN = 16;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the gateway's configuration and checks it against the supergraph file: each subgraph needs a URL and a secret.
 * @throws ConfigurationError naming every variable that is missing or wrong, in one message.
 */
export function readConfig(source: Readonly<Record<string, string | undefined>> = process.env): GatewayConfig {
  const supergraphFile = source['SUPERGRAPH_FILE'] ?? DEFAULT_SUPERGRAPH_FILE;
  const entries = entriesOrProblem(supergraphFile);
  const known = typeof entries === 'string' ? [] : entries;
  const env = readEnv(
    {
      HOST: host({ default: '127.0.0.1' }),
      PORT: port({ default: 4000 }),
      SUPERGRAPH_FILE: checked((path) => path, () => (typeof entries === 'string' ? entries : null))(),
      SUBGRAPH_URLS: checked(parseNamedValues, (urls) => urlProblem(known, urls))(),
      SUBGRAPH_SECRETS: checked(parseNamedValues, (secrets) => secretProblem(known, secrets))(),
      NATS_URL: url(),
      TRUSTED_PROXIES: wholeNumber(0)({ default: 0 }),
      JWKS_URL: url(),
      JWKS_FILE: str({ default: undefined }),
      OIDC_ISSUER: url({ default: undefined }),
      TOKEN_ISSUER: str(),
      TOKEN_AUDIENCE: str(),
      LOG_LEVEL: str({ choices: LOG_LEVELS, default: 'info' }),
    },
    // Validators see only variables that are there and not empty; these are checked against the supergraph in any case.
    { ...source, SUPERGRAPH_FILE: supergraphFile, SUBGRAPH_URLS: source['SUBGRAPH_URLS'] || ' ', SUBGRAPH_SECRETS: source['SUBGRAPH_SECRETS'] || ' ' },
  );
  return {
    host: env.HOST,
    port: env.PORT,
    supergraphFile: env.SUPERGRAPH_FILE,
    subgraphUrls: env.SUBGRAPH_URLS,
    subgraphSecrets: env.SUBGRAPH_SECRETS,
    natsUrl: env.NATS_URL,
    trustedProxies: env.TRUSTED_PROXIES,
    jwksUrl: env.JWKS_URL,
    jwksFile: env.JWKS_FILE,
    oidcIssuer: env.OIDC_ISSUER,
    tokenIssuer: env.TOKEN_ISSUER,
    tokenAudience: env.TOKEN_AUDIENCE,
    logLevel: env.LOG_LEVEL,
  };
}

/**
 * The endpoints of a supergraph's subgraphs under the given settings.
 * @throws Error that says which subgraph lacks what.
 */
export function subgraphEndpoints(
  supergraphSdl: string,
  { subgraphUrls, subgraphSecrets }: Pick<GatewayConfig, 'subgraphUrls' | 'subgraphSecrets'>,
): SubgraphEndpoint[] {
  const entries = subgraphsOf(supergraphSdl);
  const problem = urlProblem(entries, subgraphUrls, 'allow-unknown') ?? secretProblem(entries, subgraphSecrets, 'allow-unknown');
  if (problem !== null) throw new Error(problem);
  return entries.map(({ name, url: composed }) => ({
    name,
    url: subgraphUrls.get(name) ?? composed,
    secret: subgraphSecrets.get(name) as string,
  }));
}

function entriesOrProblem(supergraphFile: string): SubgraphEntry[] | string {
  try {
    return subgraphsOf(readSupergraphFile(supergraphFile));
  } catch (error) {
    return `can't be used (${(error as Error).message}): run \`npm run compose\`, or name another file`;
  }
}

type NamedValues = ReadonlyMap<string, string>;

function urlProblem(entries: readonly SubgraphEntry[], urls: NamedValues, unknown: 'refuse-unknown' | 'allow-unknown' = 'refuse-unknown'): string | null {
  const missing = entries.filter(({ name, url: composed }) => !isHttpUrl(urls.get(name) ?? composed)).map(({ name }) => name);
  if (missing.length > 0) return `there is no usable URL for ${missing.join(', ')}: write ${missing[0]}=http://<host>:<port>/graphql`;
  return unknown === 'refuse-unknown' ? unknownNameProblem(entries, urls) : null;
}

function secretProblem(entries: readonly SubgraphEntry[], secrets: NamedValues, unknown: 'refuse-unknown' | 'allow-unknown' = 'refuse-unknown'): string | null {
  const missing = entries.filter(({ name }) => (secrets.get(name) ?? '').length < SECRET_LENGTH_MIN).map(({ name }) => name);
  if (missing.length > 0) {
    return `there is no secret of at least ${SECRET_LENGTH_MIN} characters for ${missing.join(', ')}: write ${missing[0]}=<the one that the subgraph has>`;
  }
  return unknown === 'refuse-unknown' ? unknownNameProblem(entries, secrets) : null;
}

function unknownNameProblem(entries: readonly SubgraphEntry[], values: NamedValues): string | null {
  const unknown = [...values.keys()].filter((name) => entries.length > 0 && !entries.some((entry) => entry.name === name));
  return unknown.length === 0 ? null : `${unknown.join(', ')} is no subgraph of the supergraph, which has ${entries.map(({ name }) => name).join(', ')}`;
}

function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** A validator that refuses, with the returned problem, what `parse` has accepted. */
function checked<Value>(parse: (input: string) => Value, problemOf: (value: Value) => string | null) {
  return makeValidator<Value>((input) => {
    const value = parse(input);
    const problem = problemOf(value);
    if (problem !== null) throw new Error(problem);
    return value;
  });
}
