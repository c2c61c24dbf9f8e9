import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openDatabase } from '@ates/service-kit/database';
import { randomFrom } from '../chaos/random.ts';
import { startStack, type Stack } from '../e2e/stack.ts';
import { findInstallation } from '../operations/installation.ts';
import { superuserUrl } from '../scripts/embedded-postgres.ts';
import { urlOfDatabase } from '../scripts/provision-databases.ts';
import { provideSecrets } from '../scripts/stack-secrets.ts';
import { checkRoom, fillModel } from './analytics-load.ts';
import { questions, readSamples, type Question } from './analytics-questions.ts';
import { logger } from './ledger-database.ts';
import { quantile, spread, verdict } from './ledger-figures.ts';
import type { Place } from './tasks-place.ts';

export interface GatewayOptions {
  readonly place: Place;
  readonly entries: number;
  readonly employees: number;
  readonly days: number;
  /** Of each kind of question. */
  readonly draws: number;
  readonly kind: string;
  readonly seed: number;
  readonly say: (text: string) => void;
}

const ADMIN = 'admin@ates.test';
const GOAL_MS = 25;
const WARM_UP = 20;
const PING = '{ me { id } }';

/** The whole stack, its Analytics database filled: from sending an operation until its answer is read, one at a time. @throws when one is refused */
export async function measureGateway(options: GatewayOptions): Promise<void> {
  const { place, entries, draws, seed, say } = options;
  const starting = startStack({ dataDir: join(place.folder, 'stack') });
  place.stopAtEnd(starting);
  const stack = await starting;
  say(`the stack is ready after ${(stack.startMs / 1_000).toFixed(1)} s`);
  const url = findInstallation({ DATA_DIR: stack.dataDir }).databaseUrl('analytics') ?? '';
  const server = superuserUrl(Number(new URL(url).port), provideSecrets(stack.dataDir).postgresPassword);
  checkRoom(place.folder, entries, say);
  await fillModel({ ...options, adminUrl: urlOfDatabase(server, 'analytics'), folder: place.folder });
  const database = await openDatabase({ url, ownerUrl: null, entities: [], migrations: [], logger });
  const samples = await readSamples(database);
  await database.close();
  const kinds = [{ name: '(a query of Users alone)', query: PING, draw: () => ({ variables: {} }) }, ...questions(randomFrom(seed + 1), samples)];
  const rows: Record<string, string | number>[] = [];
  for (const kind of kinds.filter(({ name }) => name.includes(options.kind))) {
    // Tokens live for minutes.
    const token = await stack.signIn(ADMIN);
    await measureKind(stack, token, { kind, count: WARM_UP });
    const answers = await measureKind(stack, token, { kind, count: draws });
    rows.push({ kind: kind.name, draws, ...spread(answers), [`p99 ≤ ${GOAL_MS} ms`]: kind.query === PING ? '' : verdict(quantile(answers, 0.99) <= GOAL_MS) });
  }
  console.log(`\nThrough the gateway, as an admin over HTTP, the whole stack running and ${entries} entries, in ms; goal p99 ≤ ${GOAL_MS}`);
  console.table(rows);
}

async function measureKind(stack: Stack, token: string, { kind: { name, query, draw }, count }: { readonly kind: Question; readonly count: number }): Promise<number[]> {
  const answers: number[] = [];
  while (answers.length < count) {
    const { variables } = draw();
    const startedAt = performance.now();
    const { status, errors } = await stack.gql(query, variables, token);
    answers.push(performance.now() - startedAt);
    if (errors !== undefined) throw new Error(`${name}, ${JSON.stringify(variables)}: ${status} ${JSON.stringify(errors)}`);
  }
  return answers;
}
