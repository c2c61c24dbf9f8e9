import { randomInt } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { definitionOf } from '@ates/shared-events/catalog';
import { assertContract } from '@ates/shared-events/event';
import { v7 as uuidv7 } from 'uuid';
import type { Database, Sql } from '@ates/service-kit/database';
import { forgetOldKeys } from '@ates/service-kit/idempotency';
import { eventually } from '../../../scripts/test-service.ts';
import { shuffleTasks } from '../src/shuffle.ts';
import { completeTask, createTask, type TaskCommandOptions } from '../src/task-commands.ts';
import { openMarketDatabase, type MarketDatabase } from './market-database.ts';

const MANAGER = uuidv7();
const AT = new Date('2026-11-20T10:15:00Z');

describe('a shuffle', () => {
  let market: MarketDatabase;
  let options: TaskCommandOptions;
  beforeAll(async () => {
    market = await openMarketDatabase();
    options = { database: market.database, timeZone: 'UTC', clock: () => AT, random: (limit) => randomInt(limit) };
  });
  afterEach(() => market.clear());
  afterAll(() => market?.close());

  const make = async (count: number) => Promise.all(Array.from({ length: count }, (_, index) => createTask(options, MANAGER, { title: `Task ${index}`, description: '' })));
  const events = (type: string) =>
    market.database.sql<{ id: string; aggregate_id: string; version: number; dataschema: string; traceparent: string; data: any }>('select * from outbox where type = $1 order by seq', [type]);
  /** Keeps a task's row, and with it whatever wants it, until the returned function is called. */
  const hold = async (taskId: string): Promise<() => Promise<void>> => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const { promise: held, resolve: holds } = Promise.withResolvers<void>();
    const holding = market.database.sqlTransaction(async (sql) => {
      await sql('select from task_holders where task_id = $1 for update', [taskId]);
      holds();
      await released;
    });
    await held;
    return async () => {
      release();
      await holding;
    };
  };
  const waiting = (count: number) =>
    eventually(async () => (await market.database.sql('select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()')).length === count);

  test('gives each open task to the employee drawn for it, with its event, its row and a summary, all under one shuffleId', async () => {
    const employees = [uuidv7(), uuidv7(), uuidv7()].toSorted();
    await market.employees(...employees);
    const made = (await make(6)).toSorted((one, other) => (one.id < other.id ? -1 : 1));
    await completeTask(options, made[5]?.assigneeId as string, made[5]?.id as string);
    const draws = [2, 0, 1, 1, 0];
    expect(await shuffleTasks({ ...options, random: () => draws.shift() ?? -1 }, MANAGER)).toBe(5);
    const expected = [2, 0, 1, 1, 0].map((draw) => employees[draw]);
    const holders = await market.database.sql<{ task_id: string; assignee_id: string; assignment_number: number; version: number }>(`select * from task_holders where status = 'OPEN' order by task_id`);
    expect(holders.map(({ assignee_id }) => assignee_id)).toEqual(expected);
    expect(holders.every(({ assignment_number, version }) => assignment_number === 2 && version === 3)).toBe(true);
    const [summary, ...more] = await events('tasks.shuffled');
    expect(more).toEqual([]);
    expect(summary?.data).toEqual({ version: 1, shuffledBy: MANAGER, businessDay: '2026-11-20', assigned: 5, employees: 3, shuffledAt: AT.toISOString() });
    const told = (await events('task.assigned')).filter(({ data }) => data.shuffleId === summary?.aggregate_id);
    expect(told.map(({ aggregate_id, data }) => [aggregate_id, data])).toEqual(
      made.slice(0, 5).map(({ id, assigneeId }, index) => [
        id,
        { version: 3, assignmentNumber: 2, assigneeId: expected[index], previousAssigneeId: assigneeId, businessDay: '2026-11-20', assignedAt: AT.toISOString(), shuffleId: summary?.aggregate_id },
      ]),
    );
    for (const { dataschema, data } of [...told, summary as (typeof told)[number]]) assertContract(definitionOf(dataschema), data);
    expect(new Set(told.map(({ traceparent }) => traceparent))).toEqual(new Set([summary?.traceparent]));
    expect(await market.database.sql('select task_id, assignee_id from assignments where assignment_number = 2 order by task_id')).toEqual(holders.map(({ task_id, assignee_id }) => ({ task_id, assignee_id })));
  });

  test('of no task, or with nobody to take one, assigns nothing and says so', async () => {
    await make(2);
    expect(await shuffleTasks(options, MANAGER)).toBe(0);
    await market.database.sql('delete from task_holders');
    await market.employees(uuidv7());
    expect(await shuffleTasks(options, MANAGER)).toBe(0);
    expect(await events('tasks.shuffled')).toEqual([]);
  });

  test('pressed while another one runs is a conflict; pressed again under the same key it waits, and gets the first answer', async () => {
    await market.employees(uuidv7());
    const made = await make(3);
    const release = await hold(made[1]?.id as string);
    const first = shuffleTasks(options, MANAGER, 'monday');
    await waiting(1);
    for (let press = 0; press < 5; press++) await expect(shuffleTasks(options, MANAGER)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('right now') });
    const repeated = shuffleTasks(options, MANAGER, 'monday');
    await waiting(2);
    await release();
    expect(await Promise.all([first, repeated])).toEqual([3, 3]);
    expect(await events('tasks.shuffled')).toHaveLength(1);
    expect(await shuffleTasks(options, MANAGER)).toBe(3);
  });

  test('waits, by a conflict, until what was assigned before is published but for a rest', async () => {
    await market.employees(uuidv7());
    await make(1);
    await market.database.sql(
      `insert into outbox (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data) select uuidv7(), uuidv7(), 1, 'test', 'test.v1', now(), '', '{}' from generate_series(1, 10000)`,
    );
    await expect(shuffleTasks(options, MANAGER)).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('few seconds') });
    await market.database.sql(`update outbox set stream_seq = seq where type = 'test'`);
    expect(await shuffleTasks(options, MANAGER)).toBe(1);
  });

  test('sees a completion that was first, and takes the task from one that comes later: never both', async () => {
    await market.employees(uuidv7(), uuidv7());
    const [first, later] = await make(2);
    if (first === undefined || later === undefined) throw new Error('two tasks were made');
    // The completion holds the row when the shuffle comes to it.
    const release = await hold(first.id);
    const completion = completeTask(options, first.assigneeId as string, first.id);
    await waiting(1);
    const shuffle = shuffleTasks({ ...options, random: (limit) => limit - 1 }, MANAGER);
    await waiting(2);
    await release();
    await completion;
    expect(await shuffle).toBe(1);
    const history = (await market.database.sql<{ type: string }>('select type from outbox where aggregate_id = $1 order by seq', [first.id])).map(({ type }) => type);
    expect(history).toEqual(['task.created', 'task.assigned', 'task.completed']);
    const [{ assignee_id: holder } = { assignee_id: '' }] = await market.database.sql<{ assignee_id: string }>('select assignee_id from task_holders where task_id = $1', [later.id]);
    const loser = (await market.database.sql<{ user_id: string }>('select user_id from user_copies where user_id <> $1', [holder]))[0]?.user_id as string;
    await expect(completeTask(options, loser, later.id)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  });

  test('leaves out nothing that was open when it began, whatever is made meanwhile and however many', async () => {
    await market.employees(uuidv7());
    const [last] = await make(1);
    const id = 'ffffffff-ffff-7fff-8fff-ffffffffffff';
    await market.database.sql(`update outbox_versions set aggregate_id = $2 where aggregate_id = $1`, [last?.id, id]);
    await market.database.sql('with moved as (update task_holders set task_id = $2 where task_id = $1) update tasks set id = $2 where id = $1', [last?.id, id]);
    // Between the count of the open tasks and their assignment, by other sessions.
    const meanwhile = 150;
    const makingBefore = (sql: Sql): Sql => {
      const run = async <Row>(text: string, params?: readonly unknown[]): Promise<Row[]> => {
        if (text.includes('for update')) await make(meanwhile);
        return sql<Row>(text, params);
      };
      return Object.assign(run, { later: sql.later });
    };
    const database: Database = { ...market.database, sqlTransaction: (work) => market.database.sqlTransaction((sql) => work(makingBefore(sql))) };
    expect(await shuffleTasks({ ...options, database }, MANAGER)).toBe(meanwhile + 1);
    expect(await market.database.sql('select assignment_number from task_holders where task_id = $1', [id])).toEqual([{ assignment_number: 2 }]);
  });

  test('leaves out what is made while it runs: that has had its own draw', async () => {
    await market.employees(uuidv7());
    const made = await make(2);
    const release = await hold(made[0]?.id as string);
    const shuffle = shuffleTasks(options, MANAGER);
    await waiting(1);
    const [meanwhile] = await make(1);
    await release();
    expect(await shuffle).toBe(2);
    expect(await market.database.sql('select from assignments where task_id = $1', [meanwhile?.id])).toHaveLength(1);
  });

  test('key is kept for 24 hours and then forgotten; under another’s key nothing is found', async () => {
    await market.employees(uuidv7());
    await make(1);
    await shuffleTasks(options, MANAGER, 'monday');
    await shuffleTasks(options, uuidv7(), 'monday');
    expect(await events('tasks.shuffled')).toHaveLength(2);
    await market.database.sql(`update idempotency_keys set created_at = now() - interval '23 hours 59 minutes'`);
    await forgetOldKeys(market.database.sql);
    await shuffleTasks(options, MANAGER, 'monday');
    expect(await events('tasks.shuffled')).toHaveLength(2);
    await market.database.sql(`update idempotency_keys set created_at = now() - interval '24 hours 1 minute'`);
    await forgetOldKeys(market.database.sql);
    expect(await market.database.sql('select from idempotency_keys')).toEqual([]);
    await shuffleTasks(options, MANAGER, 'monday');
    expect(await events('tasks.shuffled')).toHaveLength(3);
  });
});
