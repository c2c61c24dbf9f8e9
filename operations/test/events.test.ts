import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { PipeFixture } from '../../shared-events/test/pipe-fixture.ts';
import { natsUrl } from '../../scripts/embedded-nats.ts';
import { OPERATOR } from '../../scripts/nats-access.ts';
import { eventually, startTestService, type TestService } from '../../scripts/test-service.ts';
import { runCommand, startCommand } from './command-line.ts';
import { ensureStreams, eventLike, publishAll } from './published.ts';

const COMMANDS = ['parked', 'show', 'replay', 'discard', 'lag', 'tail'];

describe('npm run events, on a service with parked events', () => {
  let accounting: TestService;
  let environment: NodeJS.ProcessEnv;
  beforeAll(async () => {
    accounting = await startTestService('accounting');
    await ensureStreams(accounting.nats);
    const port = Number(accounting.nats.getServer().split(':').at(-1));
    environment = { ACCOUNTING_DATABASE_URL: accounting.database.url, NATS_URL: natsUrl({ port, user: OPERATOR, password: 'test' }) };
  }, 60_000);
  afterAll(() => accounting?.stop());

  const events = (...args: string[]) => runCommand('events', args, environment);
  const nameOf = async (user: string) => (await accounting.sql<{ name: string }>('select name from user_copies where user_id = $1', [user]))[0]?.name;

  /** A user whom the database refuses until `mend`, and two later events of theirs. */
  const parkOne = async () => {
    const user = randomUUID();
    const constraint = `no_${user.replaceAll('-', '_')}`;
    await accounting.sql(`alter table user_copies add constraint ${constraint} check (user_id <> '${user}')`);
    await publishAll(accounting.nats, [
      eventLike('user.created.v1', user, { version: 1 }),
      eventLike('user.authenticated.v1', user, { version: 2 }),
      eventLike('user.authenticated.v1', user, { version: 3 }),
    ]);
    await eventually(async () => (await accounting.sql('select from inbox_waiting where aggregate_id = $1', [user])).length === 2);
    const parked = await eventually(async () => (await accounting.sql<{ id: number }>('select id from parked_events where aggregate_id = $1', [user]))[0]);
    return { user, constraint, id: `accounting-${parked.id}`, mend: () => accounting.sql(`alter table user_copies drop constraint ${constraint}`) };
  };

  test('parked lists them, with why and how many wait, in lines that fit a terminal', async () => {
    const { user, id, constraint } = await parkOne();
    const { code, stdout } = await events('parked', '--service', 'accounting');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ID +SERVICE +SOURCE +TYPE +VER +WAITING +PARKED AT \(UTC\)\n/);
    expect(stdout).toMatch(new RegExp(`\n${id} +accounting +users +user.created.v1 +1 +2 +20\\d\\d-\\d\\d-\\d\\d \\d\\d:\\d\\d\n    aggregate ${user}\n    new row for relation "user_copies" violates check constraint "${constraint.slice(0, 10)}`));
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(stdout).not.toContain('\u001B');
  });

  test('show tells everything of one: the reason, the message, and what waits behind it', async () => {
    const { user, id } = await parkOne();
    const { code, stdout } = await events('show', id);
    expect(code).toBe(0);
    for (const text of [id, user, 'violates check constraint', `  "subject": "${user}"`, '    "name"', 'decision     none yet', '2 later events of its aggregate wait behind it', 'version 3  user.authenticated.v1']) expect(stdout).toContain(text);
  });

  test('replay tells that the event failed again, and after mending that it and what waited were applied', async () => {
    const { user, id, mend } = await parkOne();
    const failed = await events('replay', id);
    expect(failed).toMatchObject({ code: 1, stdout: expect.stringMatching(new RegExp(`^${id}: not applied, parked again: new row .* violates check constraint`)) });
    expect(await nameOf(user)).toBeUndefined();
    await mend();
    expect(await events('replay', id)).toEqual({ code: 0, stdout: `${id}: applied; 2 later events that waited behind it were applied\n`, stderr: expect.anything() });
    expect(await nameOf(user)).toBeDefined();
    expect(await accounting.sql('select from inbox_waiting where aggregate_id = $1', [user])).toEqual([]);
    expect(await events('replay', id)).toMatchObject({ code: 1, stderr: expect.stringContaining('was replayed on') });
  });

  test('replay --all tries every open one', async () => {
    const [one, other] = [await parkOne(), await parkOne()];
    await one.mend();
    const { code, stdout } = await events('replay', '--all', '--service', 'accounting');
    expect(stdout).toContain(`${one.id}: applied`);
    expect(stdout).toContain(`${other.id}: not applied, parked again`);
    expect(code).toBe(1);
    expect(await nameOf(one.user)).toBeDefined();
  });

  test('discard wants a reason, keeps it, and lets what waited go on', async () => {
    const { user, id } = await parkOne();
    expect(await events('discard', id)).toMatchObject({ code: 2, stderr: expect.stringContaining(`npm run events -- discard ${id} --why`) });
    expect(await events('discard', id, '--why', 'a test made it')).toMatchObject({ code: 0, stdout: `${id}: discarded; 2 later events that waited behind it were applied\n` });
    expect(await nameOf(user)).toBeUndefined();
    expect(await accounting.sql('select outcome, why from parked_events where aggregate_id = $1', [user])).toEqual([{ outcome: 'DISCARDED', why: 'a test made it' }]);
    expect((await events('show', id)).stdout).toContain('a test made it');
    expect(await events('replay', id)).toMatchObject({ code: 1, stderr: expect.stringMatching(/was discarded on .* \("a test made it"\)/) });
    expect((await events('parked')).stdout).not.toContain(`${id} `);
  });

  test('a message that can not be read is listed, shown as it is, and discarded', async () => {
    await jetstream(accounting.nats).publish('ates.tasks.task.assigned.v1', 'no event at all');
    const { id } = await eventually(async () => (await accounting.sql<{ id: number }>(`select id from parked_events where message = 'no event at all' and outcome is null`))[0]);
    expect((await events('parked')).stdout).toMatch(new RegExp(`accounting-${id} +accounting +tasks +unreadable +- +-`));
    expect((await events('show', `accounting-${id}`)).stdout).toContain('\nno event at all\n');
    expect(await events('replay', `accounting-${id}`)).toMatchObject({ code: 1, stdout: expect.stringContaining('The message is no JSON') });
    expect(await events('discard', `accounting-${id}`, '--why', 'garbage')).toMatchObject({ code: 0, stdout: `accounting-${id}: discarded\n` });
  });

  test('lag tells of streams, outboxes and consumers', async () => {
    await parkOne();
    const { code, stdout } = await events('lag');
    expect(code).toBe(0);
    expect(stdout).toMatch(/STREAM +MESSAGES +SIZE +FIRST +LAST +OUTBOX +OLDEST\n/);
    expect(stdout).toMatch(/\nUSERS +\d+ +\d+\.\d KiB +1 +\d+ +\? +\?\n/);
    expect(stdout).toMatch(/\nACCOUNTING +\d+ +\d+.* +\d+ +-\n/);
    expect(stdout).toMatch(/\naccounting +USERS +0 +[1-9]\d* +[1-9]\d* +1\n    positions( \d+){8}, unpartitioned 0\n/);
  });

  test('lag counts what a service has not applied', async () => {
    const user = randomUUID();
    // Transient for the consumer, so it tries on and on: nothing of the stream is applied meanwhile.
    await accounting.sql('alter table user_copies rename to user_copies_away');
    try {
      await publishAll(accounting.nats, [1, 2, 3].map((version) => eventLike('user.created.v1', user, { version })));
      await eventually(async () => /\naccounting +USERS +3 /.test((await events('lag')).stdout), 20_000);
    } finally {
      await accounting.sql('alter table user_copies_away rename to user_copies');
    }
    await eventually(async () => /\naccounting +USERS +0 /.test((await events('lag')).stdout), 20_000);
  }, 60_000);

  test('lag --watch goes on until it is interrupted', async () => {
    const watch = startCommand('events', ['lag', '--watch'], environment);
    await eventually(() => watch.stdout().split('STREAM').length > 2, 20_000);
    watch.child.kill('SIGINT');
    expect((await watch.ended).code).toBe(0);
  });

  test('tail prints events as they are published, of the wanted type only, until it is interrupted', async () => {
    const user = randomUUID();
    const tail = startCommand('events', ['tail', '--service', 'users', '--type', 'user.created'], environment);
    const whole = startCommand('events', ['tail', '--json'], environment);
    await eventually(() => tail.stderr().includes('listening to USERS') && whole.stderr().includes('listening to USERS, TASKS, ACCOUNTING'), 20_000);
    const [created, authenticated] = [eventLike('user.created.v1', user, { version: 1 }), eventLike('user.authenticated.v1', user, { version: 2 })];
    await publishAll(accounting.nats, [created, authenticated]);
    await eventually(() => tail.stdout().endsWith('\n') && whole.stdout().split('\n').length > 2);
    tail.child.kill('SIGINT');
    whole.child.kill('SIGINT');
    const [lines, envelopes] = [await tail.ended, await whole.ended];
    expect([lines.code, envelopes.code]).toEqual([0, 0]);
    expect(lines.stdout).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} +\\d+ ates\\.users\\.user\\.created\\.v1\\.\\d +${user} v1 \\{.*\\}\n$`));
    expect(envelopes.stdout.trim().split('\n').map((line) => JSON.parse(line))).toEqual([expect.objectContaining({ id: created.id }), expect.objectContaining({ id: authenticated.id })]);
  });

  test('tail --from begins in the past', async () => {
    await publishAll(accounting.nats, [eventLike('user.created.v1', randomUUID(), { version: 1 })]);
    const tail = startCommand('events', ['tail', '--service', 'users', '--from', '1'], environment);
    await eventually(() => / 1 ates\.users\./.test(tail.stdout()), 20_000);
    tail.child.kill('SIGINT');
    expect((await tail.ended).code).toBe(0);
  });

  test.each([
    [['tail', '--from', '1'], 2, 'say which by --service or --type'],
    [['tail', '--type', 'task.eaten'], 2, 'These are: user.created'],
    [['tail', '--service', 'analytics'], 2, 'These do: users, tasks, accounting'],
    [['parked', '--service', 'users'], 2, 'These do: tasks, accounting, analytics'],
    [['parked', '--service', 'tasks'], 1, 'set TASKS_DATABASE_URL as well'],
    [['parked', '--loud'], 2, "Unknown option '--loud'"],
    [['parked', 'everything'], 2, '"everything" is too much'],
    [['show'], 2, 'Usage: npm run -s events -- show <id>'],
    [['show', '17'], 2, 'They are like analytics-17'],
    [['show', 'accounting-999999'], 1, 'There is no parked event accounting-999999'],
    [['replay'], 2, 'Say which'],
    [['replay', '--wait', 'long', '--all'], 2, '--wait must be a whole number'],
    [['destroy'], 2, 'These are: parked, show, replay, discard, lag, tail'],
    [[], 2, 'What to do is missing'],
  ])('%j ends with %i and says what to do', async (args, code, text) => {
    expect(await events(...args)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(text) });
  });
});

describe('npm run events', () => {
  const events = (args: string[], environment: NodeJS.ProcessEnv = {}) => runCommand('events', args, environment);

  test('--help lists the commands, and each has its own', async () => {
    const { code, stdout } = await events(['--help']);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    const helps = await Promise.all(COMMANDS.map((command) => events([command, '--help'])));
    for (const [index, help] of helps.entries()) expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining(`npm run -s events -- ${COMMANDS[index]}`) });
    for (const text of [stdout, ...helps.map((help) => help.stdout)]) expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(130);
  });

  test('says so when no stack runs, or one that was killed left its traces', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ates-test-'));
    try {
      expect(await events(['parked'], { DATA_DIR: folder })).toMatchObject({ code: 1, stderr: expect.stringContaining('No stack runs on') });
      const { pid } = spawnSync(process.execPath, ['--version']);
      writeFileSync(join(folder, 'running.json'), JSON.stringify({ pid, parts: { postgres: { pid, port: 1, lastArgument: 'postgres' } } }));
      expect(await events(['parked'], { DATA_DIR: folder })).toMatchObject({ code: 1, stderr: expect.stringContaining('does not run any more') });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('says so when the database or NATS does not answer', async () => {
    const nothing = { ACCOUNTING_DATABASE_URL: 'postgres://accounting:secret@127.0.0.1:9/accounting', NATS_URL: 'nats://operator:secret@127.0.0.1:9' };
    const [parked, tail] = await Promise.all([events(['parked'], nothing), events(['tail'], nothing)]);
    expect(parked).toMatchObject({ code: 1, stderr: expect.stringContaining("accounting's database at 127.0.0.1:9 does not answer") });
    expect(tail).toMatchObject({ code: 1, stderr: expect.stringContaining("NATS at 127.0.0.1:9 can't be used") });
    expect(parked.stderr + tail.stderr).not.toContain('secret');
  });

  test('says so when the service does not run; what was decided stays', async () => {
    const pipe = await PipeFixture.open();
    try {
      await pipe.pool.query(`insert into parked_events (source, message_key, reason, message) values ('/tasks', 'TASKS:1', 'no JSON', 'x')`);
      const [{ id } = { id: 0 }] = await pipe.rows<{ id: number }>('select id from parked_events');
      const replayed = await events(['replay', `accounting-${id}`, '--wait', '1'], { ACCOUNTING_DATABASE_URL: pipe.database.url });
      expect(replayed).toMatchObject({ code: 1, stdout: expect.stringContaining("accounting isn't running") });
      expect(await pipe.rows('select command, outcome from parked_events')).toEqual([{ command: 'REPLAY', outcome: null }]);
      expect((await events(['parked'], { ACCOUNTING_DATABASE_URL: pipe.database.url })).stdout).toContain('REPLAY was decided and is not carried out yet');
    } finally {
      await pipe.close();
    }
  });
});
