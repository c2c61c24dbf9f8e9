import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import type { SubgraphName } from '../scripts/stack-secrets.ts';
import { OperationError } from './errors.ts';
import { CONSUMING_SERVICES, databaseVariable, type Installation } from './installation.ts';

/** A session in a service's database, as the service's own role. */
export interface ServiceDatabase {
  readonly service: SubgraphName;
  rows<Row = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  /** One transaction: commits when the work resolves. */
  transaction<Result>(work: () => Promise<Result>): Promise<Result>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const UNDEFINED_TABLE = '42P01';
const WRONG_PASSWORD = '28P01';

/** @throws OperationError when it is not known where it is, or it does not answer */
export async function openDatabase(installation: Installation, service: SubgraphName): Promise<ServiceDatabase> {
  const url = installation.databaseUrl(service);
  if (url === undefined) throw new OperationError(`It is not known where ${service}'s database is: set ${databaseVariable(service)} as well.`);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, application_name: 'operator' });
  let lost: Error | undefined;
  client.on('error', (error) => (lost = error));
  await client.connect().catch((error: unknown) => {
    throw new OperationError(`${service}'s database at ${new URL(url).host} ${whyNot(error)}`, { cause: error });
  });
  const query = async <Row>(text: string, params: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await client.query(text, [...params])).rows as Row[];
    } catch (error) {
      if ((error as { code?: unknown }).code === UNDEFINED_TABLE) throw new OperationError(`${service}'s database lacks a table (${(error as Error).message}): start ${service} in this version, it brings its tables up to date.`, { cause: error });
      if (lost !== undefined) throw new OperationError(`The connection to ${service}'s database was lost (${lost.message}). Run this again.`, { cause: error });
      throw error;
    }
  };
  // One after the other: a session does one thing at a time.
  let before: Promise<unknown> = Promise.resolve();
  const rows = <Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> => {
    const answer = before.then(() => query<Row>(text, params));
    before = answer.catch(() => {});
    return answer;
  };
  return {
    service,
    rows,
    transaction: async (work) => {
      await rows('begin');
      try {
        const result = await work();
        await rows('commit');
        return result;
      } catch (error) {
        await rows('rollback').catch(() => []);
        throw error;
      }
    },
    close: () => client.end().catch(() => {}),
  };
}

function whyNot(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  if (code === WRONG_PASSWORD) return `refuses the role or its password: look at its URL.`;
  return `does not answer (${message || code}). Does PostgreSQL run there?`;
}

/** Does the work with a session in each of these services' databases: all that consume and that are known, or the one. */
export async function withDatabases<Result>(
  installation: Installation,
  services: readonly SubgraphName[],
  work: (databases: readonly ServiceDatabase[]) => Promise<Result>,
): Promise<Result> {
  const opened = await Promise.allSettled(services.map((service) => openDatabase(installation, service)));
  const databases = opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  try {
    const failed = opened.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return await work(databases);
  } finally {
    await Promise.all(databases.map((database) => database.close()));
  }
}

/** The consuming services whose databases are known. @throws OperationError when it is none */
export function knownConsumers(installation: Installation): SubgraphName[] {
  const known = CONSUMING_SERVICES.filter((service) => installation.databaseUrl(service) !== undefined);
  if (known.length === 0) throw new OperationError(`It is not known where the services' databases are: set ${CONSUMING_SERVICES.map(databaseVariable).join(', ')} or some of them.`);
  return known;
}

/** @throws OperationError when it is not known where it is, or it does not answer */
export async function openNats(installation: Installation): Promise<NatsConnection> {
  if (installation.natsUrl === undefined) throw new OperationError('It is not known where NATS is: set NATS_URL as well (nats://user:password@host:port, a user who may do everything).');
  const { host, username, password } = new URL(installation.natsUrl);
  const user = username === '' ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) };
  return connect({ servers: host, name: 'operator', timeout: CONNECT_TIMEOUT_MS, maxReconnectAttempts: -1, ...user }).catch((error: unknown) => {
    throw new OperationError(`NATS at ${host} can't be used (${(error as Error).message}). Does it run there, and is the user in NATS_URL right?`, { cause: error });
  });
}
