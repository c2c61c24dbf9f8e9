import { cp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { startNats, type RunningNats } from '../scripts/embedded-nats.ts';
import { OPERATOR, serviceUsers } from '../scripts/nats-access.ts';

export const NATS_PASSWORD = 'chaos';
export const STREAMS = ['TASKS', 'ACCOUNTING'] as const;

const STORE_MAX_BYTES = 40 * 1024 ** 3;
/** A million events take more than a stream is made with. */
const STREAM_MAX_BYTES = 8 * 1024 ** 3;
const TIMEOUT_MS = 3_000;

/** A broker that can be killed, and whose store can be set back or lost while it is down. */
export class KillableNats {
  readonly port: number;
  readonly #storeDir: string;
  #server: RunningNats | undefined;
  #connection: NatsConnection | undefined;
  #manager: JetStreamManager | undefined;

  constructor(storeDir: string, port: number) {
    this.#storeDir = storeDir;
    this.port = port;
  }

  async start(): Promise<void> {
    const users = { user: OPERATOR, password: NATS_PASSWORD, otherUsers: serviceUsers(() => NATS_PASSWORD) };
    this.#server = await startNats({ storeDir: this.#storeDir, port: this.port, ...users, maxStoreBytes: STORE_MAX_BYTES });
    this.#connection ??= await connect({ servers: `127.0.0.1:${this.port}`, user: OPERATOR, pass: NATS_PASSWORD, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    this.#manager ??= await jetstreamManager(this.#connection, { checkAPI: false, timeout: TIMEOUT_MS });
  }

  get connection(): NatsConnection {
    if (this.#connection === undefined) throw new Error('The broker has not been started');
    return this.#connection;
  }

  get manager(): JetStreamManager {
    if (this.#manager === undefined) throw new Error('The broker has not been started');
    return this.#manager;
  }

  async kill(): Promise<void> {
    if (this.#server === undefined) return;
    process.kill(this.#server.pid, 'SIGKILL');
    await this.#server.stop();
  }

  get hasCopy(): boolean {
    return existsSync(this.#copy);
  }

  /** Keeps the store as it is for a later `rollBack`; only while the broker is down. */
  async copyStore(): Promise<void> {
    await rm(this.#copy, { recursive: true, force: true });
    if (existsSync(this.#store)) await cp(this.#store, this.#copy, { recursive: true });
  }

  /** Only while the broker is down. */
  async rollBack(): Promise<void> {
    await this.deleteStore();
    await cp(this.#copy, this.#store, { recursive: true });
  }

  /** Only while the broker is down. */
  async deleteStore(): Promise<void> {
    await rm(this.#store, { recursive: true, force: true });
  }

  /** As an operator would: the services may not. */
  async giveRoom(): Promise<void> {
    for (const stream of STREAMS) {
      const info = await this.manager.streams.info(stream).catch(() => null);
      if (info !== null && info.config.max_bytes < STREAM_MAX_BYTES) await this.manager.streams.update(stream, { ...info.config, max_bytes: STREAM_MAX_BYTES });
    }
  }

  async stop(): Promise<void> {
    await this.#connection?.close();
    await this.#server?.stop();
  }

  get #store(): string {
    return join(this.#storeDir, 'jetstream');
  }

  get #copy(): string {
    return `${this.#storeDir}-copy`;
  }
}
