import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { type RunningPostgres, startPostgres } from './embedded-postgres.ts';
import { chooseFreePorts } from './free-ports.ts';

const superuserPassword = 'p@ss/word';
const TEST_TIMEOUT_MS = 60_000;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ates-postgres-'));
  chmodSync(folder, 0o711);
});

afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

async function start(name: string): Promise<RunningPostgres> {
  const [port = 0] = await chooseFreePorts(1);
  return startPostgres({ dataDir: join(folder, name), port, superuserPassword });
}

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test(
  'keeps its data over a stop, is durable, speaks UTF-8 and listens on the loopback alone',
  async () => {
    const first = await start('kept');
    await query(first.superuserUrl, "create table popugs as select 'Ара' as name");
    const stoppedAt = performance.now();
    await first.stop();
    expect(performance.now() - stoppedAt).toBeLessThan(3_000);
    expect(isRunning(first.pid)).toBe(false);

    const second = await start('kept');
    expect(await query(second.superuserUrl, 'select name, upper(name) as loud from popugs')).toEqual([{ name: 'Ара', loud: 'АРА' }]);
    const settings = ['fsync', 'listen_addresses', 'unix_socket_directories', 'password_encryption', 'server_encoding', 'TimeZone'].map((name) => `current_setting('${name}')`);
    expect(await query(second.superuserUrl, `select array[${settings.join()}] as settings`)).toEqual([{ settings: ['on', '127.0.0.1', '', 'scram-sha-256', 'UTF8', 'UTC'] }]);
    await expect(query(second.superuserUrl.replace('p%40ss', 'wrong'), 'select 1')).rejects.toThrow('password authentication failed');
    await second.stop();
  },
  TEST_TIMEOUT_MS,
);

test(
  'ends with a parent that is killed, and recovers',
  async () => {
    const [port = 0] = await chooseFreePorts(1);
    const options = { dataDir: join(folder, 'orphan'), port, superuserPassword };
    const program = `
      import { startPostgres } from ${JSON.stringify(join(import.meta.dirname, 'embedded-postgres.ts'))};
      const { pid } = await startPostgres(${JSON.stringify(options)});
      console.log(pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((done) => parent.stdout.once('data', (text) => done(Number(text))));
    await query(`postgres://postgres:${encodeURIComponent(superuserPassword)}@127.0.0.1:${port}/postgres`, 'create table t as select 1 as one');
    parent.kill('SIGKILL');
    // Where the system has no parent-death signals (macOS), the next start ends the server that was left.
    if (process.platform === 'linux') {
      const deadline = performance.now() + 5_000;
      while (isRunning(pid) && performance.now() < deadline) await delay(20);
      expect(isRunning(pid)).toBe(false);
    }
    const next = await start('orphan');
    expect(await query(next.superuserUrl, 'select one from t')).toEqual([{ one: 1 }]);
    await next.stop();
  },
  TEST_TIMEOUT_MS,
);

test(
  'ends a server that still runs on its data directory instead of starting a second one',
  async () => {
    const left = await start('left');
    await query(left.superuserUrl, 'create table t as select 2 as two');
    const next = await start('left');
    expect(isRunning(left.pid)).toBe(false);
    expect(await query(next.superuserUrl, 'select two from t')).toEqual([{ two: 2 }]);
    await next.stop();
  },
  TEST_TIMEOUT_MS,
);

test(
  'is not misled by a lock file that names another program',
  async () => {
    const first = await start('misled');
    const lockFile = join(folder, 'misled', 'postmaster.pid');
    const lock = readFileSync(lockFile, 'utf8');
    await first.stop();
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    writeFileSync(lockFile, lock.replace(/^\d+/, String(other.pid)));
    const second = await start('misled');
    expect(isRunning(other.pid ?? 0)).toBe(true);
    other.kill('SIGKILL');
    await second.stop();
  },
  TEST_TIMEOUT_MS,
);

test(
  'says what to do when the directory is something else, of another version, or has another password',
  async () => {
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'letter.txt'), 'dear parrot');
    await expect(start('other')).rejects.toThrow('not a PostgreSQL data directory');
    writeFileSync(join(folder, 'other', 'PG_VERSION'), '17\n');
    await expect(start('other')).rejects.toThrow('made by PostgreSQL 17, this is 18');
  },
  TEST_TIMEOUT_MS,
);
