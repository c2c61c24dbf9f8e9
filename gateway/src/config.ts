import { join, resolve } from 'node:path';
import { host, makeValidator, parseNamedValues, readEnv, str, url, wholeNumber } from '@ates/service-kit/env';
import {
  parseDoors,
  parseListeningPort,
  parseNames,
  parseOnOff,
  parseQueryPlans,
  parseRateLimit,
  parseTokenExchange,
  type DoorSettings,
  type QueryPlans,
  type RateLimit,
  type TokenExchangeSettings,
} from './option-values.ts';
import { DEFAULTS } from './options.ts';
import { readSupergraphFile, subgraphsOf, type SubgraphEntry } from './supergraph-file.ts';

/** Where a subgraph is and how the gateway proves itself there. */
export interface SubgraphEndpoint {
  readonly name: string;
  /** The URL of its GraphQL endpoint, over HTTP; sockets use the same one with ws. */
  readonly url: string;
  /** Undefined where subgraphs are asked without one. */
  readonly secret: string | undefined;
}

type NamedValues = ReadonlyMap<string, string>;

/** What the gateway is told by flags and its environment; options.ts says which is which and what holds by default. */
export interface GatewayConfig {
  readonly host: string;
  /** 0: a free one */
  readonly port: number;
  /** Absolute; looked at again when it changes. */
  readonly supergraphFile: string;
  /** Replace the routing URLs that were composed into the supergraph. */
  readonly subgraphUrls: NamedValues;
  /** One for each subgraph, at least 16 characters; off: subgraphs are asked without. */
  readonly subgraphSecrets: NamedValues | 'off';
  /** off: no token is verified, `Authorization` is passed on as it is, and the next four are of no use. */
  readonly auth: 'on' | 'off';
  /** Where the token issuer publishes its keys; empty with auth off. */
  readonly jwksUrl: string;
  /** A file in which fetched keys are kept, for a start while they can't be fetched; absolute. */
  readonly jwksFile: string | undefined;
  /** `iss` of the tokens that are trusted; empty with auth off. */
  readonly tokenIssuer: string;
  /** `aud` of the tokens that are trusted; empty with auth off. */
  readonly tokenAudience: string;
  /** From where revocations are heard, as nats://gateway:password@127.0.0.1:4222. */
  readonly natsUrl: string | undefined;
  readonly tokenExchange: TokenExchangeSettings | undefined;
  readonly doors: readonly DoorSettings[];
  /** How many proxies of ours stand in front; so many entries of X-Forwarded-For are believed. */
  readonly trustedProxies: number;
  /** 0: no limit; so too for the next three. */
  readonly maxDepth: number;
  readonly maxAliases: number;
  readonly maxTokens: number;
  readonly maxCost: number;
  /** Of a list that no argument bounds. */
  readonly assumedListSize: number;
  readonly maxBodyBytes: number;
  readonly maxSocketPayloadBytes: number;
  readonly maxSubscriptionsPerSocket: number;
  readonly socketInitTimeoutMs: number;
  /** Events of one subscription that wait for their delivery. */
  readonly maxWaitingEvents: number;
  /** What may wait to be sent to one slow client. */
  readonly maxSocketBufferBytes: number;
  /** Root fields of which an operation may hold one, once. */
  readonly singleRootFields: readonly string[];
  readonly rateLimitUser: RateLimit | undefined;
  readonly rateLimitAddress: RateLimit | undefined;
  readonly safelist: 'off' | 'log' | 'enforce';
  /** Absolute; there unless the safelist is off. */
  readonly safelistFile: string | undefined;
  readonly introspection: boolean;
  readonly landingPage: 'sandbox' | 'graphiql' | 'off';
  readonly queryPlans: QueryPlans;
  readonly subgraphTimeoutMs: number;
  readonly subgraphConnections: number;
  readonly operationCacheMax: number;
  readonly persistedQueriesMax: number;
  readonly logLevel: string;
}

/** Settings by the names of their variables, as the environment holds them. */
export type SettingSource = Readonly<Record<string, string | undefined>>;

const DEFAULT_SUPERGRAPH_FILE = join(import.meta.dirname, '../../rover/supergraph.graphql');
const SECRET_LENGTH_MIN = 16;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the gateway's configuration and checks it against the supergraph file: each subgraph needs a URL, and a secret unless
 * they are off.
 * @throws ConfigurationError naming every variable that is missing or wrong, in one message.
 */
