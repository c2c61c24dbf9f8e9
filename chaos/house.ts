import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import pg from 'pg';
import { natsUrl } from '../scripts/embedded-nats.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { provisionDatabases, urlOfDatabase } from '../scripts/provision-databases.ts';
import { MIGRATIONS } from '../subgraphs/tasks/migrations/all.ts';
import { Child } from './child.ts';
import { KillableNats, NATS_PASSWORD, STREAMS } from './killable-nats.ts';
import { KillablePostgres } from './killable-postgres.ts';

const START_MS = 60_000;
const ASK_MS = 1_000;
const LOOK_MS = 50;
/** What a relay told longer ago than this says nothing of now. */
const TOLD_MS = 1_000;
const PASSWORD = 'chaos';

/**
 * What an event passes through on its way, as processes that can be killed: PostgreSQL with fsync, nats-server, two relays of Tasks' outbox
 * (one leads, one stands by) and two replicas of Accounting, which share its partitions. All of it in one temporary folder.
 */
export class House {
  readonly folder = mkdtempSync(join(tmpdir(), `ates-chaos-${process.pid}-`));
  readonly relays: readonly Child[];
  readonly replicas: readonly Child[];
  readonly postgres: KillablePostgres;
  readonly nats: KillableNats;
  readonly tasksUrl: string;
  readonly #replicaPorts: readonly number[];
  readonly #tasksOwnerUrl: string;
  readonly #superuserUrl: string;

  static async open(): Promise<House> {
    const house = new House(await chooseFreePorts(4));
    try {
      await house.#start();
      return house;
    } catch (error) {
      await house.close({ keep: true });
      throw new Error(`The processes did not start; what they wrote is in ${house.folder}`, { cause: error });
    }
  }

