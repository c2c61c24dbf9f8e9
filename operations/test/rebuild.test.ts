import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { natsUrl } from '../../scripts/embedded-nats.ts';
import { OPERATOR } from '../../scripts/nats-access.ts';
import { eventually, startTestService, type TestService } from '../../scripts/test-service.ts';
import { runCommand, startCommand } from './command-line.ts';
import { ensureStreams, eventLike, publishAll, type TestEvent } from './published.ts';

/** What is no read model: these tables are the pipe's and the migrations'. */
const INFRASTRUCTURE = ['inbox', 'inbox_positions', 'inbox_versions', 'inbox_waiting', 'mikro_orm_migrations', 'parked_events'];
const DAYS = Array.from({ length: 5 }, (_, day) => `2026-11-${10 + day}`);
const TIME_ZONE = { BUSINESS_TIME_ZONE: 'Pacific/Auckland' };

const environmentOf = (service: TestService): NodeJS.ProcessEnv => {
  const port = Number(service.nats.getServer().split(':').at(-1));
  return { ANALYTICS_DATABASE_URL: service.database.url, NATS_URL: natsUrl({ port, user: OPERATOR, password: 'test' }) };
};

const startAnalytics = async (): Promise<TestService> => {
  const service = await startTestService('analytics', TIME_ZONE);
  await ensureStreams(service.nats);
  return service;
};

const modelTables = async (service: TestService): Promise<string[]> => {
  const tables = await service.sql<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public' order by 1`);
  return tables.map(({ name }) => name).filter((name) => !INFRASTRUCTURE.includes(name));
};

/** Every row of the read model, in an order of their own. */
const dump = async (service: TestService): Promise<Record<string, string[]>> => {
  const tables = await modelTables(service);
  const rows = await Promise.all(tables.map((table) => service.sql<{ row: string }>(`select t::text as row from ${table} as t order by 1`)));
  return Object.fromEntries(tables.map((table, index) => [table, (rows[index] ?? []).map(({ row }) => row)]));
};

const applied = async (service: TestService): Promise<number> => (await service.sql<{ count: number }>('select count(*)::int as count from inbox'))[0]?.count ?? 0;
const appliedAll = (service: TestService, count: number) => eventually(async () => (await applied(service)) === count, 30_000);

/** Events of every type: people who sign in, and tasks from their creation to the money. */
const story = (tasks: number): TestEvent[] => {
  const days = DAYS.map((businessDay) => eventLike('tasks.day_ended.v1', randomUUID(), { version: 1, businessDay }));
  const people = Array.from({ length: Math.max(Math.floor(tasks / 10), 3) }, () => ({ id: randomUUID(), account: randomUUID(), version: 0 }));
  const attempt = (index: number) => ({ version: 1, attemptedAt: `${DAYS[index % DAYS.length]}T11:30:00.000Z` });
  const signIns = people.flatMap(({ id }, index) => [
    eventLike('user.created.v1', id, { version: 1 }),
    eventLike('user.authenticated.v1', randomUUID(), attempt(index)),
    eventLike('user.denied.v1', randomUUID(), attempt(index + 1)),
  ]);
  const lives = Array.from({ length: tasks }, (_, index) => {
    const task = randomUUID();
    const person = people[index % people.length]!;
    const businessDay = DAYS[index % DAYS.length]!;
    const posted = (dataschema: string, kind: string, amount: number) => {
      const entry = { id: randomUUID(), kind, amount, balanceAfter: amount, description: `${kind} ${index}`, taskId: task, businessDay, postedAt: `${businessDay}T10:15:00.000Z` };
      return eventLike(dataschema, person.account, { version: ++person.version, ownerId: person.id, entry });
    };
    return [
      eventLike(index % 2 === 0 ? 'task.created.v2' : 'task.created.v1', task, { version: 1, number: index + 1 }),
      eventLike('task.assigned.v1', task, { version: 2, assigneeId: person.id, businessDay }),
      eventLike('task.priced.v1', task, { version: 1, reward: 1_000 + index }),
      posted('account.charged.v1', 'FEE', -10 - index),
      eventLike('task.completed.v1', task, { version: 3, assigneeId: person.id, businessDay, completedAt: `${businessDay}T12:00:00.000Z` }),
      posted('account.rewarded.v1', 'REWARD', 1_000 + index),
      eventLike('account.balance_changed.v1', person.account, { version: ++person.version, ownerId: person.id, balance: index }),
    ];
  });
  return [...days, ...signIns, ...lives.flat()];
};

