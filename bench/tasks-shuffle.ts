import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents } from '@ates/shared-events/outbox';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { startStack, until, type Stack } from '../e2e/stack.ts';
import { assignableEmployees } from '../subgraphs/tasks/src/assignments.ts';
import { pickAssignee } from '../subgraphs/tasks/src/task.ts';
import { Market, TRACEPARENT } from './tasks-market.ts';
import type { Place } from './tasks-place.ts';

export interface ShuffleOptions {
  readonly place: Place;
  /** How many open tasks, ascending. */
  readonly sizes: readonly number[];
  /** By row, in a loop. */
  readonly naiveTasks: number;
  readonly say: (text: string) => void;
}

interface Round {
  readonly tasks: number;
  /** From the press of the button to the gateway's answer. */
  readonly answeredMs: number;
  /** From the answer until the last fee is posted. */
  readonly postedMs: number;
  /** By which the memory of Tasks' process had grown, at its peak until the answer, and until everything was told; in bytes. */
  readonly grownByAnswer: number;
  readonly grown: number;
}

interface Goal {
  readonly answeredMs: number;
  readonly postedMs: number;
}

const EMPLOYEES = 1_000;
const MANAGER = 'manager@ates.test';
const GOALS: ReadonlyMap<number, Goal> = new Map([
  [10_000, { answeredMs: 500, postedMs: 3_000 }],
  [100_000, { answeredMs: 4_000, postedMs: 30_000 }],
]);
const MEMORY_GOAL_MB = 150;
const MANY = 50_000;
const ROUNDS = { few: 3, many: 2 } as const;
const POLL_MS = 50;
const POSTED_WITHIN_MS = 240_000;
const READY_WITHIN_MS = 30_000;
const MB = 1_000_000;

/** The whole stack, with real durability: how long a shuffle takes until it is answered, and until every fee is posted. @throws when anything is lost */
export async function measureShuffles({ place, sizes, naiveTasks, say }: ShuffleOptions): Promise<void> {
  const starting = startStack({ dataDir: join(place.folder, 'stack') });
  place.stopAtEnd(starting);
  const stack = await starting;
  const market = await Market.open(stack, createLogger('bench', process.env['LOG_LEVEL'] ?? 'warn'));
  try {
    say(`the stack is ready after ${(stack.startMs / 1_000).toFixed(1)} s`);
    await market.hire(EMPLOYEES);
    await until('all employees are known', READY_WITHIN_MS, async () => (await market.employees()) >= EMPLOYEES);
    const rounds: Round[] = [];
    for (const [index, tasks] of sizes.entries()) {
      const startedAt = performance.now();
      await market.add(tasks - (sizes[index - 1] ?? 0));
      await market.settled();
      await market.tidy();
      say(`${tasks} open tasks, priced and charged; that took ${((performance.now() - startedAt) / 1_000).toFixed(0)} s`);
      await restartTasks(stack);
      for (let round = tasks > MANY ? ROUNDS.many : ROUNDS.few; round > 0; round -= 1) {
        const measured = await shuffleOnce(stack, market, tasks);
        rounds.push(measured);
        say(`${tasks} tasks: answered after ${Math.round(measured.answeredMs)} ms, posted ${(measured.postedMs / 1_000).toFixed(1)} s later, +${Math.round(measured.grown / MB)} MB; nothing is lost`);
      }
    }
    const naiveMs = await shuffleByRow(market.tasks, naiveTasks);
    report(rounds, naiveMs / naiveTasks);
  } catch (error) {
    console.error(stack.logTail());
    throw error;
  } finally {
    await market.close();
  }
}

/** A process that has not yet had to do with so many tasks: what it grows by is seen, then. */
async function restartTasks(stack: Stack): Promise<void> {
  const { tasks: before } = stack.partPids();
  stack.kill('tasks');
  await until('tasks runs again', READY_WITHIN_MS, () => stack.partPids().tasks !== before);
  const token = await stack.signIn(MANAGER);
  // Refused for any other reason as long as it doesn't know who may do what.
  const probe = 'mutation { assignTask(id: "01a1f8f1-0000-7000-8000-000000000001", assigneeId: "01a1f8f1-0000-7000-8000-000000000001") { id } }';
  await until('tasks works again', READY_WITHIN_MS, async () => (await stack.gql(probe, {}, token)).errors?.[0]?.extensions?.code === 'NOT_FOUND');
}

