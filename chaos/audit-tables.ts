import type { NatsConnection } from '@nats-io/transport-node';
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import pg from 'pg';
import { urlOfDatabase } from '../scripts/provision-databases.ts';

const MESSAGES_AT_ONCE = 5_000;
const SILENCE_MS = 20_000;

/** What is copied: from which of the two databases, by which statement, into which columns. */
const COPIES = [
  {
    from: 'tasks',
    into: `event (id uuid, aggregate_id uuid, version integer, type text, occurred_at timestamptz, stream_seq bigint,
      assignment_number integer, assignee_id uuid, business_day date)`,
    rows: `select id, aggregate_id, version, type, occurred_at, stream_seq,
      (data->>'assignmentNumber')::int, (data->>'assigneeId')::uuid, (data->>'businessDay')::date from outbox`,
  },
  {
    from: 'accounting',
    into: `said (id uuid, aggregate_id uuid, version integer, type text, stream_seq bigint, entry_id uuid)`,
    rows: `select id, aggregate_id, version, type, stream_seq, (data->'entry'->>'id')::uuid from outbox`,
  },
  {
    from: 'accounting',
    into: `posting (id uuid, kind text, cause text, from_account uuid, to_account uuid, amount bigint, task_id uuid, business_day date, posted_at timestamptz)`,
    rows: 'select id, kind, cause, from_account, to_account, amount, task_id, business_day, posted_at from postings',
  },
  {
    from: 'accounting',
    into: 'entry (id uuid, posting_id uuid, side integer, account_id uuid, number integer, amount bigint, balance_after bigint)',
    rows: 'select id, posting_id, side, account_id, number, amount, balance_after from entries',
  },
  {
    from: 'accounting',
    into: 'account (id uuid, kind text, owner_id uuid, balance bigint, entry_count integer, version integer)',
    rows: 'select id, kind, owner_id, balance, entry_count, version from accounts',
  },
  { from: 'accounting', into: 'price (task_id uuid, fee bigint, reward bigint)', rows: 'select task_id, fee, reward from prices' },
  { from: 'accounting', into: 'received (event_id uuid)', rows: 'select event_id from inbox' },
  { from: 'accounting', into: 'reached (aggregate_id uuid, version integer)', rows: `select aggregate_id, version from inbox_versions where source = '/tasks'` },
  { from: 'accounting', into: 'waiting (aggregate_id uuid, version integer)', rows: 'select aggregate_id, version from inbox_waiting' },
  { from: 'accounting', into: 'parked (message_key text, reason text)', rows: 'select message_key, reason from parked_events' },
] as const;

/** Made of the copies: each event that is to be posted with what it is posted for, and the ledger's one order of all postings. */
const DERIVED = [
  `create table due as select *, case type when 'task.assigned' then 'fee/' || aggregate_id || '/' || assignment_number else 'reward/' || aggregate_id end as cause
   from event where type in ('task.assigned', 'task.completed')`,
  `create table effect as select posting.*, entry.number as place from posting
   left join entry on entry.posting_id = posting.id and entry.account_id = (select id from account where kind = 'COMPANY')`,
  ...['due (cause)', 'effect (cause)', 'effect (id)', 'entry (posting_id)', 'event (id)', 'said (id)', 'said (entry_id)', 'message (id)', 'received (event_id)'].map((key) => `create index on ${key}`),
  'analyze',
];

export interface AuditSource {
  /** The superuser's, on any database. */
  readonly postgresUrl: string;
  readonly tasks: string;
  readonly accounting: string;
  /** The name of the database that the copies are put in; made anew. */
  readonly into: string;
  readonly nats: NatsConnection;
}

/** Copies what is to be looked at into a database of its own: two databases and two streams can't be joined where they are. */
export async function copyForAudit({ postgresUrl, tasks, accounting, into, nats }: AuditSource): Promise<pg.Client> {
  const server = await connected(postgresUrl);
  await server.query(`drop database if exists ${into} with (force)`);
  await server.query(`create database ${into}`);
  await server.end();
  const audit = await connected(urlOfDatabase(postgresUrl, into));
  await audit.query('create extension dblink');
  await audit.query('set synchronous_commit = off');
  await audit.query(`set work_mem = '128MB'`);
  for (const { from, into: table, rows } of COPIES) {
    const [name = '', columns = ''] = table.split(/ (.*)/s);
    await audit.query(`create table ${table}`);
    await audit.query(`insert into ${name} select * from dblink($1, $2) as copied ${columns}`, [dblinkOf(postgresUrl, from === 'tasks' ? tasks : accounting), rows]);
  }
  await audit.query('create table message (stream text, seq bigint, id uuid)');
  for (const stream of ['TASKS', 'ACCOUNTING']) await copyStream(nats, stream, audit);
  for (const statement of DERIVED) await audit.query(statement);
  return audit;
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function dblinkOf(url: string, database: string): string {
  const { hostname, port, username, password } = new URL(url);
  return `host=${hostname} port=${port} user=${username} password=${decodeURIComponent(password)} dbname=${database}`;
}

/** Position and id of every message; one whose id is none of ours has a null. */
async function copyStream(nats: NatsConnection, stream: string, audit: pg.Client): Promise<void> {
  const manager = await jetstreamManager(nats);
  const { state } = await manager.streams.info(stream);
  if (state.messages === 0) return;
  const consumer = await manager.consumers.add(stream, { ack_policy: AckPolicy.None, deliver_policy: DeliverPolicy.All, headers_only: true, mem_storage: true });
  const messages = await jetstream(nats).consumers.getConsumerFromInfo(consumer).consume({ max_messages: MESSAGES_AT_ONCE, abort_on_missing_resource: true });
  const silence = setTimeout(() => messages.stop(new Error(`${stream} fell silent`)), SILENCE_MS);
  let batch: { seq: number; id: string | null }[] = [];
  const write = async (): Promise<void> => {
    await audit.query('insert into message select $1, * from unnest($2::bigint[], $3::uuid[])', [stream, batch.map(({ seq }) => seq), batch.map(({ id }) => id)]);
    batch = [];
  };
  for await (const message of messages) {
    silence.refresh();
    const id = message.headers?.get('Nats-Msg-Id') ?? '';
    batch.push({ seq: message.seq, id: /^[0-9a-f-]{36}$/.test(id) ? id : null });
    if (batch.length === MESSAGES_AT_ONCE) await write();
    if (message.seq >= state.last_seq) break;
  }
  clearTimeout(silence);
  await write();
  await manager.consumers.delete(stream, consumer.name);
}
