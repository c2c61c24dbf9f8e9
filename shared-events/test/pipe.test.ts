import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { startNats, type RunningNats } from '../../scripts/embedded-nats.ts';
import { chooseFreePorts } from '../../scripts/free-ports.ts';
import { createTestDatabase, eventually, type TestDatabase } from '../../scripts/test-service.ts';
import type { PublishedAtesEvent } from '../src/catalog.ts';
import { newEvent } from '../src/event.ts';
import { startConsumer, type EventConsumer } from '../src/event-consumer.ts';
import { INBOX_TABLES } from '../src/inbox.ts';
import { OUTBOX_TABLE, recordEvents, type RunSql } from '../src/outbox.ts';
import { startRelay, type Relay } from '../src/outbox-relay.ts';
import { taskCompletedV1 } from '../src/task-events.ts';

const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';

/** Statements on a plain connection. */
function runIn(client: pg.PoolClient): RunSql {
  const run = async (text: string, params: readonly unknown[] = []) => (await client.query(text, [...params])).rows;
  return Object.assign(run, { later: async (text: string, params: readonly unknown[] = []) => void (await run(text, params)) });
}

describe('the event pipe, on a real PostgreSQL and a real NATS', () => {
  let database: TestDatabase;
  let pool: pg.Pool;
  let port: number;
  let nats: RunningNats;
  let connection: NatsConnection;
  const storeDir = mkdtempSync(join(tmpdir(), 'ates-test-nats-'));
  const running: (Relay | EventConsumer)[] = [];

  const startServer = async (): Promise<void> => {
    nats = await startNats({ storeDir, port, user: 'test', password: 'test' });
  };
  beforeAll(async () => {
    database = await createTestDatabase('pipe');
    const owner = new pg.Client({ connectionString: database.ownerUrl });
    await owner.connect();
    for (const statement of [...OUTBOX_TABLE, ...INBOX_TABLES]) await owner.query(statement);
    await owner.query('create table effects (position bigint generated always as identity, aggregate_id uuid, version integer, event_id uuid)');
    await owner.end();
    pool = new pg.Pool({ connectionString: database.url, max: 10 });
    [port = 0] = await chooseFreePorts(1);
    await startServer();
    connection = await connect({ servers: `127.0.0.1:${port}`, user: 'test', pass: 'test', maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((part) => part.stop()));
    // A broker that has just been killed may leave a first request unanswered.
    const manager = await eventually(() => jetstreamManager(connection).catch(() => null), 20_000);
    await manager.streams.delete('TASKS').catch(() => {});
    for (const table of ['outbox', 'inbox', 'inbox_versions', 'inbox_waiting', 'dead_letters', 'effects']) await pool.query(`delete from ${table}`);
  });
  afterAll(async () => {
    await connection?.close();
    await pool?.end();
    await Promise.all([nats?.stop(), database?.drop()]);
    rmSync(storeDir, { recursive: true, force: true });
  });

  const transaction = async <Result>(work: (sql: RunSql) => Promise<Result>): Promise<Result> => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const result = await work(runIn(client));
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback');
      throw error;
    } finally {
      client.release();
    }
  };
  const happened = (aggregateId: string, version: number) => {
    const data = { version, assignmentNumber: 1, assigneeId: aggregateId, businessDay: '2026-11-20', completedAt: new Date().toISOString() };
    return newEvent(taskCompletedV1, aggregateId, data, { time: new Date(), traceparent: TRACEPARENT });
  };
  const record = (...events: ReturnType<typeof happened>[]) => transaction((sql) => recordEvents(sql, events));
  const relay = () => running.push(startRelay({ producer: 'tasks', databaseUrl: database.url, nats: connection, logger: SILENT }));
  const consumer = (react?: (events: readonly PublishedAtesEvent[]) => Promise<void>): EventConsumer => {
    const started = startConsumer({
      producer: 'tasks',
      durable: 'pipe',
      nats: connection,
      logger: SILENT,
      transaction,
      react: async (events, sql) => {
        await sql('insert into effects (aggregate_id, version, event_id) select * from unnest($1::uuid[], $2::int[], $3::uuid[])', [
          events.map(({ subject }) => subject),
          events.map(({ data }) => data.version),
          events.map(({ id }) => id),
        ]);
        await react?.(events);
      },
    });
    running.push(started);
    return started;
  };
  const effects = async () => (await pool.query<{ aggregate_id: string; version: number }>('select aggregate_id, version from effects order by position')).rows;
  const effectCount = async (): Promise<number> => (await effects()).length;
  const storedMessages = async (): Promise<number> => (await (await jetstreamManager(connection)).streams.info('TASKS')).state.messages;

  test('an event that was committed takes effect once, in its aggregate’s order', async () => {
    relay();
    consumer();
    const aggregates = Array.from({ length: 20 }, () => uuidv7());
    await Promise.all(
      aggregates.map(async (aggregate) => {
        for (let version = 1; version <= 10; version++) await record(happened(aggregate, version));
      }),
    );
    await eventually(async () => (await effectCount()) >= 200);
    for (const own of Map.groupBy(await effects(), ({ aggregate_id }) => aggregate_id).values()) {
      expect(own.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    expect(await effectCount()).toBe(200);
  });

  test('a transaction that rolls back publishes nothing', async () => {
    relay();
    consumer();
    const lost = happened(uuidv7(), 1);
    await expect(
      transaction(async (sql) => {
        await recordEvents(sql, [lost]);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    const kept = happened(uuidv7(), 1);
    await record(kept);
    await eventually(async () => (await effectCount()) > 0);
    expect(await effects()).toEqual([{ aggregate_id: kept.subject, version: 1 }]);
    expect(await storedMessages()).toBe(1);
  });

  test('an aggregate’s version is recorded once', async () => {
    const aggregate = uuidv7();
    await record(happened(aggregate, 1));
    await expect(record(happened(aggregate, 1))).rejects.toThrow(/outbox_aggregate_id_version_key/);
  });

  test('a message that comes twice, even under another stream position, changes nothing', async () => {
    relay();
    consumer();
    const event = happened(uuidv7(), 1);
    await record(event);
    await eventually(async () => (await effectCount()) === 1);
    const stream = jetstream(connection);
    const text = JSON.stringify({ ...event, sequence: '1' });
    for (const msgID of ['a copy', 'another copy']) await stream.publish('ates.tasks.task.completed.v1', text, { msgID });
    await record(happened(event.subject, 2));
    await eventually(async () => (await effects()).some(({ version }) => version === 2));
    expect(await effectCount()).toBe(2);
  });

  test('two copies in one batch take effect once', async () => {
    const event = happened(uuidv7(), 1);
    await record(event);
    relay();
    await eventually(async () => (await storedMessages().catch(() => 0)) === 1);
    await jetstream(connection).publish('ates.tasks.task.completed.v1', JSON.stringify({ ...event, sequence: '1' }), { msgID: 'a copy' });
    consumer();
    await record(happened(event.subject, 2));
    await eventually(async () => (await effects()).some(({ version }) => version === 2));
    expect(await effectCount()).toBe(2);
  });

  test('an event that overtook an earlier one of its aggregate waits for it', async () => {
    relay();
    await eventually(async () => (await storedMessages().catch(() => -1)) === 0);
    consumer();
    const aggregate = uuidv7();
    const stream = jetstream(connection);
    const publish = (version: number) => stream.publish('ates.tasks.task.completed.v1', JSON.stringify({ ...happened(aggregate, version), sequence: String(version) }));
    await publish(2);
    await publish(3);
    await eventually(async () => (await pool.query('select from inbox_waiting')).rowCount === 2);
    expect(await effectCount()).toBe(0);
    await publish(1);
    await eventually(async () => (await effectCount()) === 3);
    expect((await effects()).map(({ version }) => version)).toEqual([1, 2, 3]);
    expect((await pool.query('select from inbox_waiting')).rowCount).toBe(0);
  });

  test('an effect that fails is rolled back with its inbox row and tried again in place', async () => {
    relay();
    let failures = 2;
    const started = consumer(async () => {
      if (failures-- > 0) throw new Error('the database is having a bad day');
    });
    await record(happened(uuidv7(), 1));
    await eventually(() => started.check()?.includes('bad day'));
    await eventually(async () => (await effectCount()) === 1);
    await eventually(() => started.check() === null);
  });

  test('a message that cannot be read is parked with its reason, and what follows is applied', async () => {
    relay();
    await eventually(async () => (await storedMessages().catch(() => -1)) === 0);
    consumer();
    await jetstream(connection).publish('ates.tasks.task.completed.v1', '{"specversion":"1.0"}');
    await record(happened(uuidv7(), 1));
    await eventually(async () => (await effectCount()) === 1);
    const { rows } = await pool.query('select stream, stream_seq::int, reason, message from dead_letters');
    expect(rows).toEqual([{ stream: 'TASKS', stream_seq: 1, reason: expect.stringContaining('lacks id, source'), message: '{"specversion":"1.0"}' }]);
  });

  test('a consumer that starts anew goes on where it stopped', async () => {
    relay();
    const first = consumer();
    await record(happened(uuidv7(), 1));
    await eventually(async () => (await effectCount()) === 1);
    await first.stop();
    await record(happened(uuidv7(), 1));
    consumer();
    await eventually(async () => (await effectCount()) === 2);
  });

  test('of several relays one works, and when its session ends another one takes over', async () => {
    for (let count = 0; count < 3; count++) relay();
    consumer();
    const leaders = async () =>
      (await pool.query<{ pid: number }>(`select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())`)).rows;
    await eventually(async () => (await leaders()).length === 1);
    const [leader] = await leaders();
    await record(happened(uuidv7(), 1));
    await eventually(async () => (await effectCount()) === 1);
    const superuser = new pg.Client({ connectionString: process.env['ATES_TEST_POSTGRES_URL'] ?? '' });
    await superuser.connect();
    await superuser.query('select pg_terminate_backend($1)', [leader?.pid]);
    await superuser.end();
    await record(happened(uuidv7(), 1));
    await eventually(async () => (await effectCount()) === 2);
    expect(await leaders()).toHaveLength(1);
  });

  test('nothing is lost or doubled when NATS is killed while events flow', async () => {
    relay();
    consumer();
    const aggregates = Array.from({ length: 10 }, () => uuidv7());
    const writing = (async () => {
      for (let version = 1; version <= 40; version++) await Promise.all(aggregates.map((aggregate) => record(happened(aggregate, version))));
    })();
    await eventually(async () => (await effectCount()) > 20);
    process.kill(nats.pid, 'SIGKILL');
    await startServer();
    await writing;
    await eventually(async () => (await effectCount()) >= 400, 25_000);
    for (const own of Map.groupBy(await effects(), ({ aggregate_id }) => aggregate_id).values()) {
      expect(own.map(({ version }) => version)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    }
  });
});
