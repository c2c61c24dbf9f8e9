import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../scripts/test-service.ts';
import { PipeFixture, upTo } from './pipe-fixture.ts';

const LOCK_NOT_AVAILABLE = '55P03';

describe('what the broker loses, the outbox has', () => {
  let pipe: PipeFixture;
  beforeAll(async () => {
    pipe = await PipeFixture.open();
  });
  afterEach(() => pipe.reset());
  afterAll(() => pipe?.close());

  const store = () => join(pipe.storeDir, 'jetstream');
  const copy = () => `${pipe.storeDir}-copy`;
  /** Kills the broker, and brings it back with its store as it was when `remember` ran. */
  const rollBack = async (): Promise<void> => {
    await pipe.killServer();
    rmSync(store(), { recursive: true });
    cpSync(copy(), store(), { recursive: true });
    await pipe.startServer();
  };
  const remember = async (): Promise<void> => {
    await pipe.killServer();
    rmSync(copy(), { recursive: true, force: true });
    cpSync(store(), copy(), { recursive: true });
    await pipe.startServer();
  };
  afterAll(() => rmSync(copy(), { recursive: true, force: true }));
  const expectEach = async (aggregates: readonly string[], last: number): Promise<void> => {
    await eventually(async () => (await pipe.effectCount()) >= aggregates.length * last, 20_000);
    const versions = await pipe.versions();
    for (const aggregate of aggregates) expect(versions.get(aggregate)).toEqual(upTo(last));
    expect(await pipe.effectCount()).toBe(aggregates.length * last);
  };
  const published = async (count: number): Promise<void> => void (await eventually(async () => (await pipe.storedMessages()) === count, 20_000));
  const aggregates = Array.from({ length: 5 }, () => uuidv7());
  const streamIds = async (): Promise<string[]> => {
    const { last_seq: last } = (await pipe.manager.streams.info('TASKS')).state;
    const messages = await Promise.all(upTo(last).map((seq) => pipe.manager.streams.getMessage('TASKS', { seq })));
    return messages.map((message) => message?.header.get('Nats-Msg-Id') ?? '');
  };

  test('a store rolled back to an older copy gets everything again, at the same positions, before anything new', async () => {
    pipe.relay();
    await pipe.recordMany(aggregates, 1, 2);
    await published(10);
    await remember();
    await pipe.recordMany(aggregates, 3, 6);
    await published(30);
    const before = await streamIds();
    await rollBack();
    await pipe.recordMany(aggregates, 7, 7);
    await published(35);
    expect((await streamIds()).slice(0, 30)).toEqual(before);
    pipe.consumer();
    await expectEach(aggregates, 7);
  });

  test('a consumer that has read what was rolled back reads on, and nothing takes effect twice', async () => {
    pipe.relay();
    pipe.consumer();
    await pipe.recordMany(aggregates, 1, 2);
    await expectEach(aggregates, 2);
    await remember();
    await pipe.recordMany(aggregates, 3, 5);
    await expectEach(aggregates, 5);
    await rollBack();
    await pipe.recordMany(aggregates, 6, 8);
    await expectEach(aggregates, 8);
  });

  test('a stream that was deleted is made anew and filled from the outbox', async () => {
    const relay = pipe.relay();
    pipe.consumer();
    await pipe.recordMany(aggregates, 1, 4);
    await expectEach(aggregates, 4);
    const before = await streamIds();
    await pipe.manager.streams.delete('TASKS');
    await published(20);
    expect(await streamIds()).toEqual(before);
    await pipe.recordMany(aggregates, 5, 6);
    await expectEach(aggregates, 6);
    expect(relay.facts().resyncs).toBeGreaterThanOrEqual(1);
  });

  test('a broker that is killed while a lost stream is being filled finds the relay going on', async () => {
    await pipe.pool.query(
      `insert into outbox (id, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, stream_seq)
       select uuidv7(), uuidv7(), 1, 'task.completed', 'task.completed.v1', now(), 'none', '{"version":1}', nth from generate_series(1, 20000) as nth`,
    );
    await pipe.pool.query(`update outbox_relay set published = 20000, stream_created = 'the one that was lost'`);
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) > 500);
    await pipe.killServer();
    await pipe.startServer();
    await published(20_000);
    expect(await pipe.rows('select from outbox_relay where published > 20000')).toEqual([]);
  });

  test('a store that was deleted with the broker down is filled from the outbox', async () => {
    pipe.relay();
    await pipe.recordMany(aggregates, 1, 4);
    await published(20);
    await pipe.killServer();
    rmSync(store(), { recursive: true });
    await pipe.startServer();
    pipe.consumer();
    await pipe.recordMany(aggregates, 5, 5);
    await expectEach(aggregates, 5);
  });

  test('a stream is filled with what the outbox retains, when that no longer is everything', async () => {
    const relay = pipe.relay();
    const consumer = pipe.consumer();
    await pipe.recordMany(aggregates, 1, 4);
    await expectEach(aggregates, 4);
    const before = await streamIds();
    await Promise.all([relay.stop(), consumer.stop()]);
    await pipe.pool.query('delete from outbox where stream_seq <= 10');
    await pipe.manager.streams.delete('TASKS');
    pipe.relay();
    await published(10);
    expect(await streamIds()).toEqual(before.slice(10));
    pipe.consumer();
    await pipe.recordMany(aggregates, 5, 6);
    await expectEach(aggregates, 6);
  });

  test('publishes whose answers were lost are found in the stream by their ids, and not published again', async () => {
    const relay = pipe.relay();
    await pipe.recordMany(aggregates, 1, 3);
    await published(15);
    await relay.stop();
    // As after a crash of PostgreSQL that forgot which positions the last ones had been given.
    await pipe.pool.query('update outbox set stream_seq = null where stream_seq > 6');
    await pipe.pool.query('update outbox_relay set published = 4');
    const before = await streamIds();
    const next = pipe.relay();
    await eventually(() => next.facts().leads);
    await pipe.recordMany(aggregates, 4, 4);
    await published(20);
    expect((await streamIds()).slice(0, 15)).toEqual(before);
    expect(await pipe.rows('select from outbox where stream_seq is null')).toEqual([]);
    pipe.consumer();
    await expectEach(aggregates, 4);
  });

  test('a stream that holds something else at the position of a consumer is read from its beginning', async () => {
    const relay = pipe.relay();
    const consumer = pipe.consumer();
    await pipe.recordMany(aggregates, 1, 2);
    await expectEach(aggregates, 2);
    await Promise.all([relay.stop(), consumer.stop()]);
    await pipe.recordMany(aggregates, 3, 3);
    // As if the broker had come back with other messages at these positions, by a power loss during a failover.
    await pipe.pool.query(`update inbox_positions set message_id = 'another', position = (select max(position) from inbox_positions) where position > 0`);
    pipe.relay();
    pipe.consumer();
    await expectEach(aggregates, 3);
  });

  test('a full stream refuses, nothing is lost, and what waited goes out when there is room', async () => {
    const first = pipe.relay();
    await pipe.recordMany(aggregates, 1, 1);
    await published(5);
    await first.stop();
    const { config } = await pipe.manager.streams.info('TASKS');
    await pipe.manager.streams.update('TASKS', { ...config, max_bytes: 8_000 });
    const relay = pipe.relay({ maxAgeMs: 100 });
    pipe.consumer();
    await pipe.recordMany(aggregates, 2, 6);
    await eventually(() => relay.check()?.includes('The stream TASKS is full'), 15_000);
    expect((await pipe.manager.streams.info('TASKS')).state).toMatchObject({ first_seq: 1 });
    expect(await pipe.effectCount()).toBeLessThan(30);
    await pipe.manager.streams.update('TASKS', { ...config, max_bytes: 8_000_000 });
    await expectEach(aggregates, 6);
    await eventually(() => relay.check() === null);
  });

  test('the outbox drops months that ended long ago, but nothing that is not published', async () => {
    const relay = pipe.relay();
    await pipe.recordMany(aggregates, 1, 1);
    await published(5);
    await eventually(async () => (await pipe.rows('select from outbox_relay where published = 5')).length === 1);
    await relay.stop();
    const partitions = async () => (await pipe.rows<{ name: string }>(`select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = 'outbox'::regclass order by 1`)).map(({ name }) => name);
    // It gives way to whoever holds the outbox for long, and is for the next time then.
    const keep = (days: number) =>
      eventually(async () => {
        const refusal = await pipe.pool.query('select keep_outbox($1)', [days]).then(() => null, (error: Error & { code: string }) => error);
        if (refusal !== null && refusal.code !== LOCK_NOT_AVAILABLE) throw refusal;
        return refusal === null;
      }, 20_000);
    const ahead = await partitions();
    expect(ahead.filter((name) => /^outbox_\d{4}_\d\d$/.test(name))).toHaveLength(4);
    // Kept for minus 62 days: this month and the next two count as long ended, but for what they hold.
    await pipe.record(pipe.event(uuidv7(), 1));
    await keep(-62);
    expect(await pipe.rows('select from outbox')).toHaveLength(6);
    pipe.relay();
    await published(6);
    await eventually(async () => (await pipe.rows('select from outbox_relay where published = 6')).length === 1);
    await keep(-62);
    expect(await pipe.rows('select from outbox')).toHaveLength(0);
    await keep(90);
    expect(await partitions()).toEqual(ahead);
    await pipe.record(pipe.event(uuidv7(), 1));
    await published(7);
  });
});
