import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { holdDataDir } from './data-dir.ts';
import { commandLine, endLeftoverParts } from './leftover-parts.ts';
import type { Part } from './part.ts';
import { PartLog } from './part-log.ts';
import { natsNotice, postgresNotice, serviceNotice } from './part-notices.ts';
import { StackConsole } from './stack-console.ts';
import { Supervisor } from './supervisor.ts';

let dataDir: string;
let printed: string;
let supervisor: Supervisor;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'ates-supervisor-'));
  printed = '';
  supervisor = new Supervisor(dataDir, new StackConsole((text) => (printed += text)));
});

afterEach(async () => {
  await supervisor.killAll();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A part that runs this program text; it is ready when it has written its ready file. */
function part(name: string, program: string, more: Partial<Part> = {}): Part {
  const readyFile = join(dataDir, `${name}.ready`);
  const launch: Part['launch'] = () => {
    rmSync(readyFile, { force: true });
    return Promise.resolve({ file: process.execPath, args: ['-e', program], env: { READY: readyFile, ORDER: join(dataDir, 'order') } });
  };
  return {
    name,
    layer: 1,
    port: 1,
    launch,
    isReady: () => Promise.resolve(existsSync(readyFile)),
    stopSteps: [{ signal: 'SIGTERM', patienceMs: 1_000 }],
    notice: serviceNotice,
    ...more,
  };
}

const READY = "require('fs').writeFileSync(process.env.READY, ''); setInterval(() => {}, 1000);";
const pidOf = (name: string): number => (JSON.parse(readFileSync(join(dataDir, 'running.json'), 'utf8')) as { parts: Record<string, { pid: number }> }).parts[name]?.pid ?? 0;

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 10 s; printed so far:\n${printed}`);
    await delay(10);
  }
}

test('a part that dies is started again, every time, with a line about it', async () => {
  await supervisor.start([part('parrot', READY)]);
  for (let time = 1; time <= 3; time++) {
    const before = pidOf('parrot');
    process.kill(before, 'SIGKILL');
    await until(() => printed.split('is back after').length === time + 1);
    expect(pidOf('parrot')).not.toBe(before);
  }
  expect(printed.split('ended (signal SIGKILL); starting it again')).toHaveLength(4);
});

test('a part that dies 5 times before it is ready fails the start, with its last lines', async () => {
  const broken = part('parrot', "console.error('no seeds: set SEEDS'); process.exit(3)");
  await expect(supervisor.start([broken])).rejects.toThrow(/parrot could not be started: it ended before it was ready \(exit code 3\)[^]*logs\/parrot\.log[^]*no seeds: set SEEDS/);
  expect(readFileSync(join(dataDir, 'logs/parrot.log'), 'utf8').trim().split('\n')).toHaveLength(5);
});

test('parts are stopped from the highest layer down, those of one layer together', async () => {
  const noting = (name: string): string => `process.on('SIGTERM', () => { require('fs').appendFileSync(process.env.ORDER, '${name} '); process.exit(0) }); ${READY}`;
  await supervisor.start([part('ground', noting('ground'), { layer: 0 }), part('top', noting('top'), { layer: 2 }), part('middle', noting('middle'))]);
  await supervisor.stop();
  expect(readFileSync(join(dataDir, 'order'), 'utf8')).toBe('top middle ground ');
  expect(existsSync(join(dataDir, 'running.json'))).toBe(false);
  expect(printed).not.toContain('starting it again');
});

test('a part with a head start does not keep the lower layers from stopping longer than that, but those below them', async () => {
  const noting = (name: string, afterMs = 0): string =>
    `process.on('SIGTERM', () => setTimeout(() => { require('fs').appendFileSync(process.env.ORDER, '${name} '); process.exit(0) }, ${afterMs})); ${READY}`;
  await supervisor.start([part('top', noting('top', 500), { layer: 2, headStartMs: 50 }), part('middle', noting('middle')), part('ground', noting('ground'), { layer: 0 })]);
  await supervisor.stop();
  expect(readFileSync(join(dataDir, 'order'), 'utf8')).toBe('middle top ground ');
});

test('a part that does not stop is killed after its patience', async () => {
  await supervisor.start([part('deaf', `process.on('SIGTERM', () => {}); ${READY}`, { stopSteps: [{ signal: 'SIGTERM', patienceMs: 200 }] })]);
  const pid = pidOf('deaf');
  const startedAt = performance.now();
  await supervisor.stop();
  expect(performance.now() - startedAt).toBeLessThan(900);
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

test('stopping during a start starts nothing more', async () => {
  const failure = supervisor.start([part('slow', 'setInterval(() => {}, 1000)')]).then(
    () => 'it started',
    (error: unknown) => String(error),
  );
  await until(() => existsSync(join(dataDir, 'running.json')));
  const pid = pidOf('slow');
  await supervisor.stop();
  expect(await failure).toContain('slow could not be started');
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
});

describe('the terminal shows', () => {
  test("a service's warnings and errors with their cause, and what a crash of Node prints, but no more than a few at once", async () => {
    const lines = ['{"level":"info","msg":"calm"}', '{"level":"warn","msg":"seeds are low"}', '{"level":"error","msg":"no seeds","err":{"message":"bag is empty"}}', 'TypeError: x'];
    await supervisor.start([part('parrot', `console.log(${JSON.stringify(lines.join('\n'))}); for (let i = 0; i < 50; i++) console.log('{"level":"warn","msg":"again"}'); ${READY}`)]);
    await until(() => printed.includes('more in logs/parrot.log'));
    expect(printed).toMatch(/parrot {6}warning: seeds are low\n/);
    expect(printed).toMatch(/error: no seeds: bag is empty\n/);
    expect(printed).toContain('TypeError: x');
    expect(printed).not.toContain('calm');
    expect(printed.split('again').length).toBeLessThan(6);
  });

  test('crashes of PostgreSQL and warnings of NATS, not their every line', () => {
    expect(postgresNotice('2026-01-01 [1] tasks ERROR:  duplicate key')).toBeUndefined();
    expect(postgresNotice('2026-01-01 [1] tasks FATAL:  terminating connection due to administrator command')).toBeUndefined();
    expect(postgresNotice('2026-01-01 [1]  PANIC:  could not write')).toBe('PANIC:  could not write');
    expect(natsNotice('[1] 2026/01/01 [INF] Server is ready')).toBeUndefined();
    expect(natsNotice('[1] 2026/01/01 [ERR] JetStream out of space')).toBe('[ERR] JetStream out of space');
  });
});

test('a log file is bounded: past 10 MB it is put aside and a new one begins', () => {
  const file = join(dataDir, 'logs', 'chatty.log');
  const log = new PartLog(file);
  writeFileSync(file, '');
  const line = 'x'.repeat(1024 * 1024 - 1);
  for (let i = 0; i < 25; i++) log.append(line);
  expect(statSync(file).size + statSync(`${file}.1`).size).toBeLessThan(23 * 1024 * 1024);
  expect(log.lastLines.length).toBeLessThanOrEqual(30);
});

test('processes that a killed stack left are ended, but not another one that got such an id since', async () => {
  const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'left-one'], { stdio: 'ignore' });
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'other'], { stdio: 'ignore' });
  const parts = { users: { pid: left.pid, port: 1, lastArgument: 'left-one' }, tasks: { pid: other.pid, port: 2, lastArgument: 'left-two' } };
  writeFileSync(join(dataDir, 'running.json'), JSON.stringify({ pid: 1, parts }));
  const ended = new Promise((done) => left.once('exit', (_code, signal) => done(signal)));
  await until(() => commandLine(left.pid ?? 0).includes('left-one') && commandLine(other.pid ?? 0).includes('other'));
  endLeftoverParts(dataDir);
  expect(await ended).toBe('SIGKILL');
  expect(other.signalCode).toBeNull();
  other.kill('SIGKILL');
  expect(existsSync(join(dataDir, 'running.json'))).toBe(false);
});

test('a data directory is held by one stack at a time', () => {
  const held = holdDataDir(join(dataDir, 'state'));
  expect(() => holdDataDir(join(dataDir, 'state'))).toThrow(`Another stack is running on ${join(dataDir, 'state')} (process ${process.pid})`);
  held.release();
  holdDataDir(join(dataDir, 'state')).release();
  writeFileSync(join(dataDir, 'file'), '');
  expect(() => holdDataDir(join(dataDir, 'file'))).toThrow("can't be used");
});
