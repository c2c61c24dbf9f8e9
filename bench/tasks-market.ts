import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase, type Database } from '@ates/service-kit/database';
import type { Logger } from '@ates/service-kit/logger';
import { newEvent } from '@ates/shared-events/event';
import { newId } from '@ates/shared-events/new-id';
import { RECORDING, recordEvents } from '@ates/shared-events/outbox';
import { streamInfo, streamOf } from '@ates/shared-events/streams';
import { taskAssignedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { userCreatedV1 } from '@ates/shared-events/user-events';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import type { Stack } from '../e2e/stack.ts';
import { openDatabase as openSession, openNats, type ServiceDatabase } from '../operations/connections.ts';
import { CONSUMING_SERVICES, findInstallation, subscriptionsOf } from '../operations/installation.ts';
import { pendingAfter, positionsIn } from '../operations/pipe-state.ts';
import { superuserUrl } from '../scripts/embedded-postgres.ts';
import { urlOfDatabase } from '../scripts/provision-databases.ts';
import { provideSecrets, SUBGRAPHS } from '../scripts/stack-secrets.ts';
import { assignableEmployees, holdEmployees } from '../subgraphs/tasks/src/assignments.ts';
import { countForDay, stampBusinessDay } from '../subgraphs/tasks/src/business-day.ts';

export const TRACEPARENT = '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01';
const TIME_ZONE = process.env['BUSINESS_TIME_ZONE'] || 'UTC';
const CHUNK = 5_000;
const SETTLE_MS = 300_000;
const LOOK_MS = 200;

/** Open tasks, each given to somebody as it is made: rows and events as `createTask` leaves them. */
const NEW_TASKS = `
  with made as materialized (
    select uuidv7() as id, nextval('task_numbers')::int as number, place, 'Feed the parrot of house ' || place as title,
      'Twice a day, with seeds and love' as description, ($2::uuid[])[1 + floor(random() * cardinality($2::uuid[]))::int] as assignee_id
    from generate_series(1, $1::int) as place
  ), stored as (
    insert into tasks (id, status, creator_id, created_at, number, title, description) select id, 'OPEN', $3::uuid, $4::timestamptz, number, title, description from made
  ), held as (
    insert into task_holders (task_id, version, assignee_id, assignment_number, status, created_at, creator_id) select id, 2, assignee_id, 1, 'OPEN', $4::timestamptz, $3::uuid from made
  ), kept as (
    insert into assignments (task_id, assignment_number, assignee_id, business_day, assigned_at) select id, 1, assignee_id, $5::date, $4::timestamptz from made
  ), event as materialized (
    select uuidv7() as id, id as aggregate_id, 1 as version, '${taskCreatedV2.type}' as type, '${taskCreatedV2.dataschema}' as dataschema,
      $4::timestamptz as occurred_at, $6::text as traceparent, 2 * place as place,
      json_build_object('version', 1, 'number', number, 'ticket', null, 'title', title, 'description', description, 'status', 'OPEN',
        'creatorId', $3::uuid, 'createdAt', $7::text) as data
    from made
    union all
    select uuidv7(), id, 2, '${taskAssignedV1.type}', '${taskAssignedV1.dataschema}', $4::timestamptz, $6::text, 2 * place + 1,
      json_build_object('version', 2, 'assignmentNumber', 1, 'assigneeId', assignee_id, 'previousAssigneeId', null, 'businessDay', $5::date, 'assignedAt', $7::text)
    from made
  ), ${RECORDING}`;

/** What the books say. */
export interface Books {
  readonly assignments: number;
  readonly fees: number;
  /** Of all entries; in cents. */
  readonly sum: number;
}

/** A running stack's databases and broker, to fill them and to look at them. */
export class Market {
  readonly tasks: Database;
  readonly #users: Database;
  readonly #sessions: ReadonlyMap<string, ServiceDatabase>;
  readonly #nats: NatsConnection;
  readonly #manager: JetStreamManager;
  readonly #superuserUrl: string;

  static async open(stack: Stack, logger: Logger): Promise<Market> {
    const installation = findInstallation({ DATA_DIR: stack.dataDir });
    const url = (service: 'users' | 'tasks'): string => installation.databaseUrl(service) ?? '';
    const database = (service: 'users' | 'tasks'): Promise<Database> => openDatabase({ url: url(service), ownerUrl: null, entities: [], migrations: [], logger });
    const sessions = await Promise.all(SUBGRAPHS.map((service) => openSession(installation, service)));
    const nats = await openNats(installation);
    const server = superuserUrl(Number(new URL(url('tasks')).port), provideSecrets(stack.dataDir).postgresPassword);
    return new Market({ users: await database('users'), tasks: await database('tasks'), sessions, nats, manager: await jetstreamManager(nats), server });
  }

  private constructor(parts: { users: Database; tasks: Database; sessions: readonly ServiceDatabase[]; nats: NatsConnection; manager: JetStreamManager; server: string }) {
    this.tasks = parts.tasks;
    this.#users = parts.users;
    this.#sessions = new Map(parts.sessions.map((session) => [session.service, session]));
    this.#nats = parts.nats;
    this.#manager = parts.manager;
    this.#superuserUrl = parts.server;
  }

  #session(service: string): ServiceDatabase {
    return this.#sessions.get(service) as ServiceDatabase;
  }

  /** Employees whom every service hears of from Users. */
  async hire(count: number): Promise<void> {
    const events = Array.from({ length: count }, (_, index) => {
      const data = { version: 1, name: `Popug ${index + 1}`, email: `popug-${index + 1}@market.test`, roles: ['EMPLOYEE' as const], status: 'ACTIVE' as const };
      return newEvent(userCreatedV1, newId(), data, { time: new Date(), traceparent: TRACEPARENT });
    });
    await this.#users.sqlTransaction((sql) => recordEvents(sql, events));
  }

  /** Open tasks, with their events. */
  async add(count: number): Promise<void> {
    const creatorId = newId();
    for (let added = 0; added < count; added += CHUNK) {
      await this.tasks.sqlTransaction(async (sql) => {
        const size = Math.min(CHUNK, count - added);
        const at = new Date();
        const day = await stampBusinessDay(sql, TIME_ZONE, at);
        await holdEmployees(sql, 'AS_THEY_ARE');
        await sql(NEW_TASKS, [size, await assignableEmployees(sql), creatorId, at, day, TRACEPARENT, at.toISOString()]);
        const [last] = await sql<{ number: number }>('select last_value::int as number from task_numbers');
        await countForDay(sql, day, { assignments: size, lastTaskNumber: last?.number ?? 0 });
      });
    }
  }

  async employees(): Promise<number> {
    return (await assignableEmployees(this.tasks.sql)).length;
  }

  /** As months of autovacuum leave it. */
  async tidy(): Promise<void> {
    for (const service of SUBGRAPHS) {
      const client = new pg.Client({ connectionString: urlOfDatabase(this.#superuserUrl, service) });
      await client.connect();
      await client.query('vacuum (analyze)');
      await client.query('checkpoint');
      await client.end();
    }
  }

  /** How many postings there are, cheaply: each has an entry of the company's. */
  async posted(): Promise<number> {
    const [row] = await this.#session('accounting').rows<{ posted: number }>(`select entry_count as posted from accounts where kind = 'COMPANY'`);
    return row?.posted ?? 0;
  }

  /** Until every event is published and applied by everybody, and every task has its price. */
  async settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    for (let left = await this.#unsettled(); left !== null; left = await this.#unsettled()) {
      if (performance.now() > deadline) throw new Error(`After ${SETTLE_MS / 1_000} s ${left}`);
      await delay(LOOK_MS);
    }
  }

  async #unsettled(): Promise<string | null> {
    for (const service of ['users', 'tasks', 'accounting'] as const) {
      const [waiting] = await this.#session(service).rows('select from outbox where stream_seq is null or stream_seq > (select published from outbox_relay) limit 1');
      if (waiting !== undefined) return `${service} still publishes`;
    }
    for (const service of CONSUMING_SERVICES) {
      for (const subscription of subscriptionsOf(service)) {
        const info = await streamInfo(this.#manager, subscription.producer);
        const positions = await positionsIn(this.#session(service), subscription, { name: streamOf(subscription.producer), created: info?.created ?? null });
        const pending = info === null ? [] : await pendingAfter(this.#manager, subscription, positions);
        if (pending.some((count) => count > 0)) return `${service} still reads what ${subscription.producer} tells`;
      }
      const [parked] = await this.#session(service).rows<{ reason: string }>('select reason from parked_events where outcome is null limit 1');
      if (parked !== undefined) throw new Error(`${service} has parked an event: ${parked.reason}`);
    }
    const [unpriced] = await this.tasks.sql(`select from tasks where fee is null limit 1`);
    return unpriced === undefined ? null : 'tasks are without a price';
  }

  async books(): Promise<Books> {
    const [tasks] = await this.#session('tasks').rows<{ count: number }>('select count(*)::int as count from assignments');
    const [fees] = await this.#session('accounting').rows<{ count: number }>(`select count(*)::int as count from postings where kind = 'FEE'`);
    const [entries] = await this.#session('accounting').rows<{ sum: string }>('select coalesce(sum(amount), 0) as sum from entries');
    return { assignments: tasks?.count ?? 0, fees: fees?.count ?? 0, sum: Number(entries?.sum) };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()));
    await Promise.all([this.tasks.close(), this.#users.close(), this.#nats.close()]);
  }
}