describe('npm run rebuild -- analytics', () => {
  let analytics: TestService;
  let published: TestEvent[];
  beforeAll(async () => {
    analytics = await startAnalytics();
    published = story(300);
    await publishAll(analytics.nats, published);
    await appliedAll(analytics, published.length);
  }, 90_000);
  afterAll(() => analytics?.stop());

  const rebuild = () => runCommand('rebuild', ['analytics'], environmentOf(analytics));

  test('in quiet gives the same rows, and says how many events of how many it read', async () => {
    const before = await dump(analytics);
    const { code, stdout } = await rebuild();
    expect(stdout).toMatch(new RegExp(`^The read model of analytics is empty; ${published.length} events are read again\\.\nDone: ${published.length} events in \\d+\\.\\d s \\(\\d+ per second\\)\\.\n$`));
    expect(code).toBe(0);
    expect(await dump(analytics)).toEqual(before);
    process.stderr.write(stdout);
  }, 60_000);

  test('while events come gives the rows of a service that reads the streams for the first time', async () => {
    const more = story(100);
    const publishing = (async () => {
      for (let index = 0; index < more.length; index += 20) await publishAll(analytics.nats, more.slice(index, index + 20));
    })();
    expect(await rebuild()).toMatchObject({ code: 0 });
    await publishing;
    published = [...published, ...more];
    await appliedAll(analytics, published.length);
    const fresh = await startAnalytics();
    try {
      await publishAll(fresh.nats, published);
      await appliedAll(fresh, published.length);
      expect(await dump(analytics)).toEqual(await dump(fresh));
    } finally {
      await fresh.stop();
    }
  }, 90_000);

  test('killed after its transaction leaves a service that finishes by itself', async () => {
    const before = await dump(analytics);
    const command = startCommand('rebuild', ['analytics'], environmentOf(analytics));
    await eventually(() => command.stdout().includes('is empty'), 20_000);
    command.child.kill('SIGKILL');
    expect((await command.ended).stdout).not.toContain('Done');
    await appliedAll(analytics, published.length);
    expect(await dump(analytics)).toEqual(before);
  }, 60_000);

  test('discards again what was discarded', async () => {
    const [poison] = published.filter(({ dataschema }) => dataschema === 'task.completed.v1');
    await analytics.sql(`alter table completions add constraint no_poison check (task_id <> '${poison!.subject}') not valid`);
    try {
      expect(await rebuild()).toMatchObject({ code: 0 });
      const [{ id }] = (await eventually(async () => {
        const rows = await analytics.sql<{ id: number }>('select id from parked_events where outcome is null');
        return rows.length === 1 && rows;
      })) as [{ id: number }];
      expect(await runCommand('events', ['discard', `analytics-${id}`, '--why', 'a test'], environmentOf(analytics))).toMatchObject({ code: 0 });
      const before = await dump(analytics);
      expect(before['completions']).not.toContainEqual(expect.stringContaining(poison!.subject));
      expect(await rebuild()).toMatchObject({ code: 0 });
      await eventually(async () => (await analytics.sql(`select from parked_events where outcome = 'DISCARDED'`)).length === 1);
      expect(await dump(analytics)).toEqual(before);
    } finally {
      await analytics.sql('alter table completions drop constraint no_poison');
      await analytics.sql('delete from parked_events');
      expect(await rebuild()).toMatchObject({ code: 0 });
    }
  }, 90_000);

  test('forgets no table: all but the pipe’s own are emptied', async () => {
    const tables = await modelTables(analytics);
    const counts = `select ${tables.map((table) => `(select count(*)::int from ${table}) as ${table}`).join(', ')}`;
    const [full] = await analytics.sql<Record<string, number>>(counts);
    expect(Object.values(full!)).not.toContain(0);
    // Undone again: the block fails with what it counted.
    const emptied = analytics.sql(`do $$ begin perform empty_read_model(); raise exception '%', (select row_to_json(counted) from (${counts}) as counted); end $$`);
    await expect(emptied).rejects.toThrow(JSON.stringify(Object.fromEntries(tables.map((table) => [table, 0]))));
    expect((await analytics.sql<Record<string, number>>(counts))[0]).toEqual(full);
  });

  test('is refused for services whose state is their own', async () => {
    const refusals = await Promise.all(['users', 'tasks', 'accounting'].map((service) => runCommand('rebuild', [service], environmentOf(analytics))));
    expect(refusals.map(({ code }) => code)).toEqual([1, 1, 1]);
    expect(refusals[2]?.stderr).toContain('append-only');
    expect(await runCommand('rebuild', ['billing'], {})).toMatchObject({ code: 2, stderr: expect.stringContaining('Only analytics can be rebuilt') });
    expect(await runCommand('rebuild', [], {})).toMatchObject({ code: 2 });
    expect(await runCommand('rebuild', ['--help'], {})).toMatchObject({ code: 0, stdout: expect.stringContaining('npm run -s rebuild -- analytics') });
  });
});

describe('npm run rebuild -- analytics, when a stream has lost history', () => {
  let analytics: TestService;
  beforeAll(async () => {
    analytics = await startAnalytics();
    const events = story(10);
    await publishAll(analytics.nats, events);
    await appliedAll(analytics, events.length);
  }, 60_000);
  afterAll(() => analytics?.stop());

  const expectRefusal = async (reason: string) => {
    const before = await dump(analytics);
    expect(await runCommand('rebuild', ['analytics'], environmentOf(analytics))).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(new RegExp(`nothing was done: .*${reason}`)) });
    expect(await dump(analytics)).toEqual(before);
  };

  test('does nothing', async () => {
    const manager = await jetstreamManager(analytics.nats);
    await manager.streams.deleteMessage('ACCOUNTING', 2, true);
    await expectRefusal('1 message of the stream ACCOUNTING was deleted');
    await manager.streams.purge('ACCOUNTING', { seq: 4 });
    await expectRefusal('the stream ACCOUNTING begins at position 4');
    await manager.streams.delete('ACCOUNTING');
    await expectRefusal('there is no stream ACCOUNTING');
    await ensureStreams(analytics.nats);
    await expectRefusal('the stream ACCOUNTING (ends at position 0|holds 0 messages)');
  }, 60_000);
});
