import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../scripts/test-service.ts';
import { subjectOf } from '../src/streams.ts';
import { PipeFixture, upTo } from './pipe-fixture.ts';

describe('events that can not be applied', () => {
  let pipe: PipeFixture;
  beforeAll(async () => {
    pipe = await PipeFixture.open();
  });
  afterEach(() => pipe.reset());
  afterAll(() => pipe?.close());

  const parked = () => pipe.rows<{ id: number; aggregate_id: string; version: number; reason: string; outcome: string | null }>('select id, aggregate_id, version, reason, outcome from parked_events order by id');
  const decide = async (command: 'REPLAY' | 'DISCARD') => void (await pipe.pool.query('update parked_events set command = $1, decisions = decisions + 1 where outcome is null', [command]));
  /** A consumer to which version 2 of one aggregate is poison, as long as `isPoisonous`. */
  const withPoison = () => {
    const aggregate = uuidv7();
    const poison = { aggregate, isPoisonous: true };
    const consumer = pipe.consumer({
      extra: async (events) => {
        if (poison.isPoisonous && events.some(({ subject, data }) => subject === aggregate && data.version === 2)) throw new TypeError('a popug without a beak');
      },
    });
    return { poison, consumer };
  };

  test('a failure that may pass is rolled back with its inbox rows and tried again in place', async () => {
    pipe.relay();
    let failures = 2;
    const consumer = pipe.consumer({
      extra: async () => {
        if (failures-- > 0) throw Object.assign(new Error('deadlock detected'), { code: '40P01' });
      },
    });
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(() => consumer.check()?.includes('deadlock'));
    await eventually(async () => (await pipe.effectCount()) === 1);
    await eventually(() => consumer.check() === null);
    expect(consumer.facts().retries).toBe(2);
    expect(await parked()).toEqual([]);
  });

  test('a poison event is parked with its reason, the later ones of its aggregate wait, everything else goes on', async () => {
    pipe.relay();
    const { poison, consumer } = withPoison();
    const others = Array.from({ length: 10 }, () => uuidv7());
    await pipe.transaction(async (sql) => {
      const { recordEvents } = await import('../src/outbox.ts');
      // All of it in one batch, the poison in its middle.
      const versions = [1, 2, 3, 4].flatMap((version) => [...others, poison.aggregate].map((aggregate) => pipe.event(aggregate, version)));
      await recordEvents(sql, versions);
    });
    await eventually(async () => (await pipe.effectCount()) === 41);
    const versions = await pipe.versions();
    for (const other of others) expect(versions.get(other)).toEqual([1, 2, 3, 4]);
    expect(versions.get(poison.aggregate)).toEqual([1]);
    expect(await parked()).toEqual([{ id: expect.any(Number), aggregate_id: poison.aggregate, version: 2, reason: 'a popug without a beak', outcome: null }]);
    await eventually(async () => (await pipe.rows('select from inbox_waiting')).length === 2);
    expect(await pipe.rows('select version from inbox_waiting order by version')).toEqual([{ version: 3 }, { version: 4 }]);
    expect(await consumer.parked()).toBe(1);
    await eventually(() => consumer.check() === null);
  });

  test('who traces batches is told of each event that took effect once, in a batch or alone, and of no other', async () => {
    pipe.relay();
    const [aggregate, poison] = [uuidv7(), uuidv7()];
    const told: string[] = [];
    const failed: string[] = [];
    pipe.consumer({
      extra: async (events) => {
        if (events.some(({ subject }) => subject === poison)) throw new TypeError('a popug without a beak');
      },
      traceBatch: async (stream, _batch, work) => {
        const result = await work().catch((error: Error) => {
          failed.push(`${stream}: ${error.message}`);
          throw error;
        });
        told.push(...result.applied.map(({ id }) => id));
        return result;
      },
    });
    await pipe.record(pipe.event(aggregate, 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    await pipe.record(pipe.event(aggregate, 2), pipe.event(poison, 1), pipe.event(aggregate, 3));
    await eventually(async () => (await parked()).length === 1 && (await pipe.effectCount()) === 3);
    await eventually(() => told.length === 3);
    expect(told).toEqual((await pipe.effects()).map(({ event_id }) => event_id));
    expect(new Set(failed)).toEqual(new Set(['TASKS: a popug without a beak']));
  });

  test('a parked event that is replayed takes effect, and then those that waited for it, in order', async () => {
    pipe.relay();
    const { poison } = withPoison();
    await pipe.recordMany([poison.aggregate], 1, 4);
    await eventually(async () => (await parked()).length === 1 && (await pipe.rows('select from inbox_waiting')).length === 2);
    await decide('REPLAY');
    await eventually(async () => (await pipe.rows('select from parked_events where command is null')).length === 1);
    expect(await pipe.effectCount()).toBe(1);
    poison.isPoisonous = false;
    await decide('REPLAY');
    await eventually(async () => (await pipe.effectCount()) === 4);
    expect((await pipe.versions()).get(poison.aggregate)).toEqual(upTo(4));
    await eventually(async () => (await parked())[0]?.outcome === 'REPLAYED');
    await pipe.recordMany([poison.aggregate], 5, 5);
    await eventually(async () => (await pipe.effectCount()) === 5);
  });

  test('a parked event that is discarded never takes effect, those that waited for it do', async () => {
    pipe.relay();
    const { poison } = withPoison();
    await pipe.recordMany([poison.aggregate], 1, 4);
    await eventually(async () => (await parked()).length === 1);
    await decide('DISCARD');
    await eventually(async () => (await parked())[0]?.outcome === 'DISCARDED');
    await eventually(async () => (await pipe.effectCount()) === 3);
    expect((await pipe.versions()).get(poison.aggregate)).toEqual([1, 3, 4]);
  });

  test('a message that can not be read is parked with its reason, and what follows is applied', async () => {
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 0);
    pipe.consumer();
    await jetstream(pipe.connection).publish('ates.tasks.task.completed.v1', '{"specversion":"1.0"}');
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    const rows = await pipe.rows('select source, message_key, aggregate_id, reason, message from parked_events');
    expect(rows).toEqual([{ source: '/tasks', message_key: expect.stringMatching(/^TASKS:1:[0-9a-f]{16}$/), aggregate_id: null, reason: expect.stringContaining('lacks id, source'), message: '{"specversion":"1.0"}' }]);
    await decide('DISCARD');
    await eventually(async () => (await parked())[0]?.outcome === 'DISCARDED');
  });

  test('an event of another service is not taken for one of this stream’s', async () => {
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 0);
    pipe.consumer();
    const event = pipe.event(uuidv7(), 1);
    await jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', event.subject), JSON.stringify({ ...event, source: '/accounting', sequence: '1' }));
    await eventually(async () => (await parked())[0]?.reason === 'An event of /accounting is in the stream of /tasks');
    expect(await pipe.effectCount()).toBe(0);
  });

  test('an event of a version that this consumer does not know holds back the later ones of its aggregate only', async () => {
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 0);
    pipe.consumer();
    const aggregate = uuidv7();
    const publish = (event: object) => jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', aggregate), JSON.stringify({ ...event, sequence: '1' }));
    await publish({ ...pipe.event(aggregate, 1), dataschema: 'task.completed.v9' });
    await publish(pipe.event(aggregate, 2));
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    expect(await parked()).toEqual([{ id: expect.any(Number), aggregate_id: aggregate, version: 1, reason: expect.stringContaining('not in the catalogue'), outcome: null }]);
    await decide('DISCARD');
    await eventually(async () => (await pipe.effectCount()) === 2);
    expect((await pipe.versions()).get(aggregate)).toEqual([2]);
  });

  test('a rebuild that empties everything while events flow ends where it was, discarded events included', async () => {
    pipe.relay();
    const { poison, consumer } = withPoison();
    const others = Array.from({ length: 10 }, () => uuidv7());
    await pipe.recordMany([...others, poison.aggregate], 1, 4);
    await eventually(async () => (await parked()).length === 1);
    await decide('DISCARD');
    await eventually(async () => (await pipe.effectCount()) === 43);
    const empty = () =>
      pipe.transaction(async (sql) => {
        // What a batch takes first too: so it holds nothing that is needed here while it waits.
        await sql('lock table inbox_positions in exclusive mode');
        for (const table of ['effects', 'inbox', 'inbox_versions', 'inbox_waiting']) await sql(`delete from ${table}`);
        await sql(`update inbox_positions set position = 0, message_id = ''`);
      });
    // Nothing new comes: the consumer finds by itself that it stands elsewhere.
    await empty();
    await eventually(async () => (await pipe.effectCount()) === 43);
    const writing = pipe.recordMany(others, 5, 20);
    await empty();
    await writing;
    await eventually(async () => (await pipe.effectCount()) === 203, 40_000);
    const versions = await pipe.versions();
    for (const other of others) expect(versions.get(other)).toEqual(upTo(20));
    expect(versions.get(poison.aggregate)).toEqual([1, 3, 4]);
    await eventually(() => consumer.check() === null);
  }, 60_000);
});