  private constructor([postgresPort = 0, natsPort = 0, ...replicaPorts]: readonly number[]) {
    chmodSync(this.folder, 0o711);
    mkdirSync(join(this.folder, 'logs'));
    this.#replicaPorts = replicaPorts;
    this.postgres = new KillablePostgres({ dataDir: join(this.folder, 'postgres'), port: postgresPort, superuserPassword: PASSWORD, settings: { max_wal_size: '512MB' } });
    this.nats = new KillableNats(join(this.folder, 'nats'), natsPort);
    this.#superuserUrl = `postgres://postgres:${PASSWORD}@127.0.0.1:${postgresPort}/postgres`;
    this.tasksUrl = this.#url('tasks', 'tasks');
    this.#tasksOwnerUrl = this.#url('tasks', 'tasks_owner');
    const natsAs = (user: string) => ({ NATS_URL: natsUrl({ port: natsPort, user, password: NATS_PASSWORD }), LOG_LEVEL: 'warn' });
    this.relays = ['relay-1', 'relay-2'].map((name) =>
      this.#child(name, resolve(import.meta.dirname, 'relay-process.ts'), { ...natsAs('tasks'), DATABASE_URL: this.tasksUrl }),
    );
    this.replicas = replicaPorts.map((port, index) =>
      this.#child(`accounting-${index + 1}`, resolve(import.meta.dirname, '../subgraphs/accounting/src/main.ts'), {
        ...natsAs('accounting'),
        PORT: String(port),
        DATABASE_URL: this.#url('accounting', 'accounting'),
        OWNER_DATABASE_URL: this.#url('accounting', 'accounting_owner'),
        GATEWAY_SECRET: 'nobody-asks-anything',
        MAIL_DIR: join(this.folder, 'mail'),
        JWKS_URL: 'http://127.0.0.1:9/jwks.json',
      }),
    );
  }

  #url(database: string, name: string): string {
    return urlOfDatabase(this.#superuserUrl, database, { name, password: PASSWORD });
  }

  #child(name: string, program: string, environment: Readonly<Record<string, string>>): Child {
    return new Child({ name, program, environment, logFile: join(this.folder, 'logs', `${name}.log`) });
  }

  async #start(): Promise<void> {
    await Promise.all([this.postgres.start(), this.nats.start()]);
    const services = ['tasks', 'accounting'].map((name) => ({ name, ownerPassword: PASSWORD, appPassword: PASSWORD }));
    await provisionDatabases({ superuserUrl: this.#superuserUrl, services });
    const logger = createLogger('chaos', 'silent');
    const tasks = await openDatabase({ url: this.tasksUrl, ownerUrl: this.#tasksOwnerUrl, entities: [], migrations: MIGRATIONS, logger });
    await tasks.close();
    for (const child of [...this.relays, ...this.replicas]) child.start();
    const missing = await this.untilBack(START_MS);
    if (missing.length > 0) throw new Error(missing.join('; '));
  }

  get leader(): Child | undefined {
    return this.relays.find(({ told, toldAt }) => (told as { leads: boolean } | undefined)?.leads === true && Date.now() - toldAt < TOLD_MS);
  }

  /** How many postings there are; what the company's account says of it, so that it can be asked often. */
  async posted(): Promise<number> {
    const rows = await this.rows<{ posted: number }>('accounting', `select entry_count as posted from accounts where kind = 'COMPANY'`);
    return rows[0]?.posted ?? 0;
  }

  /**
   * Until everything that was hit works again: all are ready, the outboxes know their streams, and something was posted since, or there is nothing left to post.
   * @returns what still does not after `withinMs`
   */
  async untilBack(withinMs: number, due = (): number => 0): Promise<readonly string[]> {
    const deadline = Date.now() + withinMs;
    let before: number | undefined;
    for (;;) {
      const posted = await this.posted().catch(() => undefined);
      before ??= posted;
      const posting = posted === undefined ? ['PostgreSQL does not answer'] : posted > (before ?? 0) || posted === due() ? [] : ['nothing is posted'];
      const missing = [...posting, ...(await this.#missing())];
      if (missing.length === 0 || Date.now() > deadline) return missing;
      await delay(LOOK_MS);
    }
  }

  async #missing(): Promise<string[]> {
    const answers = await Promise.all(
      this.#replicaPorts.map(async (port, index) => {
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(ASK_MS) }).catch(() => null);
        return answer?.ok === true ? null : `accounting-${index + 1} says ${answer === null ? 'nothing' : await answer.text().catch(() => '')}`;
      }),
    );
    const streams = await Promise.all(STREAMS.map((stream) => this.#isFilled(stream)));
    return [...answers, this.leader === undefined ? 'no relay leads' : null, ...streams].filter((answer) => answer !== null);
  }

  /** Null when the outbox has made its peace with the stream that is there now; else why not. */
  async #isFilled(stream: string): Promise<string | null> {
    const info = await this.nats.manager.streams.info(stream).catch(() => null);
    if (info === null) return `${stream} is not there`;
    const rows = await this.rows<{ stream_created: string }>(stream.toLowerCase(), 'select stream_created from outbox_relay').catch(() => []);
    return rows[0]?.stream_created === info.created ? null : `${stream} is another one than its outbox knows`;
  }

  /** Rows of a statement as the superuser, on a connection that it has to itself. */
  async rows<Row extends pg.QueryResultRow>(database: string, text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl(database) });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** As the superuser. */
  databaseUrl(database: string): string {
    return urlOfDatabase(this.#superuserUrl, database);
  }

  get crashes(): string[] {
    return [...this.relays, ...this.replicas].flatMap(({ crashes }) => crashes);
  }

  /** Ends relays and replicas, so that nothing changes any more. */
  async quiet(): Promise<void> {
    await Promise.all([...this.relays, ...this.replicas].map((child) => child.stop()));
  }

  async close({ keep }: { readonly keep: boolean }): Promise<void> {
    await this.quiet();
    await Promise.all([this.nats.stop(), this.postgres.stop()]);
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
