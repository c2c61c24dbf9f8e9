import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import pg from 'pg';
import { dieWithParent } from './die-with-parent.ts';
import type { NewRevocation } from '../service-kit/src/revocations.ts';
import { natsUrl } from './embedded-nats.ts';
import { chooseFreePorts } from './free-ports.ts';
import { OPERATOR } from './nats-access.ts';
import { provisionDatabases, urlOfDatabase } from './provision-databases.ts';
import { announceTestRevocations, startTestNats, TEST_NATS_PASSWORD, type TestRevocations } from './test-nats.ts';

export interface GraphQLAnswer<Data = Record<string, any>> {
  readonly status: number;
  readonly data: Data;
  readonly errors?: readonly { readonly message: string; readonly path?: readonly unknown[]; readonly extensions: { readonly code: string } }[];
}

/** What a test says about who asks. */
export interface TestUser {
  readonly id: string;
  readonly roles: readonly string[];
  /** Default: full. */
  readonly assurance?: 'full' | 'low';
  /** The version of the user's state that the token is of; default 1. */
  readonly version?: number;
  /** Default: `test`. */
  readonly sessionId?: string;
  /** Default: 300. */
  readonly expiresInSeconds?: number;
}

/** One database of a service's, on the PostgreSQL of the test run. */
export interface TestDatabase {
  readonly url: string;
  readonly ownerUrl: string;
  drop(): Promise<void>;
}

/** One service as a process of its own, on a real database and a real NATS, without the others. */
export interface TestService {
  readonly url: string;
  readonly secret: string;
  readonly database: TestDatabase;
  /** The test's own connection, which may do everything. */
  readonly nats: NatsConnection;
  /** An access token that the service trusts. */
  token(user: TestUser): Promise<string>;
  gql<Data = Record<string, any>>(query: string, variables?: object, token?: string): Promise<GraphQLAnswer<Data>>;
  /** Tells the service that these tokens are revoked, as Users would. */
  revoke(revocation: NewRevocation): void;
  /** What the service is told of revocations in place of Users; Users itself tells its own. */
  readonly revocations: TestRevocations | null;
  /** A statement as the owner of the service's tables. */
  sql<Row = Record<string, any>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /** Publishes into another service's stream, as that service's relay would. */
  publish(event: { readonly id: string; readonly source: string; readonly dataschema: string }): Promise<void>;
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 20_000;
const ISSUER = 'ates';
/** The id of the key that signs tests' tokens. */
const TEST_KEY = 'test';

/** A database with its owner and its application role, both of a name that no other test has. */
export async function createTestDatabase(service: string): Promise<TestDatabase> {
  const superuserUrl = process.env['ATES_TEST_POSTGRES_URL'] ?? '';
  const name = `${service}_${randomBytes(5).toString('hex')}`;
  await provisionDatabases({ superuserUrl, services: [{ name, ownerPassword: 'owner', appPassword: 'app' }] });
  return {
    url: urlOfDatabase(superuserUrl, name, { name, password: 'app' }),
    ownerUrl: urlOfDatabase(superuserUrl, name, { name: `${name}_owner`, password: 'owner' }),
    drop: async () => {
      const client = new pg.Client({ connectionString: superuserUrl });
      await client.connect();
      await client.query(`drop database ${name} with (force)`);
      await client.query(`drop role ${name}`);
      await client.query(`drop role ${name}_owner`);
      await client.end();
    },
  };
}

/** Waits until `read` gives something that is neither null, undefined nor false; fails after `withinMs`. */
export async function eventually<Value>(read: () => Promise<Value> | Value, withinMs = 10_000): Promise<NonNullable<Value>> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await read();
    if (value !== null && value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`This did not come true within ${withinMs} ms: ${read.toString()}`);
    await delay(10);
  }
}

