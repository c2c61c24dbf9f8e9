import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger, type Logger } from '@ates/service-kit/logger';
import { connectNats } from '@ates/service-kit/nats';
import { followRevocations } from '@ates/service-kit/revocations';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import { composeSupergraph } from '../../../rover/compose.ts';
import { natsUrl } from '../../../scripts/embedded-nats.ts';
import { announceTestRevocations, startTestNats, TEST_NATS_PASSWORD, type TestRevocations } from '../../../scripts/test-nats.ts';
import { readConfig } from '../../src/config.ts';
import { startGateway } from '../../src/gateway.ts';
import { eventually } from './eventually.ts';
import { LIBRARY, SCHEMAS, startLibrarySubgraph, type LibrarySubgraph, type RunningSubgraph } from './library.ts';
import { AUDIENCE, ISSUER, KEY_ID, startTokenIssuer, type TokenIssuer } from './token-issuer.ts';

export interface GraphQLAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // oxlint-disable-next-line no-explicit-any -- answers of many shapes, looked into by tests
  readonly data: any;
  readonly errors: { message: string; path?: (string | number)[]; extensions: Record<string, unknown> }[] | undefined;
}

export interface Stack {
  readonly issuer: TokenIssuer;
  readonly subgraphs: Record<LibrarySubgraph, RunningSubgraph>;
  readonly url: string;
  /** What the gateway and the subgraphs are told of revocations. */
  readonly revocations: TestRevocations;
  readonly supergraphFile: string;
  /** What the gateway logged, parsed. */
  readonly logs: Record<string, unknown>[];
  /** A POST of a GraphQL request; `authorization` null sends none, by default Ann's. */
  query(query: string, options?: QueryOptions): Promise<GraphQLAnswer>;
  /** A POST of any body. */
  post(body: string, headers?: Record<string, string>): Promise<GraphQLAnswer>;
  /** A graphql-ws client with Ann's token, or other connection parameters. */
  socketClient(connectionParams?: Record<string, unknown>): Promise<Client>;
  /** A supergraph of the library's subgraphs, with schemas of the test's own in place of theirs. */
  compose(schemas?: Partial<Record<string, string>>): Promise<string>;
  stopGateway(): Promise<void>;
  stop(): Promise<void>;
}

export interface QueryOptions {
  readonly variables?: Record<string, unknown>;
  readonly operationName?: string;
  readonly authorization?: string | null;
  readonly headers?: Record<string, string>;
}

const SECRETS: Record<LibrarySubgraph, string> = { books: 'secret-of-the-books', reviews: 'secret-of-the-reviews', readers: 'secret-of-the-readers' };

/**
 * The library behind a gateway, all in this process on free ports, with a real token issuer and a real NATS; `otherUrls` replace
 * subgraphs, `environment` what the gateway is told.
 */
