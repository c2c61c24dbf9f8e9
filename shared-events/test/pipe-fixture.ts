import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { startNats, type RunningNats } from '../../scripts/embedded-nats.ts';
import { chooseFreePorts } from '../../scripts/free-ports.ts';
import { createTestDatabase, eventually, type TestDatabase } from '../../scripts/test-service.ts';
import { INBOX_TABLES, OUTBOX_TABLE } from '../migrations/2026-11-20-pipe.ts';
import { OUTBOX_LEANER } from '../migrations/2026-11-21-outbox.ts';
import { INBOX_WITH_POSITIONS, OUTBOX_IN_PARTITIONS } from '../migrations/2026-11-21-pipe.ts';
import type { PublishedAtesEvent } from '../src/catalog.ts';
import { newEvent } from '../src/event.ts';
import { startConsumer, type ConsumerOptions, type EventConsumer } from '../src/event-consumer.ts';
import { recordEvents, type RunSql } from '../src/outbox.ts';
import { startRelay, type Relay, type RelayOptions } from '../src/outbox-relay.ts';
import { taskCompletedV1 } from '../src/task-events.ts';

export const SILENT = { info: () => {}, warn: () => {}, error: () => {} };
const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
const TABLES = ['outbox', 'outbox_versions', 'inbox', 'inbox_versions', 'inbox_waiting', 'inbox_positions', 'parked_events', 'effects'];

export interface Effect {
  readonly aggregate_id: string;
  readonly version: number;
  readonly event_id: string;
}

/** What a consumer of the fixture does besides writing its effects; may throw. */
export type Extra = (events: readonly PublishedAtesEvent[], sql: RunSql) => Promise<void>;

/**
 * A producer and a consumer in one database (each has its own tables), with a broker of their own that can be killed: the
 * whole pipe without a service around it. Each event's effect is a row of `effects`.
 */
export class PipeFixture {
  readonly storeDir = mkdtempSync(join(tmpdir(), 'ates-test-nats-'));
  readonly running: { stop(): Promise<void> }[] = [];
  database!: TestDatabase;
  pool!: pg.Pool;
  nats!: RunningNats;
  connection!: NatsConnection;
  manager!: JetStreamManager;
  #port = 0;

