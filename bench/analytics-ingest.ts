import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureStream } from '@ates/shared-events/streams';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { randomFrom } from '../chaos/random.ts';
import { dieWithParent } from '../scripts/die-with-parent.ts';
import { natsUrl } from '../scripts/embedded-nats.ts';
import { OPERATOR } from '../scripts/nats-access.ts';
import { announceTestRevocations, startTestNats, TEST_NATS_PASSWORD } from '../scripts/test-nats.ts';
import { startTestService, type TestService } from '../scripts/test-service.ts';
import { Events, publish, type Told } from './analytics-events.ts';
import { startLedgerServer } from './ledger-database.ts';
import { verdict } from './ledger-figures.ts';
import type { Place } from './tasks-place.ts';

export interface IngestOptions {
  readonly place: Place;
  /** About so many. */
  readonly events: number;
  readonly employees: number;
  readonly rebuild: boolean;
  readonly seed: number;
  readonly say: (text: string) => void;
}

const GOALS = { ingest: 5_000, rebuild: 20_000 } as const;
/** The key that tests' tokens are signed with. */
const TEST_KEY = 'test';
const POLL_MS = 25;
const PATIENCE_MS = 30_000;
const DONE = /^Done: (\d+) events? in ([\d.]+) s/m;

/** Streams that are full before the service starts: how fast it applies them, and how fast they are applied again. @returns whether nothing is lost or doubled */
export async function measureIngest(options: IngestOptions): Promise<boolean> {
  const { place, events: count, employees, seed, say } = options;
  await startLedgerServer(place);
  const starting = startTestNats();
  place.stopAtEnd(starting);
  const { port } = await starting;
  const nats = await connect({ servers: `127.0.0.1:${port}`, user: OPERATOR, pass: TEST_NATS_PASSWORD });
  place.stopAtEnd(Promise.resolve({ stop: () => nats.close() }));
  const told = await fillStreams(nats, new Events(randomFrom(seed), employees), count);
  say(`${told.events} events of ${told.users} employees are on the streams`);
  const revocations = announceTestRevocations(nats, [TEST_KEY]);
  place.stopAtEnd(Promise.resolve(revocations));
  // A NATS of its own starts with it, which nobody uses.
  const startingService = startTestService('analytics', { LOG_LEVEL: 'warn', NATS_URL: natsUrl({ port, user: 'analytics', password: TEST_NATS_PASSWORD }) });
  place.stopAtEnd(startingService);
  const service = await startingService;
  const perSecond = await applied(service, told.events);
  say('all of them are applied');
  const isWhole = await seeCounts(service, told);
  console.log(`\ningest: ${Math.round(perSecond)} events/s, from the streams by the service's consumers until committed (${told.events} events, fsync on; goal ${GOALS.ingest}): ${verdict(perSecond >= GOALS.ingest)}`);
  if (!options.rebuild) return isWhole;
  return (await measureRebuild(service, { told, port })) && isWhole;
}

async function fillStreams(nats: NatsConnection, events: Events, count: number): Promise<Told> {
  const manager = await jetstreamManager(nats);
  for (const producer of ['users', 'tasks', 'accounting'] as const) await ensureStream(manager, producer);
  await publish(nats, events.draw(count));
  return events.told;
}

/** Waits for all. @returns events/s from when the first were seen to be applied: the start of the process is not counted. @throws when nothing moves */
async function applied(service: TestService, count: number): Promise<number> {
  let first: { readonly at: number; readonly events: number } | undefined;
  let [movedAt, seen] = [performance.now(), 0];
  for (;;) {
    const [row] = await service.sql<{ events: number }>('select coalesce(sum(version), 0)::int as events from inbox_versions');
    const [now, events] = [performance.now(), row?.events ?? 0];
    if (events > 0) first ??= { at: now, events };
    if (first !== undefined && events >= count) return (count - first.events) / ((now - first.at) / 1_000);
    if (events > seen) [movedAt, seen] = [now, events];
    if (now - movedAt > PATIENCE_MS) throw new Error(`${seen} of ${count} events are applied, and nothing has moved for ${PATIENCE_MS / 1_000} s. ${await whyNot(service)}`);
    await delay(POLL_MS);
  }
}