export function readConfig(source: SettingSource = process.env): GatewayConfig {
  const given: SettingSource = { ...DEFAULTS, ...Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined && value !== '')) };
  const absolute = (path: string): string => resolve(given['DIRECTORY'] ?? '.', path);
  const supergraphFile = absolute(given['SUPERGRAPH_FILE'] ?? DEFAULT_SUPERGRAPH_FILE);
  const entries = entriesOrProblem(supergraphFile);
  const env = readEnv(specsFor(entries, given), {
    ...given,
    SUPERGRAPH_FILE: supergraphFile,
    // Validators see only variables that are there and not empty; these are checked against the supergraph in any case.
    SUBGRAPH_URLS: given['SUBGRAPH_URLS'] ?? ' ',
    SUBGRAPH_SECRETS: given['SUBGRAPH_SECRETS'] ?? (given['AUTH'] === 'off' ? 'off' : ' '),
  });
  return {
    host: env.HOST,
    port: env.PORT,
    supergraphFile,
    subgraphUrls: env.SUBGRAPH_URLS,
    subgraphSecrets: env.SUBGRAPH_SECRETS,
    auth: env.AUTH ? 'on' : 'off',
    jwksUrl: env.JWKS_URL ?? '',
    jwksFile: env.JWKS_FILE === undefined ? undefined : absolute(env.JWKS_FILE),
    tokenIssuer: env.TOKEN_ISSUER ?? '',
    tokenAudience: env.TOKEN_AUDIENCE ?? '',
    natsUrl: env.NATS_URL,
    tokenExchange: env.TOKEN_EXCHANGE,
    doors: env.DOORS,
    trustedProxies: env.TRUSTED_PROXIES,
    maxDepth: env.MAX_DEPTH,
    maxAliases: env.MAX_ALIASES,
    maxTokens: env.MAX_TOKENS,
    maxCost: env.MAX_COST,
    assumedListSize: env.ASSUMED_LIST_SIZE,
    maxBodyBytes: env.MAX_BODY_BYTES,
    maxSocketPayloadBytes: env.MAX_SOCKET_PAYLOAD_BYTES,
    maxSubscriptionsPerSocket: env.MAX_SUBSCRIPTIONS_PER_SOCKET,
    socketInitTimeoutMs: env.SOCKET_INIT_TIMEOUT_MS,
    maxWaitingEvents: env.MAX_WAITING_EVENTS,
    maxSocketBufferBytes: env.MAX_SOCKET_BUFFER_BYTES,
    singleRootFields: env.SINGLE_ROOT_FIELDS,
    rateLimitUser: env.RATE_LIMIT_USER === 'off' ? undefined : env.RATE_LIMIT_USER,
    rateLimitAddress: env.RATE_LIMIT_ADDRESS === 'off' ? undefined : env.RATE_LIMIT_ADDRESS,
    safelist: env.SAFELIST,
    safelistFile: env.SAFELIST_FILE === undefined ? undefined : absolute(env.SAFELIST_FILE),
    introspection: env.INTROSPECTION,
    landingPage: env.LANDING_PAGE,
    queryPlans: env.QUERY_PLANS,
    subgraphTimeoutMs: env.SUBGRAPH_TIMEOUT_MS,
    subgraphConnections: env.SUBGRAPH_CONNECTIONS,
    operationCacheMax: env.OPERATION_CACHE_MAX,
    persistedQueriesMax: env.PERSISTED_QUERIES_MAX,
    logLevel: env.LOG_LEVEL,
  };
}

const absent = { default: undefined };
const count = wholeNumber(0);
const countAboveZero = wholeNumber(1);
const onOff = makeValidator(parseOnOff);
const rateLimit = makeValidator(parseRateLimit);

const LIMIT_SPECS = {
  MAX_DEPTH: count(),
  MAX_ALIASES: count(),
  MAX_TOKENS: count(),
  MAX_COST: count(),
  ASSUMED_LIST_SIZE: countAboveZero(),
  MAX_BODY_BYTES: countAboveZero(),
  MAX_SOCKET_PAYLOAD_BYTES: countAboveZero(),
  MAX_SUBSCRIPTIONS_PER_SOCKET: countAboveZero(),
  SOCKET_INIT_TIMEOUT_MS: countAboveZero(),
  MAX_WAITING_EVENTS: countAboveZero(),
  MAX_SOCKET_BUFFER_BYTES: countAboveZero(),
  SINGLE_ROOT_FIELDS: makeValidator(parseNames)({ default: [] }),
  RATE_LIMIT_USER: rateLimit({ default: 'off' }),
  RATE_LIMIT_ADDRESS: rateLimit({ default: 'off' }),
  SUBGRAPH_TIMEOUT_MS: countAboveZero(),
  SUBGRAPH_CONNECTIONS: countAboveZero(),
  OPERATION_CACHE_MAX: countAboveZero(),
  PERSISTED_QUERIES_MAX: countAboveZero(),
};