export async function startStack(otherUrls: Partial<Record<LibrarySubgraph, string>> = {}, environment: Record<string, string> = {}): Promise<Stack> {
  const [issuer, broker] = await Promise.all([startTokenIssuer(), startRevocations()]);
  const parts = { jwksUrl: issuer.jwksUrl, revocations: broker.ofSubgraphs };
  const started = await Promise.all(LIBRARY.map((name) => startLibrarySubgraph(name, { ...parts, secret: SECRETS[name] })));
  const subgraphs = Object.fromEntries(started.map((subgraph) => [subgraph.name, subgraph])) as Record<LibrarySubgraph, RunningSubgraph>;
  const folder = await mkdtemp(join(tmpdir(), 'gateway-test-'));
  const compose = (schemas: Partial<Record<string, string>> = {}) => composeIn(folder, schemas);
  const supergraphFile = join(folder, 'supergraph.graphql');
  await writeFile(supergraphFile, await compose());

  const config = readConfig({
    SUPERGRAPH_FILE: supergraphFile,
    SUBGRAPH_URLS: started.map(({ name, url }) => `${name}=${otherUrls[name] ?? url}`).join(','),
    SUBGRAPH_SECRETS: LIBRARY.map((name) => `${name}=${SECRETS[name]}`).join(','),
    NATS_URL: broker.gatewayUrl,
    JWKS_URL: issuer.jwksUrl,
    TOKEN_ISSUER: ISSUER,
    TOKEN_AUDIENCE: AUDIENCE,
    ...environment,
  });
  const { logger, logs } = recordingLogger();
  const steps: (() => unknown)[] = [];
  const { port } = await startGateway({ ...config, port: 0 }, logger, { onStop: (_step, stop) => void steps.push(stop) });
  const url = `http://127.0.0.1:${port}/graphql`;
  const withoutNats = environment['NATS_URL'] !== undefined;
  await eventually('revocations are heard', async () => broker.ofSubgraphs.isCurrent() && (withoutNats || (await checksOf(url))['revocations'] === 'ok'));
  const ann = await issuer.bearer();
  const clients: Client[] = [];
  const stopGateway = async (): Promise<void> => {
    for (const stop of steps.splice(0).reverse()) await stop();
  };
  const post = async (body: string, headers: Record<string, string> = {}) =>
    read(await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } }));

  return {
    issuer,
    subgraphs,
    revocations: broker.revocations,
    url,
    supergraphFile,
    logs,
    post,
    query: (query, { variables, operationName, authorization = ann, headers } = {}) =>
      post(JSON.stringify({ query, variables, operationName }), { ...(authorization !== null && { authorization }), ...headers }),
    socketClient: async (connectionParams = { authorization: ann }) => {
      const client = createClient({ url: url.replace('http', 'ws'), webSocketImpl: WebSocket, connectionParams, lazy: true, retryAttempts: 0 });
      clients.push(client);
      return client;
    },
    compose,
    stopGateway,
    stop: async () => {
      for (const client of clients) await client.dispose();
      await stopGateway();
      await Promise.all(started.map((subgraph) => subgraph.stop()));
      await Promise.all([issuer.stop(), broker.stop()]);
      await rm(folder, { recursive: true });
    },
  };
}

/** A broker on which revocations are told, and the feed of the subgraphs, which hear them as one of its users. */
async function startRevocations() {
  const nats = await startTestNats();
  const logger = createLogger('test', 'silent');
  const urlOf = (user: string): string => natsUrl({ port: nats.port, user, password: TEST_NATS_PASSWORD });
  const [telling, hearing] = await Promise.all([connectNats(nats.url, 'test', logger), connectNats(urlOf('tasks'), 'test', logger)]);
  const revocations = announceTestRevocations(telling, [KEY_ID]);
  const ofSubgraphs = followRevocations({ nats: hearing, logger });
  return {
    revocations,
    ofSubgraphs,
    gatewayUrl: urlOf('gateway'),
    stop: async () => {
      ofSubgraphs.stop();
      await revocations.stop();
      await Promise.all([telling.close(), hearing.close()]);
      await nats.stop();
    },
  };
}

async function checksOf(url: string): Promise<Record<string, string>> {
  const response = await fetch(url.replace('/graphql', '/readyz'));
  return ((await response.json()) as { checks: Record<string, string> }).checks;
}

async function composeIn(folder: string, schemas: Partial<Record<string, string>>): Promise<string> {
  const all: Record<string, string> = { ...SCHEMAS };
  for (const [name, schema] of Object.entries(schemas)) all[name] = schema as string;
  const entries = Object.keys(all).map((name) => `  ${name}:\n    routing_url: http://127.0.0.1:1/${name}\n    schema: { file: ${name}.graphql }\n`);
  await Promise.all(Object.entries(all).map(([name, schema]) => writeFile(join(folder, `${name}.graphql`), schema)));
  await writeFile(join(folder, 'supergraph.yaml'), `federation_version: =2.14.4\nsubgraphs:\n${entries.join('')}`);
  return composeSupergraph(join(folder, 'supergraph.yaml'));
}

async function read(response: Response): Promise<GraphQLAnswer> {
  const text = await response.text();
  const parsed = JSON.parse(text) as Pick<GraphQLAnswer, 'data' | 'errors'>;
  return { status: response.status, headers: response.headers, text, data: parsed.data, errors: parsed.errors };
}

function recordingLogger(): { logger: Logger; logs: Record<string, unknown>[] } {
  const logs: Record<string, unknown>[] = [];
  const logger = createLogger('gateway', 'debug', { write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>) });
  return { logger, logs };
}
