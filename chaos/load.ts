import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { AtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { recordEvents, type RunSql } from '@ates/shared-events/outbox';
import { taskAssignedV1, taskCompletedV1, taskCreatedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import pg from 'pg';
import { between, oneOf, randomFrom, type Random } from './random.ts';

export interface LoadOptions {
  readonly databaseUrl: string;
  readonly events: number;
  /** Events per second. */
  readonly rate: number;
  readonly seed: number;
}

const WRITERS = 8;
const TASKS_PER_WRITER = 60;
const EMPLOYEES = 100;
const EVENTS_MAX = 50;
const HOLD_MAX_MS = 800;
const RETRY_MS = 100;
const COMPLETED_SHARE = 0.06;
const HELD_SHARE = 0.03;
const ROLLED_BACK_SHARE = 0.03;
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';

interface Task {
  readonly id: string;
  readonly version: number;
  readonly assignmentNumber: number;
  readonly assigneeId: string | null;
}

/**
 * Writes tasks' events into the outbox as Tasks does, at a steady rate: transactions of 1 to 50 events, some held open for a while,
 * so that what was recorded first is not what commits first, some rolled back. What it counts as written, PostgreSQL has committed: where
 * the answer to a commit was lost it looks whether the events are there.
 */
export class Load {
  /** Events that are committed. */
  written = 0;
  /** Those of them that are to be posted. */
  writtenDue = 0;
  /** How many may be written for now. */
  quota = 0;
  /** Commits whose answer was lost, and what had become of them. */
  readonly unanswered = { committed: 0, lost: 0 };
  readonly counts = { transactions: 0, held: 0, rolledBack: 0 };
  readonly #options: LoadOptions;
  readonly #pool: pg.Pool;
  readonly #employees = Array.from({ length: EMPLOYEES }, () => randomUUID());
  #begun = 0;
  #number = 0;
  #stopped = false;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({ connectionString: options.databaseUrl, max: WRITERS });
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: WRITERS }, (_, index) => this.#write(randomFrom(this.#options.seed + index))));
    // Whoever waits for it hears of it.
    this.#running.catch(() => undefined);
  }

  /** Until all is written, or `stop` was called. */
  async finished(): Promise<void> {
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#pool.end();
  }

  /** One writer: its tasks are nobody else's, so it needs no lock to know their versions. */
  async #write(random: Random): Promise<void> {
    const { events: total, rate } = this.#options;
    const tasks = Array.from({ length: TASKS_PER_WRITER }, newTask);
    let due = performance.now();
    while (!this.#stopped && this.written < total) {
      const room = Math.min(this.quota, total) - this.#begun;
      if (room <= 0) {
        await delay(20);
        due = performance.now();
        continue;
      }
      const size = Math.min(room, sizeOf(random));
      this.#begun += size;
      const waitMs = due - performance.now();
      if (waitMs > 0) await delay(waitMs);
      const { events, after } = this.#draft(random, tasks, size);
      const isCommitted = await this.#commit(events, { holdMs: random() < HELD_SHARE ? between(random, 50, HOLD_MAX_MS) : 0, rollBack: random() < ROLLED_BACK_SHARE });
      if (isCommitted) {
        for (const [place, task] of after) tasks[place] = task;
        this.written += size;
        this.writtenDue += events.filter(({ type }) => type !== 'task.created').length;
      } else {
        this.#begun -= size;
      }
      // What an outage held up is not made up for in a burst.
      due = Math.max(due + (size * WRITERS * 1_000) / rate, performance.now() - 1_000);
    }
  }

  #draft(random: Random, tasks: readonly Task[], size: number): { events: AtesEvent[]; after: ReadonlyMap<number, Task> } {
    const after = new Map<number, Task>();
    const events: AtesEvent[] = [];
    for (let count = 0; count < size; count++) {
      const place = between(random, 0, tasks.length - 1);
      const { event, task } = this.#next(random, after.get(place) ?? (tasks[place] as Task));
      events.push(event);
      after.set(place, task);
    }
    return { events, after };
  }

  #next(random: Random, before: Task): { event: AtesEvent; task: Task } {
    const time = new Date();
    const at = time.toISOString();
    const occurrence = { time, traceparent: TRACEPARENT };
    const task = { ...before, version: before.version + 1 };
    const { id, version, assigneeId, assignmentNumber } = task;
    if (version === 1) return { event: this.#created(task.id, occurrence), task };
    if (assigneeId !== null && random() < COMPLETED_SHARE) {
      const event = newEvent(taskCompletedV1, id, { version, assignmentNumber, assigneeId, businessDay: at.slice(0, 10), completedAt: at }, occurrence);
      return { event, task: newTask() };
    }
    const assigned = { ...task, assignmentNumber: assignmentNumber + 1, assigneeId: oneOf(random, this.#employees) };
    const data = { version, assignmentNumber: assigned.assignmentNumber, assigneeId: assigned.assigneeId, previousAssigneeId: assigneeId, businessDay: at.slice(0, 10), assignedAt: at };
    return { event: newEvent(taskAssignedV1, id, data, occurrence), task: assigned };
  }

  /** By turns in the old version and in the new one: consumers read both. */
  #created(id: string, occurrence: { readonly time: Date; readonly traceparent: string }): AtesEvent {
    this.#number += 1;
    const task = { version: 1, number: this.#number, description: '', status: 'OPEN' as const, creatorId: this.#employees[0] as string, createdAt: occurrence.time.toISOString() };
    if (this.#number % 2 === 0) return newEvent(taskCreatedV1, id, { ...task, title: '[POPUG-1] Feed the parrot' }, occurrence);
    return newEvent(taskCreatedV2, id, { ...task, ticket: 'POPUG-1', title: 'Feed the parrot' }, occurrence);
  }

  /** @returns whether the events are committed; false only if they were rolled back on purpose */
  async #commit(events: readonly AtesEvent[], { holdMs, rollBack }: { readonly holdMs: number; readonly rollBack: boolean }): Promise<boolean> {
    for (let isUnanswered = false, isNew = true; ; isNew = false) {
      try {
        return await this.#withClient(async (client) => {
          if (!isNew && (await this.#look(client, events, isUnanswered))) return true;
          isUnanswered = false;
          await client.query('begin');
          await recordEvents(sqlOf(client), events);
          if (holdMs > 0) await delay(holdMs);
          this.counts.held += holdMs > 0 ? 1 : 0;
          this.counts.rolledBack += rollBack ? 1 : 0;
          isUnanswered = !rollBack;
          await client.query(rollBack ? 'rollback' : 'commit');
          this.counts.transactions += 1;
          return !rollBack;
        });
      } catch (error) {
        if (error instanceof HalfCommittedError || this.#stopped) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  /** Whether what may have been committed was. */
  async #look(client: pg.PoolClient, events: readonly AtesEvent[], isUnanswered: boolean): Promise<boolean> {
    const { rows } = await client.query<{ found: number }>('select count(*)::int as found from outbox where id = any($1::uuid[])', [events.map(({ id }) => id)]);
    const found = rows[0]?.found ?? 0;
    if (found !== 0 && found !== events.length) throw new HalfCommittedError(`${found} of ${events.length} events of one transaction are in the outbox`);
    if (isUnanswered) this.unanswered[found > 0 ? 'committed' : 'lost'] += 1;
    return found > 0;
  }

  async #withClient<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
    const client = await this.#pool.connect();
    let isBroken = true;
    try {
      const result = await work(client);
      isBroken = false;
      return result;
    } finally {
      client.release(isBroken);
    }
  }
}

class HalfCommittedError extends Error {
  override readonly name = 'HalfCommittedError';
}

function newTask(): Task {
  return { id: randomUUID(), version: 0, assignmentNumber: 0, assigneeId: null };
}

/** Mostly small, now and then a shuffle. */
function sizeOf(random: Random): number {
  const kind = random();
  if (kind < 0.5) return 1;
  return kind < 0.85 ? between(random, 2, 10) : between(random, 11, EVENTS_MAX);
}

function sqlOf(client: pg.PoolClient): RunSql {
  const run = async (text: string, params: readonly unknown[] = []) => (await client.query(text, [...params])).rows;
  return Object.assign(run, { later: async (text: string, params: readonly unknown[] = []) => void (await run(text, params)) });
}