/** @throws when it is refused, or when something is lost or posted twice */
async function shuffleOnce(stack: Stack, market: Market, tasks: number): Promise<Round> {
  const token = await stack.signIn(MANAGER);
  const before = await market.posted();
  const memory = watchMemory(stack.partPids().tasks);
  const startedAt = performance.now();
  const { data, errors } = await stack.gql<{ assignTasks: { assigned: number } }>('mutation { assignTasks { assigned } }', {}, token);
  const answeredAt = performance.now();
  const grownByAnswer = memory.grown();
  if (data?.assignTasks.assigned !== tasks) throw new Error(`${tasks} tasks were to be assigned, the answer after ${Math.round(answeredAt - startedAt)} ms was ${JSON.stringify({ data, errors })}`);
  while ((await market.posted()) < before + tasks) {
    if (performance.now() - answeredAt > POSTED_WITHIN_MS) throw new Error(`not all fees are posted within ${POSTED_WITHIN_MS / 1_000} s`);
    await delay(POLL_MS);
  }
  const postedAt = performance.now();
  await market.settled();
  const grown = memory.grown();
  memory.stop();
  const { assignments, fees, sum } = await market.books();
  if (fees !== assignments || sum !== 0) throw new Error(`The books are wrong: ${assignments} assignments, ${fees} fees, and all entries together are ${sum} cents`);
  return { tasks, answeredMs: answeredAt - startedAt, postedMs: postedAt - answeredAt, grownByAnswer, grown };
}

/** By how much the memory of a process grows from here on, at its peak, which the kernel keeps; where it can't begin anew it is looked at often. */
function watchMemory(pid: number): { grown(): number; stop(): void } {
  const read = (field: 'VmRSS' | 'VmHWM'): number => 1_024 * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  let isReset = true;
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    isReset = false;
  }
  const before = read('VmRSS');
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, read('VmRSS'))), POLL_MS).unref();
  return { grown: () => Math.max(peak, isReset ? read('VmHWM') : 0) - before, stop: () => clearInterval(timer) };
}

class RollBack extends Error {}

/** What the shuffle is measured against: the same writes row by row, undone in the end. @returns ms */
async function shuffleByRow(database: Database, count: number): Promise<number> {
  let ms = 0;
  const work = database.sqlTransaction(async (sql) => {
    const employeeIds = await assignableEmployees(sql);
    const startedAt = performance.now();
    const tasks = await sql<{ task_id: string; version: number; assignment_number: number; assignee_id: string }>(
      `select task_id, version, assignment_number, assignee_id from task_holders where status = 'OPEN' order by task_id limit $1 for update`,
      [count],
    );
    for (const { task_id: id, assignee_id: previousAssigneeId, ...before } of tasks) {
      const [version, assignmentNumber, at] = [before.version + 1, before.assignment_number + 1, new Date()];
      const day = at.toISOString().slice(0, 10);
      const assigneeId = pickAssignee(employeeIds, randomInt) ?? '';
      await sql('update task_holders set version = $2, assignee_id = $3, assignment_number = $4 where task_id = $1', [id, version, assigneeId, assignmentNumber]);
      await sql('insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at) values ($1, $2, $3, $4, $5)', [id, assignmentNumber, assigneeId, day, at]);
      const data = { version, assignmentNumber, assigneeId, previousAssigneeId, businessDay: day, assignedAt: at.toISOString() };
      await recordEvents(sql, [newEvent(taskAssignedV1, id, data, { time: at, traceparent: TRACEPARENT })]);
    }
    ms = performance.now() - startedAt;
    throw new RollBack();
  });
  await work.catch((error: unknown) => {
    if (!(error instanceof RollBack)) throw error;
  });
  return ms;
}

function report(rounds: readonly Round[], naiveMsPerTask: number): void {
  console.log(`\nShuffles among ${EMPLOYEES} employees, all services running, PostgreSQL and NATS as they are by default`);
  const rows = [...Map.groupBy(rounds, ({ tasks }) => tasks)].flatMap(([tasks, ofSize]) => {
    const goal = GOALS.get(tasks);
    const medians = { answeredMs: median(ofSize, 'answeredMs'), postedMs: median(ofSize, 'postedMs'), grownByAnswer: median(ofSize, 'grownByAnswer'), grown: median(ofSize, 'grown') };
    return [
      ...ofSize.map((round, index) => row(tasks, `round ${index + 1}`, round)),
      row(tasks, 'median', medians),
      ...(goal === undefined ? [] : [row(tasks, 'goal', { ...goal, grownByAnswer: MEMORY_GOAL_MB * MB, grown: MEMORY_GOAL_MB * MB })]),
    ];
  });
  console.table(rows);
  for (const [tasks, ofSize] of Map.groupBy(rounds, (round) => round.tasks)) {
    const perTask = median(ofSize, 'answeredMs') / tasks;
    console.log(`row by row ${naiveMsPerTask.toFixed(3)} ms a task, ${((naiveMsPerTask * tasks) / 1_000).toFixed(1)} s for ${tasks}; in sets ${perTask.toFixed(4)} ms with the way through the gateway: ${(naiveMsPerTask / perTask).toFixed(0)} times as fast`);
  }
}

function row(tasks: number, what: string, { answeredMs, postedMs, grownByAnswer, grown }: Omit<Round, 'tasks'>): Record<string, string | number> {
  return {
    tasks,
    what,
    'answered ms': Math.round(answeredMs),
    'posted s later': Math.round(postedMs / 100) / 10,
    'memory +MB by the answer': Math.round(grownByAnswer / MB),
    'memory +MB': Math.round(grown / MB),
  };
}

function median(rounds: readonly Round[], field: Exclude<keyof Round, 'tasks'>): number {
  const sorted = rounds.map((round) => round[field]).sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
