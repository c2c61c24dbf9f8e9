import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../scripts/test-service.ts';
import { UNPARTITIONED } from '../src/streams.ts';
import { PipeFixture, upTo } from './pipe-fixture.ts';

const HANDED_OVER_WITHIN_MS = 5_000;

describe('several replicas', () => {
  let pipe: PipeFixture;
  beforeAll(async () => {
    pipe = await PipeFixture.open();
  });
  afterEach(() => pipe.reset());
  afterAll(() => pipe?.close());

  const aggregates = Array.from({ length: 16 }, (_, index) => uuidv7().slice(0, -2) + index.toString(16).padStart(2, '0'));
  const terminate = (applicationName: string, count: number) =>
    pipe.asSuperuser(
      `select pg_terminate_backend(pid) from (select pid from pg_stat_activity where application_name = $1 and datname = $2 order by pid limit $3) as session`,
      [applicationName, new URL(pipe.database.url).pathname.slice(1), count],
    );

  test('of several relays one leads, and when its session ends another one takes over', async () => {
    const relays = [pipe.relay(), pipe.relay(), pipe.relay()];
    pipe.consumer();
    const leaders = () => relays.filter((relay) => relay.facts().leads).length;
    await eventually(() => leaders() === 1);
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 1);
    await terminate('tasks-relay', 3);
    await pipe.record(pipe.event(uuidv7(), 1));
    await eventually(async () => (await pipe.effectCount()) === 2);
    await eventually(() => leaders() === 1);
    expect(await pipe.storedMessages()).toBe(2);
  });

  test('the replicas of a consumer share the partitions, each owned by one', async () => {
    const replicas = ['one', 'two', 'three'].map((replica) => pipe.consumer({ replica }));
    pipe.relay();
    const owned = () => replicas.map((consumer) => consumer.facts().partitions);
    await eventually(() => owned().flat().length === UNPARTITIONED + 1 && owned().every(({ length }) => length === 3));
    expect(new Set(owned().flat()).size).toBe(UNPARTITIONED + 1);
    await pipe.recordMany(aggregates, 1, 5);
    await eventually(async () => (await pipe.effectCount()) >= 80);
    const shared = await pipe.rows<{ replica: string; aggregate_id: string }>('select distinct replica, aggregate_id::text from effects');
    expect(shared).toHaveLength(16);
    expect(new Set(shared.map(({ replica }) => replica)).size).toBeGreaterThan(1);
  });

  test('what a replica owned is handed over within 5 s when it ends, crashes or comes, and nothing takes effect twice', async () => {
    pipe.relay();
    const one = pipe.consumer({ replica: 'one' });
    const two = pipe.consumer({ replica: 'two' });
    const share = (consumer: typeof one) => consumer.facts().partitions.length;
    await eventually(() => share(one) + share(two) === UNPARTITIONED + 1 && share(one) > 0 && share(two) > 0);
    const writing = pipe.recordMany(aggregates, 1, 60);
    await eventually(async () => (await pipe.effectCount()) > 100);
    await one.stop();
    await eventually(() => share(two) === UNPARTITIONED + 1, HANDED_OVER_WITHIN_MS);
    const three = pipe.consumer({ replica: 'three' });
    await eventually(() => share(three) > 0 && share(two) + share(three) === UNPARTITIONED + 1, HANDED_OVER_WITHIN_MS);
    // The sessions that own the partitions are gone: whoever is there afterwards takes them.
    await terminate('lease of TASKS', 2);
    await eventually(() => share(two) + share(three) === UNPARTITIONED + 1, HANDED_OVER_WITHIN_MS);
    await writing;
    await eventually(async () => (await pipe.effectCount()) >= 16 * 60);
    for (const own of (await pipe.versions()).values()) expect(own).toEqual(upTo(60));
  });

  test('one partition is applied by one replica at a time', async () => {
    let inside = 0;
    let most = 0;
    const extra = async () => {
      most = Math.max(most, (inside += 1));
      await new Promise((resume) => setTimeout(resume, 5));
      inside -= 1;
    };
    const replicas = [pipe.consumer({ replica: 'one', extra }), pipe.consumer({ replica: 'two', extra })];
    await eventually(() => replicas.every((consumer) => consumer.facts().partitions.length === 0));
    pipe.relay();
    const [aggregate = ''] = aggregates;
    await pipe.recordMany([aggregate], 1, 40);
    await eventually(async () => (await pipe.effectCount()) >= 40);
    expect(most).toBe(1);
    expect((await pipe.versions()).get(aggregate)).toEqual(upTo(40));
  });
});
