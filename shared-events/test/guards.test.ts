import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../scripts/test-service.ts';
import type { PublishedAtesEvent } from '../src/catalog.ts';
import { inboxIn, PositionLostError, type Inbox, type Move } from '../src/inbox.ts';
import { laneChain } from '../src/lane-chain.ts';
import { createPublisher } from '../src/stream-publisher.ts';
import { startLease } from '../src/partition-lease.ts';
import { dueVerdicts, parkedIn, type ParkedEvents } from '../src/parked-events.ts';
import { partitionOf, subjectOf } from '../src/streams.ts';
import { PipeFixture, SILENT } from './pipe-fixture.ts';

const SOURCE = { source: '/tasks', stream: 'TASKS', created: 'then' };

describe('each guard of the pipe by itself', () => {
  let pipe: PipeFixture;
  beforeAll(async () => {
    pipe = await PipeFixture.open();
  });
  afterEach(() => pipe.reset());
  afterAll(() => pipe?.close());

  const event = (aggregate: string, version: number) => ({ ...pipe.event(aggregate, version), sequence: '1' }) as PublishedAtesEvent & ReturnType<PipeFixture['event']>;
  /** The same id, claiming to be another version. */
  const impostor = (of: PublishedAtesEvent, version: number) => ({ ...of, data: { ...of.data, version } }) as PublishedAtesEvent;
  const inInbox = <Result>(work: (inbox: Inbox) => Promise<Result>) => pipe.transaction((sql) => work(inboxIn(sql, SOURCE)));
  const admit = (batch: readonly PublishedAtesEvent[], moves: readonly Move[] = []) => inInbox((inbox) => inbox.admit(batch, moves));
  const hold = (batch: readonly PublishedAtesEvent[], moves: readonly Move[] = []) => inInbox((inbox) => inbox.hold(batch, moves));
  const inParked = <Result>(work: (parked: ParkedEvents) => Promise<Result>) => pipe.transaction((sql) => work(parkedIn(sql, SOURCE)));
  const takeVersion = async (aggregate: string) => (await inInbox((inbox) => inbox.takeNext(aggregate)))?.data.version;

  test('an id that comes twice in one batch, under another version, is admitted once', async () => {
    const first = event(uuidv7(), 1);
    expect(await admit([first, impostor(first, 2)])).toEqual([first]);
  });

  test('an id that was taken once is not taken again one by one, whatever version it claims to be', async () => {
    const first = event(uuidv7(), 1);
    await hold([first]);
    expect(await takeVersion(first.subject)).toBe(1);
    await hold([impostor(first, 2)]);
    expect(await takeVersion(first.subject)).toBeUndefined();
    await hold([event(first.subject, 2)]);
    expect(await takeVersion(first.subject)).toBe(2);
  });

  test('events that are taken one by one wait for those before them, and come in their order', async () => {
    const aggregate = uuidv7();
    await hold([event(aggregate, 3), event(aggregate, 1)]);
    expect([await takeVersion(aggregate), await takeVersion(aggregate)]).toEqual([1, undefined]);
    await hold([event(aggregate, 2)]);
    expect([await takeVersion(aggregate), await takeVersion(aggregate), await takeVersion(aggregate)]).toEqual([2, 3, undefined]);
  });

  test('of two that are at one aggregate in the same moment the later one fails, and finds everything in its place afterwards', async () => {
    const aggregate = uuidv7();
    const [first, second] = [event(aggregate, 1), event(aggregate, 2)];
    let late: Promise<unknown> = Promise.resolve();
    await inInbox(async (inbox) => {
      expect(await inbox.admit([first], [])).toEqual([first]);
      late = admit([second]).catch((error: unknown) => error);
      // It has read what is known of the aggregate, and waits for this transaction to let go of it.
      await eventually(async () => (await pipe.rows(`select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`)).length > 0);
    });
    expect(await late).toBeInstanceOf(PositionLostError);
    expect(await admit([second])).toEqual([second]);
  });

  test('a replica that only thinks that it owns a partition fails, and nothing of its batch is admitted', async () => {
    await pipe.pool.query(`insert into inbox_positions (stream, partition, stream_created) values ('TASKS', 3, 'then')`);
    const [first, second] = [event(uuidv7(), 1), event(uuidv7(), 1)];
    await admit([first], [{ partition: 3, from: 0, to: 7, messageId: first.id }]);
    for (const again of [admit, hold]) await expect(again([second], [{ partition: 3, from: 0, to: 8, messageId: second.id }])).rejects.toThrow(PositionLostError);
    expect(await pipe.rows('select position::int, message_id from inbox_positions')).toEqual([{ position: 7, message_id: first.id }]);
    const next = { partition: 3, from: 7, to: 8, messageId: second.id };
    await expect(pipe.transaction((sql) => inboxIn(sql, { ...SOURCE, created: 'another time' }).admit([second], [next]))).rejects.toThrow(PositionLostError);
    expect(await admit([second], [next])).toEqual([second]);
  });

  test.each([
    ['a constraint', 'insert into inbox (event_id) values (null)'],
    ['a function that divides by zero', 'select 1 / 0'],
    ['an exception of a trigger', `do $$ begin raise exception 'no' using errcode = 'P0001'; end $$`],
  ])('an event that is refused by a constraint or the like is parked at once: by %s', async (_what, statement) => {
    pipe.relay();
    const consumer = pipe.consumer({ extra: async (_events, sql) => void (await sql(statement)) });
    await pipe.record(event(uuidv7(), 1));
    await eventually(async () => (await consumer.parked()) === 1);
    expect(await pipe.effectCount()).toBe(0);
  });

  test('what was held when its consumer crashed between two events is applied by the next one', async () => {
    const relay = pipe.relay();
    await eventually(() => relay.facts().leads);
    const first = event(uuidv7(), 1);
    await hold([first]);
    pipe.consumer();
    await eventually(async () => (await pipe.effectCount()) === 1);
    expect(await pipe.rows('select from inbox_waiting')).toEqual([]);
  });

  test('a message that is acknowledged at another position than the outbox gave it counts as not published', async () => {
    const relay = pipe.relay();
    await eventually(async () => relay.facts().leads && (await pipe.storedMessages()) === 0);
    await relay.stop();
    const publisher = createPublisher(pipe.connection, 'TASKS', 2_000);
    const message = { subject: 'ates.tasks.task.completed.v1.0', id: uuidv7(), text: '{}' };
    await publisher.publish([message], 0);
    // The server knows the id, stores nothing, and acknowledges where it has it.
    await expect(publisher.publish([message], 1)).rejects.toThrow(/is at position 1 of TASKS, not at 2/);
    publisher.close();
    expect(await pipe.storedMessages()).toBe(1);
  });

  test('a message is not published at another position than the outbox gave it', async () => {
    const relay = pipe.relay();
    await eventually(async () => relay.facts().leads && (await pipe.storedMessages()) === 0);
    await relay.stop();
    const publisher = createPublisher(pipe.connection, 'TASKS', 2_000);
    await expect(publisher.publish([{ subject: 'ates.tasks.task.completed.v1.0', id: uuidv7(), text: '{}' }], 5)).rejects.toThrow(/TASKS/);
    publisher.close();
    expect(await pipe.storedMessages()).toBe(0);
  });

  test('a stream that has something else where a partition stands is read from its beginning', async () => {
    pipe.relay();
    const aggregate = uuidv7();
    await pipe.recordMany([aggregate], 1, 2);
    await eventually(async () => (await pipe.storedMessages()) === 2);
    const { created } = await pipe.manager.streams.info('TASKS');
    await pipe.pool.query(`insert into inbox_positions values ('TASKS', $1, 2, 'another', $2)`, [partitionOf(aggregate), created]);
    pipe.consumer();
    await eventually(async () => (await pipe.effectCount()) === 2);
  });

  describe('messages that are skipped on their way', () => {
    const aggregate = uuidv7();
    const stored = async (seq: number) => {
      const message = await pipe.manager.streams.getMessage('TASKS', { seq });
      if (message === null) throw new Error(`There is no message ${seq}`);
      return { subject: message.subject, seq, headers: message.header };
    };
    const warned: string[] = [];
    const listening = { ...SILENT, warn: (facts: object) => void warned.push(String((facts as { err?: unknown }).err)), error: (facts: object) => void warned.push(JSON.stringify(facts)) };
    beforeEach(() => void warned.splice(0));
    const published = async (count: number) => void (await eventually(async () => (await pipe.storedMessages()) === count));

    test('are noticed by what the next one says comes before it, also across a change of the relay', async () => {
      const first = pipe.relay();
      await pipe.recordMany([aggregate], 1, 2);
      await published(2);
      await first.stop();
      pipe.relay();
      await pipe.recordMany([aggregate], 3, 4);
      await published(4);
      const chain = laneChain(pipe.connection, 'TASKS', 0, SILENT);
      for (const seq of [1, 2, 3]) await chain.add(await stored(seq));
      await expect(laneChain(pipe.connection, 'TASKS', 1, SILENT).add(await stored(3))).rejects.toThrow('Message 2 of TASKS was skipped');
      await laneChain(pipe.connection, 'TASKS', 2, SILENT).add(await stored(3));
      const late = laneChain(pipe.connection, 'TASKS', 0, SILENT);
      await late.add(await stored(1));
      await expect(late.add(await stored(4))).rejects.toThrow('Message 3 of TASKS was skipped');
    });

    test('are no loss when they were deleted from the stream: that is told, and what does not wait for them goes on', async () => {
      const other = `${aggregate.slice(0, -2)}${(Number.parseInt(aggregate.slice(-2), 16) ^ 0x80).toString(16).padStart(2, '0')}`;
      pipe.relay();
      await pipe.recordMany([aggregate], 1, 2);
      await published(2);
      await pipe.manager.streams.deleteMessage('TASKS', 2);
      await pipe.recordMany([other], 1, 1);
      pipe.consumer({ logger: listening });
      await eventually(async () => (await pipe.effectCount()) === 2);
      expect(warned.join()).toContain('"missing":2');
    });

    test('are none when they were published before there were partitions: those are read another way', async () => {
      const relay = pipe.relay();
      await eventually(async () => (await pipe.storedMessages()) === 0);
      await relay.stop();
      const [before, after] = [event(aggregate, 1), event(aggregate, 2)];
      await jetstream(pipe.connection).publish('ates.tasks.task.completed.v1', JSON.stringify(before), { msgID: before.id });
      const told = headers();
      told.set('Ates-Previous', '1');
      await jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', aggregate), JSON.stringify(after), { msgID: after.id, headers: told });
      pipe.consumer({ logger: listening });
      await eventually(async () => (await pipe.effectCount()) === 2);
      expect(warned).toEqual([]);
    });

    test('end the reading of their partition, which begins again where it stands', async () => {
      pipe.relay();
      await pipe.recordMany([aggregate], 1, 1);
      await published(1);
      const consumer = pipe.consumer({ logger: listening });
      await eventually(async () => (await pipe.effectCount()) === 1);
      const told = headers();
      // It says that a message of its lane comes before it that has not come: itself.
      told.set('Ates-Previous', '2');
      await jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', aggregate), JSON.stringify(event(aggregate, 2)), { headers: told });
      await eventually(() => warned.some((line) => line.includes('Message 2 of TASKS was skipped')));
      expect(await pipe.effectCount()).toBe(1);
      await consumer.stop();
    });
  });

  test('a rebuild while nothing flows is carried out', async () => {
    pipe.relay();
    pipe.consumer();
    await pipe.record(event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    await pipe.transaction(async (sql) => {
      for (const table of ['effects', 'inbox', 'inbox_versions', 'inbox_waiting']) await sql(`delete from ${table}`);
      await sql(`update inbox_positions set position = 0, message_id = ''`);
    });
    await eventually(async () => (await pipe.effectCount()) === 1);
  });

  test('a partition is not taken before it is let go, though it is due to another replica already', async () => {
    const lease = () => {
      const started = startLease({ databaseUrl: pipe.database.url, name: 'TASKS', partitions: 8, logger: SILENT, onChange: () => {} });
      pipe.running.push(started);
      return started;
    };
    const before = lease();
    await eventually(() => before.keep.size === 8);
    const after = lease();
    await eventually(() => before.leave.size === 4);
    const [released] = before.leave;
    before.release(released as number);
    // By now it has looked at them all, and only this one is free.
    await eventually(() => after.keep.size > 0);
    expect([...after.keep]).toEqual([released]);
  });

  describe('found by the simulation', () => {
    test('what comes again of an aggregate whose next event is parked does not count as applied', async () => {
      const aggregate = uuidv7();
      const [first, second, third] = [event(aggregate, 1), event(aggregate, 2), event(aggregate, 3)];
      await hold([first]);
      await takeVersion(aggregate);
      await hold([second]);
      await inParked((parked) => parked.park([{ messageKey: second.id, aggregateId: aggregate, version: 2, dataschema: second.dataschema, reason: 'poison', message: JSON.stringify(second) }]));
      // As after the stream lost its end, and got it back.
      expect(await admit([second])).toEqual([]);
      expect(await admit([third])).toEqual([]);
    });

    test('an id that claims to be another version takes nothing away from the event of that version', async () => {
      const [first, second] = [event(uuidv7(), 1), uuidv7()];
      await admit([first]);
      expect(await admit([impostor(first, 2)])).toEqual([]);
      const real = { ...event(first.subject, 2), id: second };
      expect(await admit([real])).toEqual([real]);
    });

    test('two messages that can not be read are two parked events, though they had the same position in two makings of the stream', async () => {
      const relay = pipe.relay();
      await eventually(async () => (await pipe.storedMessages()) === 0);
      const consumer = pipe.consumer();
      await jetstream(pipe.connection).publish('ates.tasks.task.completed.v1', 'no event at all');
      await eventually(async () => (await consumer.parked()) === 1);
      await Promise.all([relay.stop(), consumer.stop()]);
      await pipe.manager.streams.delete('TASKS');
      pipe.relay();
      await eventually(async () => (await pipe.storedMessages()) === 0);
      const other = pipe.consumer();
      const [unknown, known] = [event(uuidv7(), 1), event(uuidv7(), 1)];
      await jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', unknown.subject), JSON.stringify({ ...unknown, dataschema: 'task.completed.v9' }));
      await pipe.record(known);
      await eventually(async () => (await pipe.effectCount()) === 1);
      expect(await other.parked()).toBe(2);
    });

    test('a decision that is made while the one before it is carried out is not lost', async () => {
      await pipe.pool.query(`insert into parked_events (source, message_key, reason, message, command) values ('/tasks', 'TASKS:1', 'no JSON', 'x', 'REPLAY')`);
      const [verdict] = await pipe.transaction((sql) => dueVerdicts(sql, SOURCE));
      if (verdict === undefined) throw new Error('There is no verdict');
      await inParked((parked) => parked.putBack(verdict));
      await pipe.pool.query(`update parked_events set command = 'REPLAY', decisions = decisions + 1`);
      await inParked((parked) => parked.settled(verdict));
      expect(await pipe.rows('select command, outcome from parked_events')).toEqual([{ command: 'REPLAY', outcome: null }]);
    });
  });
});
