import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { createTestDatabase, type TestDatabase } from '../../../scripts/test-service.ts';
import { Migration20261120Tasks } from '../migrations/2026-11-20-tasks.ts';
import { Migration20261121Pipe } from '../migrations/2026-11-21-pipe.ts';
import { endElapsedDays, extendRegister, stampBusinessDay } from '../src/business-day.ts';
import { createTaskCommands } from '../src/task-commands.ts';
import { TaskEntity } from '../src/task.entity.ts';

const at = (moment: string): Date => new Date(moment);

describe('the business day', () => {
  let testDatabase: TestDatabase;
  let database: Database;
  beforeAll(async () => {
    testDatabase = await createTestDatabase('tasks');
    database = await openDatabase({ url: testDatabase.url, ownerUrl: testDatabase.ownerUrl, entities: [TaskEntity], migrations: [Migration20261120Tasks, Migration20261121Pipe], logger: createLogger('test', 'silent') });
  });
  afterEach(async () => {
    for (const table of ['business_days', 'assignments', 'tasks', 'outbox', 'user_copies']) await database.sql(`delete from ${table}`);
  });
  afterAll(async () => {
    await database?.close();
    await testDatabase?.drop();
  });

  const stamp = (moment: string, timeZone = 'UTC') => database.transaction((_em, sql) => stampBusinessDay(sql, timeZone, at(moment)));
  const end = (moment: string, timeZone = 'UTC') => endElapsedDays(database, timeZone, () => at(moment));
  const days = () => database.sql<{ day: string; starts_at: Date; ends_at: Date; ended: boolean }>('select day::text, starts_at, ends_at, ended_at is not null as ended from business_days order by day');
  const markers = async () => (await database.sql<{ data: { businessDay: string } }>(`select data from outbox where type = 'tasks.day_ended' order by seq`)).map(({ data }) => data);

  test.each([
    ['UTC', '2026-11-20T23:59:59Z', '2026-11-20'],
    ['Pacific/Auckland', '2026-11-20T23:59:59Z', '2026-11-21'],
    ['America/New_York', '2026-11-20T03:00:00Z', '2026-11-19'],
  ])('is the calendar date in the business time zone: %s', async (timeZone, moment, day) => {
    expect(await stamp(moment, timeZone)).toBe(day);
  });

  test('that is over is ended once, with a marker that counts what it holds', async () => {
    await database.sql(`insert into user_copies values ('01a1f8f1-0000-7000-8000-000000000001', 'Ann', true)`);
    const commands = createTaskCommands({ database, timeZone: 'UTC', clock: () => at('2026-11-20T12:00:00Z'), random: () => 0 });
    const ann = '01a1f8f1-0000-7000-8000-000000000001';
    const [first] = [await commands.createTask(ann, { title: 'One', description: '' }), await commands.createTask(ann, { title: 'Two', description: '' })];
    await commands.assignTasks(ann);
    const last = await database.sql<{ number: number }>('select max(number) as number from tasks');
    await commands.completeTask(ann, (first as { id: string }).id);
    expect(await end('2026-11-20T23:59:59Z')).toEqual([]);
    const ended = await Promise.all(Array.from({ length: 10 }, () => end('2026-11-21T00:00:00Z')));
    expect(ended.flat()).toEqual(['2026-11-20']);
    expect(await markers()).toEqual([{ version: 1, businessDay: '2026-11-20', endedAt: '2026-11-21T00:00:00.000Z', lastTaskNumber: last[0]?.number, assignments: 4, completions: 1 }]);
  });

  test('that has ended early gives way to the earliest day still open', async () => {
    await stamp('2026-11-20T12:00:00Z');
    await database.sql(`update business_days set ended_at = now() where day = '2026-11-20'`);
    expect(await stamp('2026-11-20T13:00:00Z')).toBe('2026-11-21');
  });

  test('ends one by one, in order, after the service was down for several', async () => {
    await stamp('2026-11-17T12:00:00Z');
    expect(await end('2026-11-20T00:30:00Z')).toEqual(['2026-11-17', '2026-11-18', '2026-11-19']);
    expect((await markers()).map(({ businessDay }) => businessDay)).toEqual(['2026-11-17', '2026-11-18', '2026-11-19']);
  });

  test.each([
    ['America/Santiago', '2026-09-05T12:00:00Z', '2026-09-06'],
    ['Asia/Beirut', '2026-03-28T12:00:00Z', '2026-03-29'],
    ['Africa/Cairo', '2026-04-23T12:00:00Z', '2026-04-24'],
    ['America/Havana', '2026-10-31T12:00:00Z', '2026-11-01'],
  ])('in %s begins where the day before ends, also where daylight saving moves its midnight', async (timeZone, moment, moved) => {
    await extendRegister(database.sql, timeZone, at(moment));
    const register = await days();
    expect(register.map(({ day }) => day)).toContain(moved);
    for (const [index, { starts_at: startsAt }] of register.entries()) if (index > 0) expect(startsAt).toEqual(register[index - 1]?.ends_at);
    const change = register.find(({ day }) => day === moved);
    expect(await stamp(change?.starts_at.toISOString() ?? '', timeZone)).toBe(moved);
  });

  test('that no calendar of the zone has is passed over', async () => {
    await extendRegister(database.sql, 'Pacific/Apia', at('2011-12-29T22:00:00Z'));
    expect((await days()).map(({ day }) => day)).toEqual(['2011-12-29', '2011-12-31']);
  });

  test('has nothing stamped with it after its marker, whatever was in flight at midnight', async () => {
    const before = at('2026-11-20T23:59:59.999Z');
    await stamp(before.toISOString());
    let stamped = 0;
    let goOn = true;
    const stampers = Array.from({ length: 6 }, async (_, stamper) => {
      const commands = createTaskCommands({ database, timeZone: 'UTC', clock: () => before, random: () => 0 });
      while (goOn) {
        await commands.createTask('01a1f8f1-0000-7000-8000-000000000001', { title: `Task of ${stamper}`, description: '' });
        stamped += 1;
      }
    });
    await database.sql(`insert into user_copies values ('01a1f8f1-0000-7000-8000-000000000001', 'Ann', true)`);
    const ender = (async () => {
      while (stamped < 60) await new Promise((resolve) => setTimeout(resolve, 5));
      await end('2026-11-21T00:00:00Z');
      const then = stamped;
      while (stamped < then + 60) await new Promise((resolve) => setTimeout(resolve, 5));
      goOn = false;
    })();
    await Promise.all([...stampers, ender]);
    const events = await database.sql<{ type: string; day: string }>(`select type, data ->> 'businessDay' as day from outbox where type in ('task.assigned', 'tasks.day_ended') order by seq`);
    const marker = events.findIndex(({ type }) => type === 'tasks.day_ended');
    expect(marker).toBeGreaterThan(0);
    expect(events.slice(0, marker).every(({ day }) => day === '2026-11-20')).toBe(true);
    expect(events.slice(marker + 1).every(({ day }) => day === '2026-11-21')).toBe(true);
    expect((await markers())[0]).toMatchObject({ assignments: marker });
  });
});