  static async open(): Promise<PipeFixture> {
    const fixture = new PipeFixture();
    fixture.database = await createTestDatabase('pipe');
    const owner = new pg.Client({ connectionString: fixture.database.ownerUrl });
    await owner.connect();
    for (const statement of [...OUTBOX_TABLE, ...INBOX_TABLES, ...OUTBOX_IN_PARTITIONS, ...INBOX_WITH_POSITIONS, ...OUTBOX_LEANER]) await owner.query(statement);
    await owner.query(`create table effects (position bigint generated always as identity, aggregate_id uuid, version integer, event_id uuid, replica text)`);
    await owner.end();
    fixture.pool = new pg.Pool({ connectionString: fixture.database.url, max: 20 });
    // Its end does not wait for the server's sessions: dropping the database may end them first.
    fixture.pool.on('error', () => undefined);
    [fixture.#port = 0] = await chooseFreePorts(1);
    await fixture.startServer();
    fixture.connection = await fixture.connect();
    fixture.manager = await jetstreamManager(fixture.connection);
    return fixture;
  }

  async startServer(): Promise<void> {
    this.nats = await startNats({ storeDir: this.storeDir, port: this.#port, user: 'test', password: 'test' });
  }

  async killServer(): Promise<void> {
    process.kill(this.nats.pid, 'SIGKILL');
    await this.nats.stop();
  }

  connect(): Promise<NatsConnection> {
    return connect({ servers: `127.0.0.1:${this.#port}`, user: 'test', pass: 'test', maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  }

  /** Between tests: no parts, no rows, no stream. */
  async reset(): Promise<void> {
    await Promise.all(this.running.splice(0).map((part) => part.stop()));
    // A broker that has just been killed may leave a first request unanswered.
    await eventually(() => this.manager.streams.delete('TASKS').then(() => true, (error: Error) => /stream not found/.test(error.message)), 20_000);
    for (const table of TABLES) await this.pool.query(`delete from ${table}`);
    await this.pool.query('update outbox_relay set published = 0, stream_created = null');
  }

  async close(): Promise<void> {
    await Promise.all(this.running.splice(0).map((part) => part.stop()));
    await this.connection?.close();
    await this.pool?.end();
    await Promise.all([this.nats?.stop(), this.database?.drop()]);
    rmSync(this.storeDir, { recursive: true, force: true });
  }

  readonly transaction = async <Result>(work: (sql: RunSql) => Promise<Result>): Promise<Result> => {
    const client = await this.pool.connect();
    const run = async (text: string, params: readonly unknown[] = []) => (await client.query(text, [...params])).rows;
    const sql: RunSql = Object.assign(run, { later: async (text: string, params: readonly unknown[] = []) => void (await run(text, params)) });
    let broken = false;
    try {
      await client.query('begin');
      const result = await work(sql);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => (broken = true));
      throw error;
    } finally {
      client.release(broken);
    }
  };

  event(aggregateId: string, version: number) {
    const data = { version, assignmentNumber: 1, assigneeId: aggregateId, businessDay: '2026-11-20', completedAt: new Date().toISOString() };
    return newEvent(taskCompletedV1, aggregateId, data, { time: new Date(), traceparent: TRACEPARENT });
  }

  async record(...events: ReturnType<PipeFixture['event']>[]): Promise<void> {
    await this.transaction((sql) => recordEvents(sql, events));
  }

  /** Versions `from` to `to` of each aggregate, each in a transaction of its own, the aggregates side by side. */
  async recordMany(aggregates: readonly string[], from: number, to: number): Promise<void> {
    await Promise.all(
      aggregates.map(async (aggregate) => {
        for (let version = from; version <= to; version++) await this.record(this.event(aggregate, version));
      }),
    );
  }

  relay(options: Partial<RelayOptions> = {}): Relay {
    const relay = startRelay({ producer: 'tasks', databaseUrl: this.database.url, nats: this.connection, logger: SILENT, ...options });
    this.running.push(relay);
    return relay;
  }

  consumer({ extra, replica = 'one', ...options }: { extra?: Extra; replica?: string } & Partial<ConsumerOptions> = {}): EventConsumer {
    const consumer = startConsumer({
      producer: 'tasks',
      service: 'pipe',
      databaseUrl: this.database.url,
      nats: this.connection,
      logger: SILENT,
      transaction: this.transaction,
      react: async (events, sql) => {
        await sql('insert into effects (aggregate_id, version, event_id, replica) select *, $4 from unnest($1::uuid[], $2::int[], $3::uuid[])', [
          events.map(({ subject }) => subject),
          events.map(({ data }) => data.version),
          events.map(({ id }) => id),
          replica,
        ]);
        await extra?.(events, sql);
      },
      ...options,
    });
    this.running.push(consumer);
    return consumer;
  }

  async effects(): Promise<Effect[]> {
    return (await this.pool.query<Effect>('select aggregate_id, version, event_id from effects order by position')).rows;
  }

  async effectCount(): Promise<number> {
    return Number((await this.pool.query('select count(*) from effects')).rows[0]?.count);
  }

  async rows<Row extends pg.QueryResultRow = Record<string, unknown>>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(text, [...params])).rows;
  }

  async storedMessages(): Promise<number> {
    return (await this.manager.streams.info('TASKS').catch(() => null))?.state.messages ?? -1;
  }

  /** The versions that took effect, by aggregate, in their order. */
  async versions(): Promise<Map<string, number[]>> {
    const effects = Map.groupBy(await this.effects(), ({ aggregate_id }) => aggregate_id);
    return new Map([...effects].map(([aggregate, own]) => [aggregate, own.map(({ version }) => version)]));
  }

  /** As the superuser of the test's PostgreSQL. */
  async asSuperuser(text: string, params: readonly unknown[] = []): Promise<void> {
    const superuser = new pg.Client({ connectionString: process.env['ATES_TEST_POSTGRES_URL'] ?? '' });
    await superuser.connect();
    await superuser.query(text, [...params]);
    await superuser.end();
  }
}

/** 1 to `last`: what an aggregate's versions must be. */
export function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}
