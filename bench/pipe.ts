import { randomUUID } from 'node:crypto';
import { mkdtempSync, chmodSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { cents } from '@ates/shared-events/cents';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { startRelay } from '@ates/shared-events/outbox-relay';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { startPostgres } from '../scripts/embedded-postgres.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { createTestDatabase, eventually, startTestService, type TestService } from '../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../subgraphs/accounting/migrations/2026-11-20-accounting.ts';
import { MIGRATIONS as ACCOUNTING_MIGRATIONS } from '../subgraphs/accounting/migrations/all.ts';
import { feeFor, type Posting } from '../subgraphs/accounting/src/ledger.ts';
import { lockAccounts, openAccounts, post } from '../subgraphs/accounting/src/posting.ts';
import { MIGRATIONS as TASKS_MIGRATIONS } from '../subgraphs/tasks/migrations/all.ts';
import { runNaively } from './naive-consumer.ts';

/**
 * The event pipe from the outbox of Tasks to posted ledger entries in one replica of Accounting: its real process, PostgreSQL with
 * fsync, JetStream on disk. In the same run: a naive consumer of the same events (one event, one ORM flush, one
 * transaction), and the limit: the same rows written in sets with no events at all.
 */
const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '40000' },
    naive: { type: 'string', default: '1500' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
  },
});
const TASKS = 2_000;
const EMPLOYEES = 100;
const CHUNK = 500;
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
const logger = createLogger('bench', process.env['LOG_LEVEL'] ?? 'silent');

/** Assignments of tasks to employees, by turns, each task's versions in order. */
class Shuffles {
  readonly employees = Array.from({ length: EMPLOYEES }, () => randomUUID());
  readonly #tasks = Array.from({ length: TASKS }, () => randomUUID());
  #count = 0;

