import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

// A checkout of its own whose `npm` only notes that it was called, so that these tests need no network.
let checkout: string;

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'ates-setup-'));
  mkdirSync(join(checkout, 'scripts'));
  for (const name of ['run.sh', 'setup.sh']) copyFileSync(join(import.meta.dirname, name), join(checkout, 'scripts', name));
  writeFileSync(join(checkout, 'package-lock.json'), lockFile('1.0.0'));
  writeProgram('bin/npm', `echo "npm $*" >>npm-calls; sleep 0.3; rm -rf node_modules; mkdir -p node_modules/.bin; ln -s '${process.execPath}' node_modules/.bin/node; echo "$PATH" >npm-path`);
  writeProgram('bin/nats-server', 'echo nats-server: v2.10.0');
});

afterEach(() => rmSync(checkout, { recursive: true, force: true }));

function lockFile(version: string): string {
  return JSON.stringify({ lockfileVersion: 3, packages: { '': {}, 'node_modules/nut': { version }, 'node_modules/other-machine': { version: '1.0.0', optional: true } } });
}

function writeProgram(path: string, script: string): void {
  const file = join(checkout, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): { child: ChildProcess; result: Promise<Result> } {
  const env = { PATH: `${checkout}/node_modules/.bin:${checkout}/bin:/usr/bin:/bin`, ...environment };
  const child = spawn('sh', [join(checkout, 'scripts/run.sh'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { child, result: new Promise((done) => child.once('close', (code) => done({ code, stdout, stderr }))) };
}

const run = (args: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Result> => start(args, environment).result;
const npmCalls = (): number => (existsSync(join(checkout, 'npm-calls')) ? readFileSync(join(checkout, 'npm-calls'), 'utf8').trim().split('\n').length : 0);
const PRINT = ['-p', 'process.env.NATS_SERVER_BIN'];

describe('the dependencies', () => {
  test('are installed on the first run, with a word about it, and not again', async () => {
    const first = await run(PRINT);
    expect(first).toMatchObject({ code: 0, stdout: `${checkout}/bin/nats-server\n` });
    expect(first.stderr).toContain('installing the dependencies');
    const second = await run(PRINT);
    expect(second).toEqual({ code: 0, stdout: first.stdout, stderr: '' });
    expect(npmCalls()).toBe(1);
  });

  test('are installed again when the lock file has changed', async () => {
    await run(PRINT);
    writeFileSync(join(checkout, 'package-lock.json'), lockFile('2.0.0'));
    await run(PRINT);
    expect(npmCalls()).toBe(2);
  });

  test.each([['1.0.0', 0], ['0.9.0', 1]])('that somebody installed by hand (nut %s, wanted is 1.0.0) cost %i installs', async (version, installs) => {
    mkdirSync(join(checkout, 'node_modules/.bin'), { recursive: true });
    symlinkSync(process.execPath, join(checkout, 'node_modules/.bin/node'));
    mkdirSync(join(checkout, 'node_modules/nut'));
    writeFileSync(join(checkout, 'node_modules/.package-lock.json'), JSON.stringify({ packages: { 'node_modules/nut': { version } } }));
    expect(await run(PRINT)).toMatchObject({ code: 0 });
    expect(npmCalls()).toBe(installs);
  });

  test("are installed again when a workspace's own part of them is gone", async () => {
    writeProgram('bin/npm', `echo npm >>npm-calls; mkdir -p node_modules/.bin gateway/node_modules; ln -sf '${process.execPath}' node_modules/.bin/node`);
    await run(PRINT);
    rmSync(join(checkout, 'gateway'), { recursive: true });
    await run(PRINT);
    await run(PRINT);
    expect(npmCalls()).toBe(2);
  });

  test('are installed once by two set-ups at the same time', async () => {
    const results = await Promise.all([run(PRINT), run(PRINT)]);
    expect(results.map(({ code }) => code)).toEqual([0, 0]);
    expect(npmCalls()).toBe(1);
    expect(existsSync(join(checkout, '.cache/setup.lock'))).toBe(false);
  });

  test('are installed although a killed set-up has left its lock', async () => {
    mkdirSync(join(checkout, '.cache'));
    const gone = spawn('true');
    await new Promise((done) => gone.once('close', done));
    symlinkSync(String(gone.pid), join(checkout, '.cache/setup.lock'));
    expect(await run(PRINT)).toMatchObject({ code: 0 });
  });

  test("are installed under the machine's Node: npm does not see the project's own in PATH", async () => {
    await run(PRINT);
    expect(readFileSync(join(checkout, 'npm-path'), 'utf8').trim()).toBe(`${checkout}/bin:/usr/bin:/bin`);
  });

  test('that npm could not install end the command with its code and advice, and the next run tries again', async () => {
    writeProgram('bin/npm', 'echo "npm error ENOTFOUND registry" >&2; exit 1');
    const failed = await run(PRINT);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toMatch(/ENOTFOUND registry[^]*npm ci failed/);
    expect(existsSync(join(checkout, '.cache/setup.lock'))).toBe(false);
  });
});

describe('nats-server', () => {
  const withoutServer = (): void => rmSync(join(checkout, 'bin/nats-server'));

  test('is the one that NATS_SERVER_BIN names', async () => {
    writeProgram('own/nats', '');
    expect((await run(PRINT, { NATS_SERVER_BIN: join(checkout, 'own/nats') })).stdout).toBe(`${checkout}/own/nats\n`);
  });

  test('that NATS_SERVER_BIN names wrongly is refused', async () => {
    const { code, stderr } = await run(PRINT, { NATS_SERVER_BIN: '/no/such/program' });
    expect(code).toBe(1);
    expect(stderr).toContain('NATS_SERVER_BIN names no program: /no/such/program');
  });

  test('is not looked for when the command needs none', async () => {
    withoutServer();
    expect(await run(['--without-nats', '-p', '1'])).toMatchObject({ code: 0, stdout: '1\n' });
  });

  test("is unpacked from Debian's package into the project's cache", async () => {
    if (existsSync('/usr/sbin/nats-server')) return;
    withoutServer();
    writeProgram('bin/apt-get', 'case "$*" in *download*) echo deb >nats-server_2.deb ;; esac');
    writeProgram('bin/dpkg-deb', 'mkdir -p "$3/usr/sbin"; printf "#!/bin/sh\\necho v2.9.10\\n" >"$3/usr/sbin/nats-server"; chmod +x "$3/usr/sbin/nats-server"');
    const { stdout, stderr } = await run(PRINT);
    expect(stdout).toBe(`${checkout}/.cache/nats-server/usr/sbin/nats-server\n`);
    expect(stderr).toContain('nats-server is there: v2.9.10');
    expect(await run(PRINT)).toEqual({ code: 0, stdout, stderr: '' });
  });

  test('that can be got nowhere ends the command with what to do', async () => {
    if (existsSync('/usr/sbin/nats-server')) return;
    withoutServer();
    writeProgram('bin/apt-get', 'echo "E: no network" >&2; exit 100');
    const { code, stderr } = await run(PRINT);
    expect(code).toBe(1);
    for (const advice of ['E: no network', 'apt-get install nats-server', 'brew install nats-server', 'NATS_SERVER_BIN=/path/to/nats-server']) expect(stderr).toContain(advice);
  });
});

test('becomes the command itself: signals reach it, its exit code is the result', async () => {
  await run(PRINT);
  const program = "process.once('SIGTERM', () => process.exit(7)); console.log(process.pid); setInterval(() => {}, 1000)";
  const { child, result } = start(['-e', program]);
  await new Promise((done) => child.stdout?.once('data', done));
  child.kill('SIGTERM');
  expect(await result).toMatchObject({ code: 7, stdout: `${child.pid}\n` });
});
