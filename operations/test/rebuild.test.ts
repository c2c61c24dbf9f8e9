import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { openDatabase } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import pg from 'pg';
import { createTestDatabase, eventually, type TestService } from '../../scripts/test-service.ts';
import { MIGRATIONS } from '../../subgraphs/analytics/migrations/all.ts';
import { runCommand, startCommand } from './command-line.ts';
import { ensureStreams, publishAll, type TestEvent } from './published.ts';
import { appliedAll, definitions, dump, environmentOf, modelTables, noteTimeZone, startAnalytics, story } from './rebuild-fixture.ts';

const DONE = /^A new read model of analytics is being made beside the one in use, of (\d+) events\.\nDone: \1 events in \d+\.\d s \(\d+ per second\); the switch took \d+ m?s\.\n$/;

/** A session as the service's, or as the owner's. */
const withSession = async <Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

/** Resolves when the switch waits for a lock. Sessions see the statements of their own role only. */
const isWaiting = (url: string) =>
  withSession(url, (client) =>
    eventually(async () => (await client.query(`select from pg_stat_activity where application_name = 'operator' and query ~ 'switch_read_model' and wait_event_type = 'Lock'`)).rowCount === 1, 8_000),
  );

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

  const rebuild = (environment: NodeJS.ProcessEnv = {}) => runCommand('rebuild', ['analytics'], { ...environmentOf(analytics), ...environment });
  const start = () => startCommand('rebuild', ['analytics'], environmentOf(analytics));

  test('in quiet gives the same rows in tables of the same definition, and says how many events it read', async () => {
    const before = { rows: await dump(analytics.sql), made: await definitions(analytics.sql) };
    const { code, stdout, stderr } = await rebuild();
    expect({ code, stderr, events: DONE.exec(stdout)?.[1] }).toEqual({ code: 0, stderr: '', events: String(published.length) });
    expect({ rows: await dump(analytics.sql), made: await definitions(analytics.sql) }).toEqual(before);
    expect(await analytics.sql(`select from pg_namespace where nspname = 'rebuild_model'`)).toEqual([]);
    process.stderr.write(stdout);
  }, 60_000);

  test('while events come is seen by no reader, and ends with the rows of a service that reads the streams for the first time', async () => {
    const reading = new AbortController();
    const publishing = (async () => {
      for (const more: TestEvent[] = []; ; await delay(20)) {
        if (reading.signal.aborted) return more;
        const some = story(5);
        await publishAll(analytics.nats, some);
        more.push(...some);
      }
    })();
    const seen: { entries: number; completed: number; differs: boolean }[] = [];
    // One prepared statement of one session, as the service's: it goes on over the switch.
    const reader = withSession(analytics.database.url, async (client) => {
      const text = `select entries::int, completed::int, earned <> earnings as differs from
        (select count(*) as entries, -sum(amount) filter (where kind <> 'PAYOUT') as earned from audit_entries where day >= $1) as entry,
        (select sum(completed) as completed, sum(company_earnings) as earnings from day_totals where day >= $1) as day`;
      while (!reading.signal.aborted) seen.push((await client.query({ name: 'seen', text, values: ['2026-01-01'] })).rows[0]);
    });
    expect(await rebuild()).toMatchObject({ code: 0 });
    const entries = seen.at(-1)?.entries ?? 0;
    await eventually(() => (seen.at(-1)?.entries ?? 0) > entries);
    reading.abort();
    published = [...published, ...(await publishing)];
    await appliedAll(analytics, published.length);
    await reader;
    expect(seen.filter(({ differs }) => differs)).toEqual([]);
    for (const figure of ['entries', 'completed'] as const) expect(seen.map((row) => row[figure])).toEqual(seen.map((row) => row[figure]).toSorted((one, other) => one - other));
    const fresh = await startAnalytics();
    try {
      await publishAll(fresh.nats, published);
      await appliedAll(fresh, published.length);
      expect(await dump(analytics.sql)).toEqual(await dump(fresh.sql));
    } finally {
      await fresh.stop();
    }
  }, 90_000);

  test('killed in the middle has changed nothing, and the next one begins anew', async () => {
    const before = await dump(analytics.sql);
    const command = start();
    await eventually(async () => (await analytics.sql(`select from pg_class where relname = 'inbox' and relnamespace = to_regnamespace('rebuild_model')`)).length > 0, 20_000);
    command.child.kill('SIGKILL');
    expect((await command.ended).stdout).not.toContain('Done');
    expect(await dump(analytics.sql)).toEqual(before);
    expect(await rebuild()).toMatchObject({ code: 0 });
    expect(await dump(analytics.sql)).toEqual(before);
  }, 60_000);

  /** What happens while the new model is made, and can't be put in place. */
  const meanwhile = (work: () => Promise<unknown>) =>
    withSession(analytics.database.ownerUrl, async (client) => {
      await client.query('begin');
      await client.query('lock table inbox_positions in row exclusive mode');
      const command = start();
      await eventually(() => command.stdout().includes('is being made'), 20_000);
      await work();
      await client.query('commit');
      return command.ended;
    });

  test('is refused while another one is under way, which waits for whoever is at the model', async () => {
    const first = await meanwhile(async () => expect(await rebuild()).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('is being rebuilt already') }));
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(DONE) });
  }, 60_000);

  test('does not take the place of tables that were changed meanwhile, nor bring back what was discarded meanwhile', async () => {
    const before = await dump(analytics.sql);
    const migrated = await meanwhile(() => analytics.sql(`insert into mikro_orm_migrations (name) values ('Later')`));
    await analytics.sql(`delete from mikro_orm_migrations where name = 'Later'`);
    expect(migrated).toMatchObject({ code: 1, stderr: expect.stringContaining('the tables were changed meanwhile. The one in use is as it was') });
    const discarded = await meanwhile(() =>
      analytics.sql(`insert into parked_events (source, message_key, aggregate_id, version, reason, message, outcome, settled_at)
        select source, 'a message', aggregate_id, version, 'a reason', '{}', 'DISCARDED', now() from inbox_versions limit 1`),
    );
    await analytics.sql('delete from parked_events');
    expect(discarded).toMatchObject({ code: 1, stderr: expect.stringContaining('an event was discarded meanwhile') });
    expect(await dump(analytics.sql)).toEqual(before);
  }, 60_000);

  test('waits for a reader who holds one table and goes on to the next', async () => {
    await withSession(analytics.database.url, async (client) => {
      await client.query('begin');
      const before = (await client.query('select count(*) from day_totals')).rows;
      const command = start();
      await isWaiting(analytics.database.url);
      expect((await client.query('select (select count(*) from audit_entries), (select count(*) from completions), (select count(*) from user_copies)')).rows).toHaveLength(1);
      expect((await client.query('select count(*) from day_totals')).rows).toEqual(before);
      await client.query('commit');
      expect(await command.ended).toMatchObject({ code: 0 });
    });
  }, 60_000);

  test('needs no running service', async () => {
    const tables = await createTestDatabase('analytics');
    const database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('analytics', 'fatal') });
    try {
      await noteTimeZone(database.sql);
      expect(await rebuild({ ANALYTICS_DATABASE_URL: tables.url })).toMatchObject({ code: 0 });
      expect(await dump(database.sql)).toEqual(await dump(analytics.sql));
    } finally {
      await database.close();
      await tables.drop();
    }
  }, 60_000);

  test('parks what can’t be applied, and discards again what was discarded, even if it could be applied by then', async () => {
    const few = await startAnalytics();
    const rebuildFew = () => runCommand('rebuild', ['analytics'], environmentOf(few));
    const events = story(20);
    const [poison] = events.filter(({ dataschema }) => dataschema === 'task.completed.v1');
    try {
      await publishAll(few.nats, events);
      await appliedAll(few, events.length);
      await few.sql(`alter table completions add constraint no_poison check (task_id <> '${poison!.subject}') not valid`);
      expect(await rebuildFew()).toMatchObject({ code: 0, stderr: expect.stringContaining('1 event of analytics is parked') });
      const [{ id }] = (await few.sql('select id from parked_events where outcome is null')) as [{ id: number }];
      expect(await runCommand('events', ['discard', `analytics-${id}`, '--why', 'a test'], environmentOf(few))).toMatchObject({ code: 0 });
      const before = await dump(few.sql);
      expect(before['completions']).not.toContainEqual(expect.stringContaining(poison!.subject));
      expect(await rebuildFew()).toMatchObject({ code: 0, stderr: '' });
      expect(await dump(few.sql)).toEqual(before);
      await few.sql('alter table completions drop constraint no_poison');
      expect(await rebuildFew()).toMatchObject({ code: 0, stderr: '' });
      expect(await dump(few.sql)).toEqual(before);
      expect(await few.sql('select outcome, why from parked_events')).toEqual([{ outcome: 'DISCARDED', why: 'a test' }]);
      await few.sql('delete from parked_events');
      expect(await rebuildFew()).toMatchObject({ code: 0 });
      expect((await dump(few.sql))['completions']).toContainEqual(expect.stringContaining(poison!.subject));
    } finally {
      await few.stop();
    }
  }, 60_000);

  test('forgets no table: all but the pipe’s own are made again', async () => {
    const [{ tables }] = (await analytics.sql('select rebuilt_tables() as tables')) as [{ tables: string[] }];
    expect(tables.filter((table) => !table.startsWith('inbox')).toSorted()).toEqual(await modelTables(analytics.sql));
    expect(Object.entries(await dump(analytics.sql)).filter(([, rows]) => rows.length === 0)).toEqual([]);
  });

  test('is refused where months that were put away have the names of those that would come back', async () => {
    await analytics.sql('create table audit_entries_2020_01 (day date)');
    try {
      expect(await rebuild()).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/nothing was done: .*audit_entries_2020_01/) });
    } finally {
      await analytics.sql('drop table audit_entries_2020_01');
    }
  }, 30_000);

  test('is refused for services whose state is their own', async () => {
    const refusals = await Promise.all(['users', 'tasks', 'accounting'].map((service) => runCommand('rebuild', [service], environmentOf(analytics))));
    expect(refusals.map(({ code }) => code)).toEqual([1, 1, 1]);
    expect(refusals[2]?.stderr).toContain('append-only');
    expect(await runCommand('rebuild', ['billing'], {})).toMatchObject({ code: 2, stderr: expect.stringContaining('Only analytics can be rebuilt') });
    expect(await runCommand('rebuild', [], {})).toMatchObject({ code: 2 });
    expect(await runCommand('rebuild', ['--help'], {})).toMatchObject({ code: 0, stdout: expect.stringContaining('npm run -s rebuild -- analytics') });
  }, 30_000);
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
    const before = await dump(analytics.sql);
    expect(await runCommand('rebuild', ['analytics'], environmentOf(analytics))).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(new RegExp(`nothing was done: .*${reason}`)) });
    expect(await dump(analytics.sql)).toEqual(before);
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
