import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../scripts/test-service.ts';
import { subjectOf } from '../src/streams.ts';
import { PipeFixture, upTo } from './pipe-fixture.ts';

describe('the event pipe, on a real PostgreSQL and a real NATS', () => {
  let pipe: PipeFixture;
  beforeAll(async () => {
    pipe = await PipeFixture.open();
  });
  afterEach(() => pipe.reset());
  afterAll(() => pipe?.close());

  const publish = (event: ReturnType<PipeFixture['event']>, msgID?: string) =>
    jetstream(pipe.connection).publish(subjectOf('ates.tasks.task.completed.v1', event.subject), JSON.stringify({ ...event, sequence: '1' }), msgID === undefined ? {} : { msgID });

  test('an event that was committed takes effect once, in its aggregate’s order', async () => {
    pipe.relay();
    pipe.consumer();
    const aggregates = Array.from({ length: 20 }, () => uuidv7());
    await pipe.recordMany(aggregates, 1, 10);
    await eventually(async () => (await pipe.effectCount()) >= 200);
    const versions = await pipe.versions();
    expect(versions.size).toBe(20);
    for (const own of versions.values()) expect(own).toEqual(upTo(10));
  });

  test('a message carries its contract and its partition in its subject, and its event’s id', async () => {
    pipe.relay();
    const event = pipe.event('0190c0de-0000-7000-8000-0000000000fd', 1);
    await pipe.record(event);
    await eventually(async () => (await pipe.storedMessages()) === 1);
    const message = await pipe.manager.streams.getMessage('TASKS', { seq: 1 });
    expect(message?.subject).toBe('ates.tasks.task.completed.v1.5');
    expect(message?.header.get('Nats-Msg-Id')).toBe(event.id);
    expect(message?.json()).toEqual({ ...event, sequence: expect.stringMatching(/^\d+$/) });
  });

  test('a transaction that rolls back publishes nothing', async () => {
    pipe.relay();
    pipe.consumer();
    await expect(
      pipe.transaction(async (sql) => {
        const { recordEvents } = await import('../src/outbox.ts');
        await recordEvents(sql, [pipe.event(uuidv7(), 1)]);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    const kept = pipe.event(uuidv7(), 1);
    await pipe.record(kept);
    await eventually(async () => (await pipe.effectCount()) > 0);
    expect((await pipe.effects()).map(({ event_id }) => event_id)).toEqual([kept.id]);
    expect(await pipe.storedMessages()).toBe(1);
  });

  test.each([
    ['twice the same', [1, 2, 2]],
    ['one that leaves a gap', [1, 3]],
    ['one that goes back', [1, 2, 1]],
    ['a first one that is not 1', [2]],
  ])('an aggregate’s versions are recorded without gaps or repetitions: %s is refused', async (_what, versions) => {
    const aggregate = uuidv7();
    for (const version of versions.slice(0, -1)) await pipe.record(pipe.event(aggregate, version));
    await expect(pipe.record(pipe.event(aggregate, versions.at(-1) as number))).rejects.toThrow(/lock it before you record its events/);
    await expect(pipe.record(pipe.event(uuidv7(), 1), pipe.event(aggregate, versions.at(-1) as number))).rejects.toThrow(/can not go from version/);
  });

  test('a message that comes twice, even under another stream position, changes nothing', async () => {
    pipe.relay();
    pipe.consumer();
    const event = pipe.event(uuidv7(), 1);
    await pipe.record(event);
    await eventually(async () => (await pipe.effectCount()) === 1);
    for (const msgID of ['a copy', 'another copy']) await publish(event, msgID);
    await pipe.record(pipe.event(event.subject, 2));
    await eventually(async () => (await pipe.effects()).some(({ version }) => version === 2));
    expect(await pipe.effectCount()).toBe(2);
  });

  test('two copies in one batch take effect once', async () => {
    const event = pipe.event(uuidv7(), 1);
    await pipe.record(event);
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 1);
    await publish(event, 'a copy');
    pipe.consumer();
    await pipe.record(pipe.event(event.subject, 2));
    await eventually(async () => (await pipe.effects()).some(({ version }) => version === 2));
    expect(await pipe.effectCount()).toBe(2);
  });

  test('an event’s id takes effect once, whatever version it claims to be', async () => {
    pipe.relay();
    pipe.consumer();
    const event = pipe.event(uuidv7(), 1);
    await pipe.record(event);
    await eventually(async () => (await pipe.effectCount()) === 1);
    await publish({ ...event, data: { ...event.data, version: 2 } }, 'a copy');
    const other = pipe.event(uuidv7().slice(0, -2) + event.subject.slice(-2), 1);
    await pipe.record(other);
    await eventually(async () => (await pipe.effects()).some(({ event_id }) => event_id === other.id));
    expect(await pipe.effectCount()).toBe(2);
  });

  test('an event that overtook an earlier one of its aggregate waits for it', async () => {
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 0);
    pipe.consumer();
    const aggregate = uuidv7();
    await publish(pipe.event(aggregate, 2));
    await publish(pipe.event(aggregate, 3));
    await eventually(async () => (await pipe.rows('select from inbox_waiting')).length === 2);
    expect(await pipe.effectCount()).toBe(0);
    await publish(pipe.event(aggregate, 1));
    await eventually(async () => (await pipe.effectCount()) === 3);
    expect((await pipe.versions()).get(aggregate)).toEqual([1, 2, 3]);
    expect(await pipe.rows('select from inbox_waiting')).toEqual([]);
  });

  test('a message without a partition in its subject is read as well', async () => {
    pipe.relay();
    await eventually(async () => (await pipe.storedMessages()) === 0);
    pipe.consumer();
    const event = pipe.event(uuidv7(), 1);
    await jetstream(pipe.connection).publish('ates.tasks.task.completed.v1', JSON.stringify({ ...event, sequence: '1' }));
    await eventually(async () => (await pipe.effectCount()) === 1);
  });

  test('a consumer that starts anew goes on where it stopped', async () => {
    pipe.relay();
    const first = pipe.consumer();
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    await first.stop();
    await pipe.record(pipe.event(uuidv7(), 1));
    pipe.consumer();
    await eventually(async () => (await pipe.effectCount()) === 2);
    expect(await pipe.rows('select from inbox')).toHaveLength(2);
  });

  test('the outbox tells its age and size, and is unready when its oldest unpublished event is too old', async () => {
    const relay = pipe.relay({ maxAgeMs: 200 });
    await eventually(() => relay.facts().leads);
    expect(relay.check()).toBeNull();
    await pipe.killServer();
    try {
      await pipe.record(pipe.event(uuidv7(), 1), pipe.event(uuidv7(), 1));
      await eventually(() => /^2 events wait in the outbox, the oldest for \d+ s \(limit 0\.2 s\)/.test(relay.check() ?? ''), 15_000);
      expect(relay.facts()).toMatchObject({ unpublished: 2 });
    } finally {
      await pipe.startServer();
    }
    await eventually(() => relay.check() === null && relay.facts().unpublished === 0, 15_000);
  });
});