/** Starts `subgraphs/<name>`, as its own user of NATS, and waits until it is ready, and hears of revocations. */
export async function startTestService(name: string, environment: Record<string, string> = {}): Promise<TestService> {
  const [database, nats, issuer, [port = 0]] = await Promise.all([createTestDatabase(name), startTestNats(), startTestIssuer(), chooseFreePorts(1)]);
  const secret = randomBytes(18).toString('base64url');
  const mailDir = join(tmpdir(), `ates-test-mail-${randomBytes(6).toString('hex')}`);
  const url = `http://127.0.0.1:${port}`;
  const connection = await connect({ servers: new URL(nats.url).host, user: OPERATOR, pass: TEST_NATS_PASSWORD });
  const revocations = name === 'users' ? null : announceTestRevocations(connection, [TEST_KEY]);
  const { child, output } = spawnService(name, {
    PORT: String(port),
    DATABASE_URL: database.url,
    OWNER_DATABASE_URL: database.ownerUrl,
    NATS_URL: natsUrl({ port: nats.port, user: name, password: TEST_NATS_PASSWORD }),
    GATEWAY_SECRET: secret,
    // Users is its own issuer.
    JWKS_URL: name === 'users' ? `${url}/.well-known/jwks.json` : issuer.jwksUrl,
    TOKEN_ISSUER: ISSUER,
    TOKEN_AUDIENCE: ISSUER,
    ...(name === 'accounting' ? { MAIL_DIR: mailDir } : {}),
    ...environment,
  });
  const owner = new pg.Pool({ connectionString: database.ownerUrl, max: 3 });
  // Its end does not wait for the server's sessions: dropping the database may end them first.
  owner.on('error', () => undefined);
  const stop = async (): Promise<void> => {
    await owner.end();
    await revocations?.stop();
    await connection.close();
    await stopChild(child);
    await Promise.all([nats.stop(), database.drop(), issuer.stop(), rm(mailDir, { recursive: true, force: true })]);
  };
  try {
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
      return isReady(url);
    }, READY_TIMEOUT_MS);
  } catch (error) {
    await stop();
    throw new Error(`${name} did not get ready; its output:\n${output.join('')}`, { cause: error });
  }
  return {
    url,
    secret,
    database,
    nats: connection,
    token: issuer.token,
    gql: (query, variables, token) => postGraphQL(`${url}/graphql`, { query, variables }, { 'x-gateway-secret': secret, ...(token && { authorization: `Bearer ${token}` }) }),
    revoke: (revocation) => {
      if (revocations === null) throw new Error(`${name} tells itself what it revokes`);
      revocations.revoke(revocation);
    },
    revocations,
    sql: async (text, params = []) => (await owner.query(text, [...params])).rows,
    publish: async (event) => {
      await jetstream(connection).publish(`ates.${event.source.slice(1)}.${event.dataschema}`, JSON.stringify(event), { msgID: event.id });
    },
    stop,
  };
}

/** Whether the service can work, and knows that nobody's rights were taken away. */
async function isReady(url: string): Promise<boolean> {
  const report: unknown = await fetch(`${url}/readyz`).then((response) => response.json(), () => ({}));
  const { ready, checks } = report as { ready?: boolean; checks?: Record<string, string> };
  return ready === true && (checks?.['revocations'] ?? 'ok') === 'ok';
}

/** One GraphQL request over HTTP. */
export async function postGraphQL(url: string, body: object, headers: Record<string, string>): Promise<GraphQLAnswer<any>> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { status: response.status, ...((await response.json()) as object) } as GraphQLAnswer<any>;
}

/** A token issuer with published keys, in place of Users. */
export async function startTestIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: TEST_KEY, alg: 'ES256', use: 'sig' }] };
  const server = createServer((_request, response) => void response.setHeader('content-type', 'application/json').end(JSON.stringify(jwks)));
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening).unref());
  return {
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    token: ({ id, roles, assurance = 'full', version = 1, sessionId = 'test', expiresInSeconds = 300 }: TestUser): Promise<string> =>
      new SignJWT({ sid: sessionId, ver: version, roles, assurance })
        .setProtectedHeader({ alg: 'ES256', kid: TEST_KEY, typ: 'at+jwt' })
        .setSubject(id)
        .setIssuer(ISSUER)
        .setAudience(ISSUER)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresInSeconds)
        .sign(privateKey),
    stop: () => new Promise<void>((closed) => void server.close(() => closed())),
  };
}

function spawnService(name: string, environment: Record<string, string>): { child: ChildProcess; output: string[] } {
  const main = resolve(import.meta.dirname, `../subgraphs/${name}/src/main.ts`);
  const { file, args } = dieWithParent({ file: process.execPath, args: [main] });
  const child = spawn(file, args, { env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...compileCache(), ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => void output.push(text.toString()));
  return { child, output };
}

/** Where compiled sources are kept from one process to the next, if they are. */
export function compileCache(): NodeJS.ProcessEnv {
  const folder = process.env['NODE_COMPILE_CACHE'];
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((exit) => child.once('exit', exit));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(timer);
}
