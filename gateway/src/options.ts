/** A setting of the gateway as its user writes it: by a flag, or by a variable of the environment. The flag wins. */
export interface Option {
  readonly variable: string;
  /** Without its dashes. */
  readonly flag: string;
  /** What the flag takes, for people. */
  readonly value: string;
  /** A switch takes nothing: it sets the variable to this. */
  readonly switchOf?: string;
  /** May be given several times; its variable holds all of them, with commas between. */
  readonly isList?: true;
  /** As the variable would hold it. */
  readonly default?: string;
  /** Where that would not tell people what happens. */
  readonly defaultInWords?: string;
  readonly help: string;
}

export interface OptionGroup {
  readonly title: string;
  readonly options: readonly Option[];
}

/** Every option of the program. Its help, the table of the README and the defaults of the configuration are made of this. */
export const OPTION_GROUPS: readonly OptionGroup[] = [
  {
    title: 'What is served, and where',
    options: [
      { variable: 'SUPERGRAPH_FILE', flag: 'supergraph', value: 'FILE', defaultInWords: 'rover/supergraph.graphql of this checkout', help: 'the composed supergraph; loaded again whenever it changes' },
      { variable: 'HOST', flag: 'host', value: 'HOST', default: '127.0.0.1', help: 'the address to listen at' },
      { variable: 'PORT', flag: 'port', value: 'N', default: '4000', help: 'the port to listen at; 0: a free one' },
      { variable: 'DIRECTORY', flag: 'directory', value: 'DIR', defaultInWords: 'where it is started', help: 'what relative paths start from' },
      { variable: 'LOG_LEVEL', flag: 'log-level', value: 'LEVEL', default: 'info', help: 'fatal, error, warn, info, debug, trace or silent' },
    ],
  },
  {
    title: 'Subgraphs',
    options: [
      { variable: 'SUBGRAPH_URLS', flag: 'subgraph-url', value: 'NAME=URL', isList: true, defaultInWords: 'the composed ones', help: 'where a subgraph is' },
      { variable: 'SUBGRAPH_SECRETS', flag: 'subgraph-secret', value: 'NAME=SECRET', isList: true, defaultInWords: 'none with --no-auth, else needed', help: 'what the gateway proves itself with, at least 16 characters for each subgraph; off: nothing' },
      { variable: 'SUBGRAPH_SECRETS', flag: 'no-subgraph-secrets', value: '', switchOf: 'off', defaultInWords: 'with --no-auth and no secret', help: 'subgraphs are asked without a secret' },
      { variable: 'SUBGRAPH_TIMEOUT_MS', flag: 'subgraph-timeout-ms', value: 'N', default: '10000', help: 'how long a subgraph may take for one fetch' },
      { variable: 'SUBGRAPH_CONNECTIONS', flag: 'subgraph-connections', value: 'N', default: '64', help: 'connections to each subgraph, kept open' },
    ],
  },
  {
    title: 'Who asks',
    options: [
      { variable: 'AUTH', flag: 'no-auth', value: '', switchOf: 'off', default: 'on', help: 'no token is verified: Authorization is passed on as it is' },
      { variable: 'JWKS_URL', flag: 'jwks-url', value: 'URL', defaultInWords: 'needed with AUTH=on', help: 'where the issuer of the access tokens publishes its keys' },
      { variable: 'JWKS_FILE', flag: 'jwks-file', value: 'FILE', help: 'keeps the fetched keys, for a start while they cannot be fetched' },
      { variable: 'TOKEN_ISSUER', flag: 'token-issuer', value: 'TEXT', defaultInWords: 'needed with AUTH=on', help: '`iss` of the tokens that are trusted' },
      { variable: 'TOKEN_AUDIENCE', flag: 'token-audience', value: 'TEXT', defaultInWords: 'needed with AUTH=on', help: '`aud` of the tokens that are trusted' },
      { variable: 'NATS_URL', flag: 'nats-url', value: 'URL', help: 'from where revocations are heard; without it nobody’s roles are current' },
      { variable: 'TOKEN_EXCHANGE', flag: 'token-exchange', value: 'ISSUER=SUBGRAPH', help: 'tokens of this other issuer are exchanged for trusted ones by this subgraph' },
      { variable: 'TRUSTED_PROXIES', flag: 'trusted-proxies', value: 'N', default: '0', help: 'how many proxies of yours stand in front: so many entries of X-Forwarded-For are believed' },
    ],
  },
  {
    title: 'Limits',
    options: [
      { variable: 'MAX_DEPTH', flag: 'max-depth', value: 'N', default: '10', help: 'levels of fields in an operation; 0: any' },
      { variable: 'MAX_ALIASES', flag: 'max-aliases', value: 'N', default: '15', help: 'aliases in an operation; 0: any' },
      { variable: 'MAX_TOKENS', flag: 'max-tokens', value: 'N', default: '1000', help: 'lexical tokens in a document; 0: any' },
      { variable: 'MAX_COST', flag: 'max-cost', value: 'N', default: '1000000', help: 'what an operation may cost: its fields, times the lengths of the lists around them; 0: anything' },
      { variable: 'ASSUMED_LIST_SIZE', flag: 'assumed-list-size', value: 'N', default: '10', help: 'the length of a list that no argument bounds, for the cost' },
      { variable: 'SINGLE_ROOT_FIELDS', flag: 'single-root-field', value: 'NAME', isList: true, help: 'an operation may hold one of these root fields, once: for what must not be tried a hundred times in a request' },
      { variable: 'RATE_LIMIT_USER', flag: 'rate-limit-user', value: 'N/s', defaultInWords: 'off', help: 'operations of one user, as 100/s or 600/m' },
      { variable: 'RATE_LIMIT_ADDRESS', flag: 'rate-limit-address', value: 'N/s', defaultInWords: 'off', help: 'operations from one address' },
      { variable: 'MAX_BODY_BYTES', flag: 'max-body-bytes', value: 'N', default: '262144', help: 'of a request' },
      { variable: 'MAX_SOCKET_PAYLOAD_BYTES', flag: 'max-socket-payload-bytes', value: 'N', default: '65536', help: 'of a message on a socket' },
      { variable: 'MAX_SUBSCRIPTIONS_PER_SOCKET', flag: 'max-subscriptions-per-socket', value: 'N', default: '50', help: 'operations under way on a socket' },
      { variable: 'SOCKET_INIT_TIMEOUT_MS', flag: 'socket-init-timeout-ms', value: 'N', default: '3000', help: 'how long a socket may take to say who it is' },
      { variable: 'MAX_WAITING_EVENTS', flag: 'max-waiting-events', value: 'N', default: '256', help: 'events of a subscription that wait for their delivery; more end it' },
      { variable: 'MAX_SOCKET_BUFFER_BYTES', flag: 'max-socket-buffer-bytes', value: 'N', default: '1048576', help: 'what may wait to be sent to a slow client; more closes its stream' },
    ],
  },
  {
    title: 'Operations',
    options: [
      { variable: 'SAFELIST', flag: 'safelist', value: 'MODE', default: 'off', help: 'off; log: tells of operations that are not in the safelist; enforce: refuses them' },
      { variable: 'SAFELIST_FILE', flag: 'safelist-file', value: 'FILE', defaultInWords: 'needed with a safelist', help: 'a manifest of persisted operations, or a JSON object of documents by id' },
      { variable: 'INTROSPECTION', flag: 'introspection', value: 'on|off', default: 'on', help: 'whether clients may ask for the schema' },
      { variable: 'LANDING_PAGE', flag: 'landing-page', value: 'PAGE', default: 'sandbox', help: 'what a browser finds at /graphql: sandbox, graphiql or off; GraphiQL is at /graphiql unless off' },
      { variable: 'QUERY_PLANS', flag: 'query-plans', value: 'off|on|role:NAME', default: 'off', help: 'who may ask for the plan of an operation' },
      { variable: 'OPERATION_CACHE_MAX', flag: 'operation-cache-max', value: 'N', default: '2000', help: 'compiled operations that are remembered' },
      { variable: 'PERSISTED_QUERIES_MAX', flag: 'persisted-queries-max', value: 'N', default: '1000', help: 'automatically persisted queries that are remembered' },
      { variable: 'DOORS', flag: 'door', value: 'PATH=SUBGRAPH:SECONDS', isList: true, help: 'GET /PATH/<token>/<file> is passed on to this subgraph, for so many seconds at most' },
    ],
  },
];

const OPTIONS: readonly Option[] = OPTION_GROUPS.flatMap(({ options }) => options);

/** The option with this flag, its dashes left out. */
export function optionOf(flag: string): Option | undefined {
  return OPTIONS.find((option) => option.flag === flag);
}

/** The flag that sets a variable of the environment. */
export function flagOf(variable: string): string | undefined {
  return OPTIONS.find((option) => option.variable === variable)?.flag;
}

export const FLAGS: readonly string[] = OPTIONS.map(({ flag }) => flag);

/** What variables hold that are not set. */
export const DEFAULTS: Readonly<Record<string, string>> = Object.fromEntries(
  OPTIONS.flatMap((option) => (option.default === undefined ? [] : [[option.variable, option.default]])),
);
