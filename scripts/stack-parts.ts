import { get } from 'node:http';
import { join } from 'node:path';
import { dieWithParent } from './die-with-parent.ts';
import { natsIsReady, natsUrl, prepareNats } from './embedded-nats.ts';
import { postgresEnvironment, postgresIsReady, preparePostgres, superuserUrl } from './embedded-postgres.ts';
import { OPERATOR, serviceUsers } from './nats-access.ts';
import type { Part, StopStep } from './part.ts';
import { natsNotice, postgresNotice, serviceNotice } from './part-notices.ts';
import { urlOfDatabase } from './provision-databases.ts';
import { addressToCall, type StackConfig } from './stack-config.ts';
import { type NatsClient, type StackSecrets, type SubgraphName, SUBGRAPHS } from './stack-secrets.ts';

/** The first admin of the demonstration, made by the users service itself. */
export const DEMO_ADMIN_EMAIL = 'admin@ates.test';
export const DEMO_PASSWORD = 'popug';

export type PortOf = Readonly<Record<'postgres' | 'nats' | 'gateway' | SubgraphName, number>>;

export interface StackContext {
  readonly config: StackConfig;
  readonly secrets: StackSecrets;
  readonly ports: PortOf;
  /** The environment of whoever starts the stack; services see it too, below what is set for them here. */
  readonly environment: NodeJS.ProcessEnv;
}

export interface StackParts {
  /** Started first; the services need it. */
  readonly postgres: Part;
  readonly nats: Part;
  /** Subgraphs and gateway, started side by side once the databases are there. */
  readonly services: readonly Part[];
  readonly superuserUrl: string;
}

const READY_REQUEST_TIMEOUT_MS = 1_000;
const TOKEN_ISSUER = 'ates';
const DEMO_PASSWORD_MIN_LENGTH = '5';
const LOOPBACK = '127.0.0.1';

/** What is new in memory lives a request long: more room for it makes the process larger, not faster. */
const GATEWAY_NODE_OPTIONS = ['--max-semi-space-size=16'];

/** What the gateway, which knows no domain, is told of this one. docker-compose.yml says the same. */
const GATEWAY_DOMAIN = {
  /** They open or renew a session: nobody tries a hundred passwords in one request. */
  SINGLE_ROOT_FIELDS: 'login,loginWithBeak,changePassword,enrollBeak,refreshSession',
  /** An export is hundreds of megabytes, and a line may be slow. */
  DOORS: 'statements=accounting:300,exports=analytics:1800',
  QUERY_PLANS: 'role:ADMIN',
};
/** Everybody who tries the stack comes from one address. */
const GATEWAY_LIMITS = { MAX_COST: '100000', RATE_LIMIT_USER: '1000/s', RATE_LIMIT_ADDRESS: '2000/s' };

/** The gateway takes no more requests well within this; then the subgraphs may go. */
const GATEWAY_HEAD_START_MS = 300;

/** How long each layer may take to stop: together, with the kills, under 5 s. After a first start a service spends it on writing its compile cache, of which a part will do. */
const STOP_STEPS = {
  gateway: [{ signal: 'SIGTERM', patienceMs: 1_700 }],
  subgraph: [{ signal: 'SIGTERM', patienceMs: 1_500 }],
  nats: [{ signal: 'SIGTERM', patienceMs: 400 }],
  postgres: [{ signal: 'SIGINT', patienceMs: 1_700 }, { signal: 'SIGQUIT', patienceMs: 200 }],
} satisfies Record<string, StopStep[]>;

/** All parts of the stack: PostgreSQL, NATS, four subgraphs, the gateway. */
export function stackParts(context: StackContext): StackParts {
  const { secrets, ports } = context;
  return {
    postgres: postgresPart(context),
    nats: natsPart(context),
    services: [...SUBGRAPHS.map((name) => subgraphPart(name, context)), gatewayPart(context)],
    superuserUrl: superuserUrl(ports.postgres, secrets.postgresPassword),
  };
}

function postgresPart({ config, secrets, ports }: StackContext): Part {
  const url = superuserUrl(ports.postgres, secrets.postgresPassword);
  const options = { dataDir: join(config.dataDir, 'postgres'), port: ports.postgres, superuserPassword: secrets.postgresPassword };
  return {
    name: 'postgres',
    layer: 0,
    port: ports.postgres,
    launch: async () => ({ ...(await preparePostgres(options)), env: postgresEnvironment() }),
    isReady: () => postgresIsReady(url),
    stopSteps: STOP_STEPS.postgres,
    notice: postgresNotice,
  };
}

function natsPart(context: StackContext): Part {
  const options = natsOptions(context);
  return {
    name: 'nats',
    layer: 1,
    port: options.port,
    launch: async () => ({ ...prepareNats(options), env: context.environment }),
    isReady: () => natsIsReady(natsUrl(options)),
    stopSteps: STOP_STEPS.nats,
    notice: natsNotice,
  };
}

function natsOptions({ config, secrets, ports }: StackContext): Parameters<typeof prepareNats>[0] {
  const otherUsers = serviceUsers((client) => natsPasswordOf(client, secrets));
  return { storeDir: join(config.dataDir, 'nats'), port: ports.nats, user: OPERATOR, password: secrets.natsPassword, otherUsers };
}