  next(): AtesEvent {
    const task = this.#count % TASKS;
    const version = Math.floor(this.#count / TASKS) + 1;
    const assigneeId = this.employees[(this.#count * 7) % EMPLOYEES] as string;
    this.#count += 1;
    const now = new Date();
    const data = { version, assignmentNumber: version, assigneeId, previousAssigneeId: null, businessDay: '2026-11-20', assignedAt: now.toISOString() };
    return newEvent(taskAssignedV1, this.#tasks[task] as string, data, { time: now, traceparent: TRACEPARENT });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'ates-bench-'));
chmodSync(folder, 0o711);
const [port = 0] = await chooseFreePorts(1);
const postgres = await startPostgres({ dataDir: join(folder, 'postgres'), port, superuserPassword: 'bench', settings: { max_connections: '200' } });
process.env['ATES_TEST_POSTGRES_URL'] = postgres.superuserUrl;
try {
  await measure();
} finally {
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const tasksDatabase = await createTestDatabase('tasks');
  const tasks = await openDatabase({ ...tasksDatabase, entities: [], migrations: TASKS_MIGRATIONS, logger });
  const accounting = await startTestService('accounting', { LOG_LEVEL: 'warn' });
  const shuffles = new Shuffles();
  const relayOptions = { producer: 'tasks' as const, databaseUrl: tasksDatabase.url, nats: accounting.nats, logger };
  try {
    // Every task priced and every account opened before anything is measured.
    await fill(tasks, shuffles, TASKS);
    const warmUp = startRelay(relayOptions);
    await posted(accounting, TASKS);
    await warmUp.stop();

    const events = Number(options.events);
    await fill(tasks, shuffles, events);
    const startedAt = performance.now();
    const relay = startRelay(relayOptions);
    await posted(accounting, TASKS + events);
    const perSecond = events / ((performance.now() - startedAt) / 1_000);
    console.log(`sustained: ${perSecond.toFixed(0)} events/s, outbox to posted entry (${events} events; goal 4,000)`);

    const passedOn = await announced(accounting);
    console.log(`  and its own events of these published ${(passedOn / 1_000).toFixed(1)} s later`);
    const { latencies, commits } = await underLoad({ tasks, accounting, shuffles, rate: Number(options.rate), seconds: Number(options.seconds) });
    console.log(`at ${options.rate}/s: p50 ${at(latencies, 0.5)} ms, p99 ${at(latencies, 0.99)} ms, max ${at(latencies, 1)} ms (${latencies.length} events; goals 10 and 50); their own commits: p50 ${at(commits, 0.5)} ms, p99 ${at(commits, 0.99)} ms`);
    await relay.stop();

    const naive = await runNaively({ nats: accounting.nats, events: Number(options.naive), logger });
    console.log(`naive consumer: ${naive.toFixed(0)} events/s; the pipe is ${(perSecond / naive).toFixed(1)} times as fast (goal 10)`);
    const limit = await postInSets(events);
    console.log(`the same rows in sets, no events: ${limit.toFixed(0)} postings/s; the pipe reaches ${((100 * perSecond) / limit).toFixed(0)} %`);
  } finally {
    await accounting.stop();
    await tasks.close();
    await tasksDatabase.drop();
  }
}

async function fill(tasks: Database, shuffles: Shuffles, count: number): Promise<void> {
  for (let filled = 0; filled < count; filled += CHUNK) {
    const events = Array.from({ length: Math.min(CHUNK, count - filled) }, () => shuffles.next());
    await tasks.sqlTransaction((sql) => recordEvents(sql, events));
  }
}

async function posted(accounting: TestService, count: number): Promise<void> {
  await eventually(async () => {
    const [row] = await accounting.sql<{ entry_count: number }>(`select entry_count from accounts where id = '${COMPANY_ACCOUNT}'`);
    return (row?.entry_count ?? 0) >= count;
  }, 300_000);
}

/** Waits until Accounting's own outbox is empty. @returns how long, in ms */
async function announced(accounting: TestService): Promise<number> {
  const startedAt = performance.now();
  await eventually(async () => (await accounting.sql('select from outbox where stream_seq is null limit 1')).length === 0, 300_000);
  return performance.now() - startedAt;
}

interface Load {
  readonly tasks: Database;
  readonly accounting: TestService;
  readonly shuffles: Shuffles;
  readonly rate: number;
  readonly seconds: number;
}

/** One event per transaction, evenly over time; from its commit until the replica tells of the posted entry, and how long the commits took. In ms. */
async function underLoad({ tasks, accounting, shuffles, rate, seconds }: Load): Promise<{ latencies: number[]; commits: number[] }> {
  const sent = new Map<string, number>();
  const latencies: number[] = [];
  const live = accounting.nats.subscribe('live.accounting.entry_posted', {
    callback: (_error, message) => {
      const now = performance.now();
      for (const { taskId, description } of message.json<{ entries: { taskId: string; description: string }[] }>().entries) {
        const key = `${taskId} ${/assignment (\d+)/.exec(description)?.[1]}`;
        const sentAt = sent.get(key);
        if (sentAt !== undefined) latencies.push(now - sentAt);
        sent.delete(key);
      }
    },
  });
  const commits: number[] = [];
  const write = async (event: AtesEvent & { data: { assignmentNumber: number } }): Promise<void> => {
    const begunAt = performance.now();
    const key = `${event.subject} ${event.data.assignmentNumber}`;
    // Should the entry be there before the commit's answer is, it is at least not counted as later than it was.
    sent.set(key, begunAt);
    await tasks.sqlTransaction((sql) => recordEvents(sql, [event]));
    const committedAt = performance.now();
    commits.push(committedAt - begunAt);
    if (sent.has(key)) sent.set(key, committedAt);
  };
  const total = rate * seconds;
  const writing: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let count = 0; count < total; count++) {
    const due = startedAt + (count * 1_000) / rate;
    const early = due - performance.now();
    if (early > 0) await delay(early);
    const event = shuffles.next() as AtesEvent & { data: { assignmentNumber: number } };
    writing.push(write(event));
  }
  await Promise.all(writing);
  await eventually(() => latencies.length >= total, 60_000);
  live.unsubscribe();
  const ascending = (one: number, other: number) => one - other;
  return { latencies: latencies.sort(ascending), commits: commits.sort(ascending) };
}

function at(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1);
}

/** The limit: Accounting's own set-based posting, batch by batch, fed from memory. */
async function postInSets(count: number): Promise<number> {
  const fresh = await createTestDatabase('accounting');
  const database = await openDatabase({ ...fresh, entities: [], migrations: ACCOUNTING_MIGRATIONS, logger });
  const shuffles = new Shuffles();
  await database.sqlTransaction((sql) => openAccounts(sql, shuffles.employees));
  const price = { fee: cents(1_500), reward: cents(3_000) };
  const startedAt = performance.now();
  for (let done = 0; done < count; done += CHUNK) {
    const postings: Posting[] = Array.from({ length: CHUNK }, () => {
      const { subject, data } = shuffles.next() as Extract<AtesEvent, { dataschema: 'task.assigned.v1' }>;
      const assignment = { taskId: subject, assignmentNumber: data.assignmentNumber, employeeId: data.assigneeId, businessDay: data.businessDay, lateFor: null };
      return { ...feeFor(assignment, price, undefined), id: randomUUID(), traceparent: TRACEPARENT };
    });
    await database.sqlTransaction(async (sql) => {
      const accounts = await lockAccounts(sql, postings.map(({ employeeId }) => employeeId), postings.map(({ cause }) => cause));
      await post(sql, postings, accounts, new Date());
    });
  }
  const perSecond = count / ((performance.now() - startedAt) / 1_000);
  await database.close();
  await fresh.drop();
  return perSecond;
}