async function whyNot(service: TestService): Promise<string> {
  const parked = await service.sql('select source, dataschema, reason, count(*)::int from parked_events group by 1, 2, 3 limit 3');
  return `The service says ${await (await fetch(`${service.url}/readyz`)).text()}; parked are, among others, ${JSON.stringify(parked)}`;
}

/** @returns whether the tables have what the events tell, once each */
async function seeCounts(service: TestService, told: Told): Promise<boolean> {
  const [found] = await service.sql<Omit<Told, 'events'> & { parked: number; completed: number; balances: string }>(
    `select (select count(*)::int from audit_entries) as entries, (select count(*)::int from completions) as completions, (select count(*)::int from user_copies) as users,
       (select count(*)::int from parked_events) as parked, (select sum(completed)::int from day_totals) as completed,
       (select sum(balance) from employees) - (select sum(amount) from audit_entries) as balances`,
  );
  const isRight = found?.entries === told.entries && found.completions === told.completions && found.completed === told.completions && found.users === told.users && found.parked === 0 && Number(found.balances) === 0;
  if (!isRight) console.error(`The read model is wrong: ${JSON.stringify(found)}, told were ${JSON.stringify(told)}`);
  return isRight;
}

/** The command itself, while the service runs and nothing else comes. @returns whether the new model is like the one before */
async function measureRebuild(service: TestService, { told, port }: { readonly told: Told; readonly port: number }): Promise<boolean> {
  const before = await digest(service);
  const startedAt = performance.now();
  const environment = { ANALYTICS_DATABASE_URL: service.database.url, NATS_URL: natsUrl({ port, user: OPERATOR, password: TEST_NATS_PASSWORD }) };
  const output = await runRebuild(environment);
  const seconds = (performance.now() - startedAt) / 1_000;
  const [, events = '0', within = 'NaN'] = DONE.exec(output) ?? [];
  const perSecond = Number(events) / Number(within);
  console.log(`rebuild: ${Math.round(perSecond)} events/s from its beginning to the switch (${events} events in ${within} s, the whole command ${seconds.toFixed(1)} s; goal ${GOALS.rebuild}): ${verdict(perSecond >= GOALS.rebuild)}`);
  console.log(output.trim());
  const after = await digest(service);
  const different = Object.keys(before).filter((table) => before[table] !== after[table]);
  if (different.length > 0) console.error(`These tables are not as they were: ${different.map((table) => `${table} ${before[table]} → ${after[table]}`).join(', ')}`);
  return different.length === 0 && Number(events) === told.events && (await seeCounts(service, told));
}

async function runRebuild(environment: NodeJS.ProcessEnv): Promise<string> {
  const { file, args } = dieWithParent({ file: process.execPath, args: [resolve(import.meta.dirname, '../operations/rebuild.ts'), 'analytics'] });
  const child = spawn(file, args, { env: { PATH: process.env['PATH'], ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((ended) => child.once('close', ended));
  if (code !== 0) throw new Error(`The rebuild ended with ${code}:\n${output}`);
  return output;
}

/** Rows of each table of the model, summed up; what is zero means the same as what is not there. */
async function digest(service: TestService): Promise<Record<string, string>> {
  const where: Readonly<Record<string, string>> = { month_totals: 'where red_change <> 0' };
  const tables = ['audit_entries', 'completions', 'task_copies', 'task_rewards', 'user_copies', 'employees', 'employee_days', 'day_totals', 'month_totals', 'day_tops', 'month_tops'];
  const sums: Record<string, string> = {};
  for (const table of tables) {
    const [row] = await service.sql<{ sum: string }>(`select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) as sum from ${table} as t ${where[table] ?? ''}`);
    sums[table] = row?.sum ?? '';
  }
  return sums;
}