function natsPasswordOf(client: NatsClient, secrets: StackSecrets): string {
  return client === 'gateway' ? secrets.gatewayNatsPassword : secrets.subgraphs[client].natsPassword;
}

function subgraphPart(name: SubgraphName, context: StackContext): Part {
  const { config, secrets, ports } = context;
  const port = ports[name];
  const server = superuserUrl(ports.postgres, secrets.postgresPassword);
  const { databasePassword, databaseOwnerPassword, gatewaySecret } = secrets.subgraphs[name];
  const settings = {
    HOST: LOOPBACK,
    PORT: String(port),
    DATABASE_URL: urlOfDatabase(server, name, { name, password: databasePassword }),
    OWNER_DATABASE_URL: urlOfDatabase(server, name, { name: `${name}_owner`, password: databaseOwnerPassword }),
    GATEWAY_SECRET: gatewaySecret,
    BUSINESS_TIME_ZONE: context.environment['BUSINESS_TIME_ZONE'] ?? 'UTC',
    // A server for mail that the environment names is used; else mails are files.
    ...(name === 'accounting' && !context.environment['SMTP_URL'] ? { MAIL_DIR: join(config.dataDir, 'mail') } : {}),
    ...(name === 'users' ? { ADMIN_EMAIL: DEMO_ADMIN_EMAIL, ADMIN_PASSWORD: DEMO_PASSWORD, PASSWORD_MIN_LENGTH: DEMO_PASSWORD_MIN_LENGTH } : {}),
  };
  const entry = join('subgraphs', name, 'src', 'main.ts');
  return servicePart({ name, layer: 2, port, host: LOOPBACK, entry, settings, stopSteps: STOP_STEPS.subgraph }, context);
}

function gatewayPart(context: StackContext): Part {
  const { config, secrets, ports, environment } = context;
  const list = (valueOf: (name: SubgraphName) => string): string => SUBGRAPHS.map((name) => `${name}=${valueOf(name)}`).join(',');
  const { OIDC_ISSUER: otherIssuer } = environment;
  const settings = {
    ...GATEWAY_DOMAIN,
    ...Object.fromEntries(Object.entries(GATEWAY_LIMITS).map(([name, value]) => [name, environment[name] || value])),
    ...(otherIssuer ? { TOKEN_EXCHANGE: `${otherIssuer}=users` } : {}),
    AUTH: 'on',
    HOST: config.host,
    PORT: String(ports.gateway),
    SUPERGRAPH_FILE: join(config.projectDir, 'rover', 'supergraph.graphql'),
    SUBGRAPH_URLS: list((name) => `http://${LOOPBACK}:${ports[name]}/graphql`),
    SUBGRAPH_SECRETS: list((name) => secrets.subgraphs[name].gatewaySecret),
  };
  const entry = join('gateway', 'src', 'main.ts');
  const part = servicePart({ name: 'gateway', nodeOptions: GATEWAY_NODE_OPTIONS, layer: 3, port: ports.gateway, host: config.host, entry, settings, stopSteps: STOP_STEPS.gateway }, context);
  return { ...part, headStartMs: GATEWAY_HEAD_START_MS };
}

interface Service {
  readonly name: NatsClient;
  readonly nodeOptions?: readonly string[];
  readonly layer: number;
  readonly port: number;
  readonly host: string;
  /** The program, from the project's folder. */
  readonly entry: string;
  readonly settings: NodeJS.ProcessEnv;
  readonly stopSteps: readonly StopStep[];
}

function servicePart({ name, nodeOptions = [], layer, port, host, entry, settings, stopSteps }: Service, context: StackContext): Part {
  const { config, ports, secrets } = context;
  const env: NodeJS.ProcessEnv = {
    ...withoutNpm(context.environment),
    NODE_ENV: 'production',
    NODE_COMPILE_CACHE: context.environment['NODE_COMPILE_CACHE'] ?? join(config.dataDir, 'cache', 'compile'),
    LOG_LEVEL: config.logLevel,
    NATS_URL: natsUrl({ port: ports.nats, user: name, password: natsPasswordOf(name, secrets) }),
    JWKS_FILE: join(config.dataDir, 'keys', `${name}.json`),
    JWKS_URL: `http://${LOOPBACK}:${ports.users}/.well-known/jwks.json`,
    TOKEN_ISSUER,
    TOKEN_AUDIENCE: TOKEN_ISSUER,
    ...settings,
  };
  const command = dieWithParent({ file: process.execPath, args: [...nodeOptions, join(config.projectDir, entry)] });
  return {
    name,
    layer,
    port,
    launch: async () => ({ ...command, env }),
    isReady: () => answersOk(`http://${addressToCall(host)}:${port}/readyz`),
    stopSteps,
    notice: serviceNotice,
  };
}

function withoutNpm(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !/^npm_/i.test(name)));
}

function answersOk(url: string): Promise<boolean> {
  return new Promise((done) => {
    const request = get(url, { agent: false, timeout: READY_REQUEST_TIMEOUT_MS }, (response) => {
      response.resume();
      done(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => done(false));
  });
}
