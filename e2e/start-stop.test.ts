import { createServer } from 'node:net';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { type PartName, spawnStart, type Stack, startStack, until } from './stack.ts';

const STOP_LIMIT_MS = 5_000;
/** The promise is 6 s on an idle machine; these tests share theirs with others, so the bound is wider and the figure is printed. */
const SECOND_START_LIMIT_MS = 20_000;
const RESTART_LIMIT_MS = 30_000;
const TEST_TIMEOUT_MS = 180_000;
const SERVICES: readonly PartName[] = ['users', 'tasks', 'accounting', 'analytics', 'gateway'];
const USERS = '{ users(first: 20) { edges { node { email } } } }';
type Users = { users: { edges: { node: { email: string } }[] } };

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), `ates-e2e-${process.pid}-`));
});

afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

// A zombie counts as gone: where no init process reaps, it stays in the list.
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function usersSeenByAdmin(stack: Stack): Promise<string[]> {
  const { data } = await stack.gql<Users>(USERS, {}, await stack.signIn('admin@ates.test'));
  return (data?.users.edges ?? []).map(({ node }) => node.email).toSorted();
}

/** Processes (Linux) that were started for this data directory. */
function processesOn(dataDir: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isRunning(Number(name)))
    .map((pid) => `${pid} ${readText(`/proc/${pid}/cmdline`)} ${readText(`/proc/${pid}/environ`)}`)
    .filter((text) => text.includes(dataDir))
    .map((text) => text.replaceAll('\0', ' ').slice(0, 120));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function expectNothingLeft(dataDir: string, pids: readonly number[]): Promise<void> {
  await until('every process of the stack is gone', 3_000, () => pids.every((pid) => !isRunning(pid)) && processesOn(dataDir).length === 0).catch((error: unknown) => {
    throw new Error(`left: ${processesOn(dataDir).join('\n')}`, { cause: error });
  });
}

describe('a stack that runs', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ dataDir: join(folder, 'first') });
    process.stderr.write(`first start: ${stack.startMs} ms\n`);
  }, TEST_TIMEOUT_MS);

  afterAll(() => stack?.stop(), TEST_TIMEOUT_MS);

  test('has the demo users', async () => {
    expect(await usersSeenByAdmin(stack)).toEqual(['accountant', 'admin', 'ann', 'bob', 'cleo', 'manager'].map((name) => `${name}@ates.test`));
  });

  test('prints its URLs, the demo accounts and a first query', async () => {
    const printed = await until('the welcome is printed', 5_000, () => stack.output().includes('Ctrl-C stops') && stack.output());
    expect(printed).toContain(`/graphql`);
    expect(printed).toContain('cleo@ates.test');
    expect(printed).toContain('npm run -s graphql -- ann@ates.test');
  });

  test('keeps its secrets from other users of the machine', async () => {
    const { statSync } = await import('node:fs');
    for (const name of ['secrets.json', 'nats/nats-server.conf']) expect(statSync(join(stack.dataDir, name)).mode & 0o077).toBe(0);
  });

  test.each<PartName>(['nats', 'tasks', 'gateway', 'postgres'])(
    'starts %s again when it is killed, on the same port, and works',
    async (part) => {
      const before = stack.partPids()[part];
      stack.kill(part);
      await until(`${part} is back`, RESTART_LIMIT_MS, () => stack.partPids()[part] !== before && new RegExp(`${part} +is back after`).test(stack.output())).catch((error: unknown) => {
        throw new Error(stack.logTail(), { cause: error });
      });
      expect(stack.output()).toMatch(new RegExp(`${part} +ended \\(signal SIGKILL\\); starting it again`));
      const users = await until('the stack answers again', RESTART_LIMIT_MS, async () => {
        const seen = await usersSeenByAdmin(stack).catch(() => []);
        return seen.length > 0 && seen;
      });
      expect(users).toHaveLength(6);
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'refuses a second stack on its data directory and says how to run one',
    async () => {
      const [port = 0] = await chooseFreePorts(1);
      const second = spawnStart({ PORT: String(port), DATA_DIR: stack.dataDir });
      expect(await second.ended).toBe(1);
      expect(second.output()).toContain('Another stack is running on');
      expect(second.output()).toContain('DATA_DIR=');
    },
    TEST_TIMEOUT_MS,
  );

  test(
    'runs beside another one with a port and a data directory of its own',
    async () => {
      const other = await startStack();
      const pids = Object.values(other.partPids());
      expect(await usersSeenByAdmin(other)).toHaveLength(6);
      expect(await usersSeenByAdmin(stack)).toHaveLength(6);
      await other.stop('SIGTERM');
      await expectNothingLeft(other.dataDir, pids);
      expect(existsSync(other.dataDir)).toBe(false);
      expect(await usersSeenByAdmin(stack)).toHaveLength(6);
    },
    TEST_TIMEOUT_MS,
  );
});

test(
  'a port in use is refused before anything is started',
  async () => {
    const server = createServer();
    const port = await new Promise<number>((done) => server.listen(0, '127.0.0.1', () => done((server.address() as { port: number }).port)));
    const dataDir = join(folder, 'port-in-use');
    const start = spawnStart({ PORT: String(port), DATA_DIR: dataDir });
    expect(await start.ended).toBe(1);
    expect(start.output()).toContain(`Port ${port} is in use`);
    expect(readdirSync(dataDir)).not.toContain('postgres');
    await new Promise((done) => server.close(done));
  },
  TEST_TIMEOUT_MS,
);

test(
  'Ctrl-C stops everything within 5 s; the next start is fast and has the data; kill -9 leaves no process and loses nothing',
  async () => {
    const dataDir = join(folder, 'again');
    const first = await startStack({ dataDir });
    const pids = Object.values(first.partPids());
    expect(pids).toHaveLength(SERVICES.length + 2);
    const created = await first.gql(
      'mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }',
      { input: { name: 'Polly', email: 'polly@ates.test', password: 'popug', roles: ['EMPLOYEE'], idempotencyKey: 'polly' } },
      await first.signIn('admin@ates.test'),
    );
    expect(created.errors).toBeUndefined();
    const { exitCode, stopMs } = await first.stop('SIGINT');
    expect(exitCode).toBe(0);
    expect(stopMs).toBeLessThan(STOP_LIMIT_MS);
    await expectNothingLeft(dataDir, pids);

    const second = await startStack({ dataDir });
    process.stderr.write(`stop: ${stopMs} ms, second start: ${second.startMs} ms\n`);
    expect(second.startMs).toBeLessThan(SECOND_START_LIMIT_MS);
    expect(await usersSeenByAdmin(second)).toContain('polly@ates.test');
    const secondPids = Object.values(second.partPids());
    await second.stop('SIGKILL');
    await expectNothingLeft(dataDir, secondPids);

    const third = await startStack({ dataDir });
    expect(await usersSeenByAdmin(third)).toContain('polly@ates.test');
    await third.stop('SIGINT');
  },
  TEST_TIMEOUT_MS,
);
