import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { type Command, dieWithParent } from './die-with-parent.ts';
import { authorizationText, type NatsUser } from './nats-access.ts';

export interface NatsOptions {
  /** Folder for the streams and the generated configuration; made when missing. */
  readonly storeDir: string;
  /** TCP port on 127.0.0.1; 0: the server takes a free one (`startNats` only). */
  readonly port: number;
  /** The user who may do everything; letters, digits, `-` and `_` only, so that the URL needs no escapes. The password likewise. */
  readonly user: string;
  readonly password: string;
  /** Who else may connect, by the same rules for names and passwords; default: nobody. */
  readonly otherUsers?: readonly NatsUser[];
  /** What all streams together may take on the disk. */
  readonly maxStoreBytes?: number;
  /** The program; default: NATS_SERVER_BIN, then `nats-server` in PATH. */
  readonly program?: string;
  /** Gets each line that the server writes. */
  readonly log?: (line: string) => void;
}

export interface RunningNats {
  /** For clients, with the user who may do everything and the password: `nats://user:password@127.0.0.1:port`. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Within 3 s, whatever it takes. */
  stop(): Promise<void>;
}

/** Streams reserve their own max_bytes out of it: one of 2 GiB for each service, and some room. */
const DEFAULT_MAX_STORE_BYTES = 10 * 1024 ** 3;
const MAX_MEMORY_STORE_BYTES = 64 * 1024 ** 2;
const MAX_PAYLOAD_BYTES = 1024 ** 2;
const READY_TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 1_000;
const SHUTDOWN_MS = 2_000;
const LINES_KEPT_FOR_ERRORS = 20;
const CONFIGURATION_FILE = 'nats-server.conf';

/** The URL by which a user connects to a server of ours. */
export function natsUrl(options: Pick<NatsOptions, 'port' | 'user' | 'password'>): string {
  return `nats://${options.user}:${options.password}@127.0.0.1:${options.port}`;
}

/**
 * Writes the server's configuration (mode 0600: it holds the passwords).
 * @returns the command that runs the server in the foreground; SIGTERM stops it
 * @throws with what to do next when there is no nats-server
 */
export function prepareNats(options: NatsOptions): Command {
  const storeDir = resolve(options.storeDir);
  mkdirSync(storeDir, { recursive: true, mode: 0o700 });
  const file = options.program ?? process.env['NATS_SERVER_BIN'] ?? 'nats-server';
  const configuration = join(storeDir, CONFIGURATION_FILE);
  writeFileSync(configuration, configurationText({ ...options, storeDir }, versionOf(file)), { mode: 0o600 });
  return dieWithParent({ file, args: ['--config', configuration] });
}

/** Whether the server at this URL takes this user and its JetStream answers. */
export async function natsIsReady(url: string): Promise<boolean> {
  const { hostname, port, username, password } = new URL(url);
  try {
    const connection = await connect({
      servers: `${hostname}:${port}`,
      user: username,
      pass: password,
      timeout: CONNECT_TIMEOUT_MS,
      reconnect: false,
    });
    try {
      const answer = await connection.request('$JS.API.INFO', '', { timeout: CONNECT_TIMEOUT_MS });
      return !('error' in answer.json<object>());
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

/**
 * Starts a nats-server of this process' own, JetStream on file storage, and waits until JetStream answers. It ends with this
 * process, even by kill -9.
 * @throws with the server's last lines when it doesn't come up within 20 s
 */
export async function startNats(options: NatsOptions): Promise<RunningNats> {
  removePortsFiles(options.storeDir);
  const { file, args } = prepareNats(options);
  const lastLines: string[] = [];
  const child = spawn(file, args, { cwd: '/', stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  eachLine(child, (line) => {
    lastLines.push(line);
    if (lastLines.length > LINES_KEPT_FOR_ERRORS) lastLines.shift();
    options.log?.(line);
  });
  const deadline = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    const port = options.port === 0 ? portTaken(options.storeDir) : options.port;
    const url = natsUrl({ ...options, port: port ?? 0 });
    if (port !== undefined && (await natsIsReady(url))) return { url, port, pid: child.pid ?? 0, stop: () => stopServer(child) };
    if (hasEnded(child) || Date.now() > deadline) {
      await stopServer(child);
      throw new Error(`nats-server did not start on port ${options.port}. Its last lines tell why:\n${lastLines.join('\n')}`);
    }
    await delay(20);
  }
}

function versionOf(program: string): { major: number; minor: number } {
  const output = spawnSync(program, ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /v?(\d+)\.(\d+)\./.exec(output.stdout ?? '') ?? [];
  if (major === undefined) {
    throw new Error(`nats-server does not run as "${program}": install it (apt-get install nats-server, brew install nats-server) or set NATS_SERVER_BIN=/path/to/nats-server.`);
  }
  return { major: Number(major), minor: Number(minor) };
}

function configurationText(options: NatsOptions, version: { major: number; minor: number }): string {
  const users = [{ name: options.user, password: options.password }, ...(options.otherUsers ?? [])];
  if (users.some(({ name, password }) => !/^[\w-]+$/.test(name) || !/^[\w-]+$/.test(password))) {
    throw new Error('Users and passwords of NATS may hold letters, digits, "-" and "_" only: generate others.');
  }
  const knowsSyncInterval = version.major > 2 || version.minor >= 10;
  const lines = [
    `server_name: "ates"`,
    `listen: "127.0.0.1:${options.port === 0 ? -1 : options.port}"`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    authorizationText(users),
    'jetstream {',
    `  store_dir: ${JSON.stringify(options.storeDir)}`,
    `  max_memory_store: ${MAX_MEMORY_STORE_BYTES}`,
    `  max_file_store: ${options.maxStoreBytes ?? DEFAULT_MAX_STORE_BYTES}`,
    // What was acknowledged must survive a power loss; 2.9 does not know the setting, the outbox relay mends what it loses.
    ...(knowsSyncInterval ? ['  sync_interval: always'] : []),
    '}',
    ...(options.port === 0 ? [`ports_file_dir: ${JSON.stringify(options.storeDir)}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}

const isPortsFile = (name: string): boolean => name.endsWith('.ports');

function removePortsFiles(storeDir: string): void {
  mkdirSync(storeDir, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(storeDir).filter(isPortsFile)) rmSync(join(storeDir, name));
}

// The server writes the port that it took into <program>_<pid>.ports.
function portTaken(storeDir: string): number | undefined {
  const name = readdirSync(storeDir).find(isPortsFile);
  const text = name === undefined ? '' : readFileSync(join(storeDir, name), 'utf8');
  const port = /nats:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}

function eachLine(child: ChildProcess, onLine: (line: string) => void): void {
  child.on('error', (error) => onLine(error.message));
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
    });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function stopServer(child: ChildProcess): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (hasEnded(child)) return;
    const ended = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill(signal);
    await Promise.race([ended, delay(SHUTDOWN_MS, undefined, { ref: false })]);
  }
}