/** How each variable is read and checked; the defaults that options.ts has are in `given`. */
function specsFor(entries: readonly SubgraphEntry[] | string, given: SettingSource) {
  const known = typeof entries === 'string' ? [] : entries;
  // The type of what may be missing; it may not where tokens are verified.
  const forTokens = given['AUTH'] === 'off' ? absent : ({} as typeof absent);
  const forSafelist = given['SAFELIST'] === 'off' ? absent : ({} as typeof absent);
  return {
    ...LIMIT_SPECS,
    HOST: host(),
    PORT: makeValidator(parseListeningPort)(),
    SUPERGRAPH_FILE: checked((path) => path, () => (typeof entries === 'string' ? entries : null))(),
    SUBGRAPH_URLS: checked(parseNamedValues, (urls) => urlProblem(known, urls) ?? unknownNameProblem(known, [...urls.keys()]))(),
    SUBGRAPH_SECRETS: checked(parseSecrets, (secrets) => secretProblem(known, secrets) ?? unknownNameProblem(known, namesIn(secrets)))(),
    AUTH: onOff(),
    JWKS_URL: url(forTokens),
    JWKS_FILE: str(absent),
    TOKEN_ISSUER: str(forTokens),
    TOKEN_AUDIENCE: str(forTokens),
    NATS_URL: url(absent),
    TOKEN_EXCHANGE: checked(parseTokenExchange, ({ subgraph }) => unknownNameProblem(known, [subgraph]))(absent),
    DOORS: checked(parseDoors, (doors) => unknownNameProblem(known, doors.map(({ subgraph }) => subgraph)))({ default: [] }),
    TRUSTED_PROXIES: count(),
    SAFELIST: str({ choices: ['off', 'log', 'enforce'] }),
    SAFELIST_FILE: str(forSafelist),
    INTROSPECTION: onOff(),
    LANDING_PAGE: str({ choices: ['sandbox', 'graphiql', 'off'] }),
    QUERY_PLANS: makeValidator(parseQueryPlans)(),
    LOG_LEVEL: str({ choices: LOG_LEVELS }),
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
  const problem = urlProblem(entries, subgraphUrls) ?? secretProblem(entries, subgraphSecrets);
  if (problem !== null) throw new Error(problem);
  return entries.map(({ name, url: composed }) => ({
    name,
    url: subgraphUrls.get(name) ?? composed,
    secret: subgraphSecrets === 'off' ? undefined : subgraphSecrets.get(name),
  }));
}

function entriesOrProblem(supergraphFile: string): SubgraphEntry[] | string {
  try {
    return subgraphsOf(readSupergraphFile(supergraphFile));
  } catch (error) {
    return `can't be used (${(error as Error).message}): run \`npm run compose\`, or name another file`;
  }
}

function parseSecrets(input: string): NamedValues | 'off' {
  return input === 'off' ? input : parseNamedValues(input);
}

function namesIn(secrets: NamedValues | 'off'): string[] {
  return secrets === 'off' ? [] : [...secrets.keys()];
}

function urlProblem(entries: readonly SubgraphEntry[], urls: NamedValues): string | null {
  const missing = entries.filter(({ name, url: composed }) => !isHttpUrl(urls.get(name) ?? composed)).map(({ name }) => name);
  return missing.length === 0 ? null : `there is no usable URL for ${missing.join(', ')}: write ${missing[0]}=http://<host>:<port>/graphql`;
}

function secretProblem(entries: readonly SubgraphEntry[], secrets: NamedValues | 'off'): string | null {
  if (secrets === 'off') return null;
  const missing = entries.filter(({ name }) => (secrets.get(name) ?? '').length < SECRET_LENGTH_MIN).map(({ name }) => name);
  if (missing.length === 0) return null;
  return `there is no secret of at least ${SECRET_LENGTH_MIN} characters for ${missing.join(', ')}: write ${missing[0]}=<the one that the subgraph has>, or off`;
}

function unknownNameProblem(entries: readonly SubgraphEntry[], names: readonly string[]): string | null {
  const unknown = names.filter((name) => entries.length > 0 && !entries.some((entry) => entry.name === name));
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
