import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { AckPolicy, jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { type Msg, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { connectNats } from '../service-kit/src/nats.ts';
import { natsUrl, type RunningNats, startNats } from './embedded-nats.ts';
import { OPERATOR, serviceUsers } from './nats-access.ts';

const SERVICES = ['users', 'tasks', 'accounting', 'analytics'];
/** Every user that a process of the stack connects as. */
const CLIENTS = [...SERVICES, 'gateway'];
const STREAMS = ['USERS', 'TASKS', 'ACCOUNTING'];
/** Some of the partitions that a service's consumers are named by, and names that none has. */
const CONSUMERS = ['-0', '-7', '-unpartitioned', '-8', '-9', '-17', '-18', '-0-more', ''];

/** Who may do what. Whatever of MATRIX is not named here must be refused. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  users: ['ask for limits', 'hear own inbox', 'live users', 'tell revocations', 'write USERS'],
  tasks: ['ask for limits', 'hear own inbox', 'live tasks', 'follow revocations', 'write TASKS', 'listen task', 'read USERS', 'read ACCOUNTING', 'read-kinds ACCOUNTING'],
  accounting: ['ask for limits', 'hear own inbox', 'live accounting', 'follow revocations', 'write ACCOUNTING', 'read USERS', 'read TASKS'],
  analytics: ['ask for limits', 'hear own inbox', 'live analytics', 'follow revocations', 'read USERS', 'read TASKS', 'read ACCOUNTING'],
  gateway: ['hear own inbox', 'follow revocations'],
};

/** The requests that ALLOWED's words stand for. */
function inWords(user: string, words: string): readonly string[] {
  const [verb = '', what = ''] = words.split(' ');
  // Whoever reads two kinds of aggregates apart has readings for each.
  const own = (verb === 'read-kinds' ? ['-9', '-17'] : ['-0', '-7', '-unpartitioned']).map((name) => `${user}${name} of ${what}`);
  const reading = own.flatMap((name) => ['create', 'ask for', 'read by', 'delete', 'create with filter'].map((request) => `${request} ${name}`));
  const meanings: Record<string, string[]> = {
    ask: ['ask for limits'],
    hear: [`subscribe _INBOX_${user}.>`, `subscribe _INBOX_${user}.some.answer`],
    live: [`publish live.${what}.news`, `subscribe live.${what}.>`],
    follow: [ASK_FOR_REVOCATIONS, `subscribe ${REVOCATIONS}`],
    tell: [ASK_FOR_REVOCATIONS, `publish ${REVOCATIONS}`, `subscribe ${REVOCATIONS}`, `subscribe ${REVOCATIONS}.since`, `subscribe ${REVOCATIONS}.>`],
    write: [`publish ates.${what.toLowerCase()}.thing.done.v1.0`, `publish ates.${what.toLowerCase()}.thing.done.v1.0 with acknowledgement`, `info ${what}`, `create ${what}`, `get from ${what}`],
    read: [`info ${what}`, `get from ${what}`, ...reading],
    'read-kinds': reading,
    listen: [`subscribe ates.${user}.${what}.>`],
  };
  return meanings[verb] ?? [];
}

const REVOCATIONS = 'live.users.revocations';
const ASK_FOR_REVOCATIONS = 'ask for revocations';

interface Attempt {
  readonly name: string;
  readonly kind: 'request' | 'publish' | 'subscribe';
  readonly subject: string;
  readonly payload?: object;
}

/** Every attempt that each user makes, in an order in which those who may do all of them can. */
const MATRIX: readonly Attempt[] = [
  { name: 'ask for limits', kind: 'request', subject: '$JS.API.INFO' },
  ...STREAMS.flatMap((stream) => SERVICES.flatMap((service) => CONSUMERS.flatMap((name) => consumerAttempts(stream, `${service}${name}`)))),
  ...CLIENTS.flatMap((name) => [to('publish', `live.${name}.news`), to('subscribe', `live.${name}.>`)]),
  { name: ASK_FOR_REVOCATIONS, kind: 'request', subject: `${REVOCATIONS}.since`, payload: { after: 0 } },
  to('publish', REVOCATIONS), to('subscribe', REVOCATIONS), to('subscribe', `${REVOCATIONS}.since`), to('subscribe', `${REVOCATIONS}.>`),
  ...CLIENTS.flatMap((name) => [to('publish', `_INBOX_${name}.some.answer`), to('subscribe', `_INBOX_${name}.>`), to('subscribe', `_INBOX_${name}.some.answer`)]),
  ...['>', '*.>', 'ates.>', 'ates.users.>', 'ates.tasks.>', 'ates.tasks.task.>', 'ates.accounting.>', 'ates.accounting.account.>', 'live.>', '_INBOX.>', '_INBOX.*.*', '$JS.>', '$JS.API.>', '$JS.API.CONSUMER.>'].map((subject) => to('subscribe', subject)),
  ...STREAMS.flatMap(streamAttempts),
];

function to(kind: 'publish' | 'subscribe', subject: string): Attempt {
  return { name: `${kind} ${subject}`, kind, subject };
}

function streamConfig(stream: string): { name: string; subjects: string[]; allow_direct: boolean } {
  return { name: stream, subjects: [`ates.${stream.toLowerCase()}.>`], allow_direct: true };
}

function streamAttempts(stream: string): Attempt[] {
  const event = `ates.${stream.toLowerCase()}.thing.done.v1.0`;
  const request = (name: string, api: string, payload?: object): Attempt => ({ name: `${name} ${stream}`, kind: 'request', subject: `$JS.API.${api}.${stream}`, payload });
  return [
    to('publish', event),
    { name: `publish ${event} with acknowledgement`, kind: 'request', subject: event, payload: { by: 'request' } },
    request('info', 'STREAM.INFO'),
    request('create', 'STREAM.CREATE', streamConfig(stream)),
    request('update', 'STREAM.UPDATE', { ...streamConfig(stream), max_msgs: 1_000 }),
    request('get from', 'STREAM.MSG.GET', { seq: 1 }),
    request('get directly from', 'DIRECT.GET', { seq: 1 }),
    request('list consumers of', 'CONSUMER.NAMES'),
    request('delete from', 'STREAM.MSG.DELETE', { seq: 2 }),
    request('purge', 'STREAM.PURGE'),
    request('delete', 'STREAM.DELETE'),
  ];
}

function consumerAttempts(stream: string, name: string): Attempt[] {
  const request = (title: string, api: string, payload?: object): Attempt => ({ name: `${title} ${name} of ${stream}`, kind: 'request', subject: `$JS.API.CONSUMER.${api}`, payload });
  const config = { name, ack_policy: 'none', mem_storage: true };
  const filter = `ates.${stream.toLowerCase()}.*.*.*.0`;
  return [
    request('create', `CREATE.${stream}.${name}`, { stream_name: stream, config }),
    request('ask for', `INFO.${stream}.${name}`),
    request('read by', `MSG.NEXT.${stream}.${name}`, { batch: 1, no_wait: true }),
    request('delete', `DELETE.${stream}.${name}`),
    request('create with filter', `CREATE.${stream}.${name}.${filter}`, { stream_name: stream, config: { ...config, filter_subject: filter } }),
    request('create a durable', `DURABLE.CREATE.${stream}.${name}-durable`, { stream_name: stream, config: { durable_name: `${name}-durable`, ack_policy: 'none' } }),
    request('create any instead of', `CREATE.${stream}`, { stream_name: stream, config: { ack_policy: 'none' } }),
  ];
}

/** What only an operator asks; for services it is refused, whatever the request holds. */
const OPERATION = [
  ...['SNAPSHOT', 'RESTORE', 'LEADER.STEPDOWN', 'PEER.REMOVE'].map((api) => `$JS.API.STREAM.${api}.USERS`),
  ...['LIST.USERS', 'PAUSE.USERS.tasks-0', 'UNPIN.USERS.tasks-0', 'RESET.USERS.tasks-0', 'LEADER.STEPDOWN.USERS.tasks-0'].map((api) => `$JS.API.CONSUMER.${api}`),
  '$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST', '$JS.API.STREAM.CREATE.MORE', '$JS.API.DIRECT.GET.USERS.ates.users.thing.done.v1.0',
  '$JS.ACK.USERS.tasks-0.1.1.1.0.0', '$JS.FC.USERS.tasks-0.1', '$KV.a.b', '$SYS.REQ.SERVER.PING',
  'ates', 'ates.users', 'ates.analytics.thing.done.v1.0', 'live.users', 'anything',
];

let server: RunningNats;
let operator: NatsConnection;
let manager: JetStreamManager;
const storeDir = mkdtempSync(join(tmpdir(), 'ates-nats-access-'));
const passwordOf = (user: string): string => `of-${user}`;

/** A connection made as the services make theirs, and what it was refused. */
interface Client {
  readonly connection: NatsConnection;
  readonly refusals: PermissionViolationError[];
}
const clients = new Map<string, Client>();
/** Subject and text of every message of the server. */
const heard: string[] = [];

beforeAll(async () => {
  server = await startNats({ storeDir, port: 0, user: OPERATOR, password: passwordOf(OPERATOR), otherUsers: serviceUsers(passwordOf) });
  for (const user of [OPERATOR, ...CLIENTS]) clients.set(user, await clientOf(user));
  operator = clientFor(OPERATOR).connection;
  manager = await jetstreamManager(operator);
  const answersAsUsers = await clientOf('users');
  clients.set('users that answer', answersAsUsers);
  answersAsUsers.connection.subscribe(`${REVOCATIONS}.since`, { callback: (_error, question) => void question.respond('{}') });
  await answersAsUsers.connection.flush();
  operator.subscribe('>', { callback: (_error, message) => void heard.push(`${message.subject} ${message.string()}`) });
});

afterAll(async () => {
  await Promise.all([...clients.values()].map(({ connection }) => connection.close()));
  await server?.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

async function clientOf(user: string): Promise<Client> {
  const connection = await connectNats(natsUrl({ port: server.port, user, password: passwordOf(user) }), user, pino({ enabled: false }));
  const refusals: PermissionViolationError[] = [];
  void (async () => {
    for await (const status of connection.status()) if (status.type === 'error' && status.error instanceof PermissionViolationError) refusals.push(status.error);
  })();
  return { connection, refusals };
}

function clientFor(user: string): Client {
  const client = clients.get(user);
  if (client === undefined) throw new Error(`${user} is not connected`);
  return client;
}

/** All streams anew, with three events each, and each service's first consumer of each. */
async function makeStreams(): Promise<void> {
  for (const stream of STREAMS) {
    if ((await stateOf(stream)) !== null) await manager.streams.delete(stream);
    await manager.streams.add(streamConfig(stream));
    for (const number of [1, 2, 3]) await jetstream(operator).publish(`ates.${stream.toLowerCase()}.thing.done.v1.0`, JSON.stringify({ number }));
    for (const service of SERVICES) await manager.consumers.add(stream, { name: `${service}-0`, ack_policy: AckPolicy.None, mem_storage: true });
  }
}

/** What no refused request may change. */
async function stateOf(stream: string): Promise<object | null> {
  if (!(await manager.streams.names().next()).includes(stream)) return null;
  const { config, state } = await manager.streams.info(stream);
  const consumers = await manager.consumers.list(stream).next();
  const read = consumers.map(({ name, num_pending: pending, config: { filter_subject: filter } }) => ({ name, pending, filter }));
  return { config, messages: state.messages, lastSeq: state.last_seq, consumers: read.toSorted((one, other) => one.name.localeCompare(other.name)) };
}

type Outcome = 'done' | 'refused' | `failed: ${string}`;

/** A refusal is one by the server's own words for this very subject; that nothing answers is a failure. */
async function outcomeOf({ connection, refusals }: Client, attempt: Attempt): Promise<Outcome> {
  const { kind, subject, payload = {} } = attempt;
  const refusalsBefore = refusals.length;
  let outcome: Outcome = 'done';
  // With an inbox of its own: what is read from a stream comes under the subject that it was published to.
  if (kind === 'request') outcome = await connection.request(subject, JSON.stringify(payload), { timeout: 5_000, noMux: true }).then(answered, failed);
  if (kind === 'publish') outcome = await published(connection, subject);
  const subscription = kind === 'subscribe' ? connection.subscribe(subject, { callback: () => {} }) : undefined;
  // The server writes a refusal before the answer to this round trip; one turn later the refusal has been noted.
  await connection.flush();
  await turn();
  const refused = refusals.slice(refusalsBefore).some((refusal) => refusal.subject === subject && refusal.operation === (kind === 'subscribe' ? 'subscription' : 'publish'));
  if (!refused) {
    subscription?.unsubscribe();
    return outcome;
  }
  return outcome === 'done' && kind !== 'subscribe' ? 'failed: refused, and done all the same' : 'refused';
}

/** Whether the message arrived, which the operator hears before it hears the end of its own round trip. */
async function published(connection: NatsConnection, subject: string): Promise<Outcome> {
  const before = heard.length;
  connection.publish(subject, `after ${before}`);
  await connection.flush();
  await operator.flush();
  return heard.slice(before).includes(`${subject} after ${before}`) ? 'done' : 'failed: not heard';
}

function answered(answer: Msg): Outcome {
  if (answer.headers !== undefined && answer.headers.code !== 0) return `failed: ${answer.headers.status}`;
  const { error } = answer.json<{ error?: { description: string } }>();
  return error === undefined ? 'done' : `failed: ${error.description}`;
}

const failed = (error: Error): Outcome => `failed: ${error.message}`;

async function outcomes(user: string, attempts: readonly Attempt[]): Promise<Record<string, Outcome>> {
  const all: Record<string, Outcome> = {};
  for (const attempt of attempts) all[attempt.name] = await outcomeOf(clientFor(user), attempt);
  return all;
}

const every = (attempts: readonly Attempt[], outcome: Outcome): Record<string, Outcome> => Object.fromEntries(attempts.map(({ name }) => [name, outcome]));

describe.each(CLIENTS)('%s', (user) => {
  const allowed = new Set((ALLOWED[user] ?? []).flatMap((words) => inWords(user, words)));
  const ofOthers = MATRIX.filter(({ name }) => !allowed.has(name));
  const own = MATRIX.filter(({ name }) => allowed.has(name));

  beforeAll(makeStreams);

  test('is refused whatever is not its own, and nothing comes of it', async () => {
    expect(own.length).toBe(allowed.size);
    const before = await Promise.all(STREAMS.map(stateOf));
    expect(await outcomes(user, ofOthers)).toEqual(every(ofOthers, 'refused'));
    const operation = OPERATION.map((subject): Attempt => ({ name: subject, kind: 'request', subject }));
    expect(await outcomes(user, operation)).toEqual(every(operation, 'refused'));
    expect(await Promise.all(STREAMS.map(stateOf))).toEqual(before);
  });

  test('may do what its work needs', async () => {
    expect(await outcomes(user, own)).toEqual(every(own, 'done'));
  });
});

test('the operator may do everything', async () => {
  await makeStreams();
  expect(await outcomes(OPERATOR, MATRIX)).toEqual(every(MATRIX, 'done'));
});

test.each(SERVICES)('%s works with the client library as it is', async (user) => {
  await makeStreams();
  const { connection, refusals } = await clientOf(user);
  const library = await jetstreamManager(connection);
  for (const stream of STREAMS.filter((name) => ALLOWED[user]?.includes(`read ${name}`))) {
    const subject = `ates.${stream.toLowerCase()}.thing.done.v1.0`;
    expect((await library.streams.info(stream)).state.messages).toBe(3);
    await library.consumers.add(stream, { name: `${user}-3`, ack_policy: AckPolicy.None, filter_subject: `ates.${stream.toLowerCase()}.*.*.*.0` });
    const consumer = await jetstream(connection).consumers.get(stream, `${user}-3`);
    const read: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 3 })) read.push(`${message.subject} ${message.string()}`);
    expect(read).toEqual([1, 2, 3].map((number) => `${subject} {"number":${number}}`));
    await library.consumers.delete(stream, `${user}-3`);
  }
  for (const stream of STREAMS.filter((name) => ALLOWED[user]?.includes(`write ${name}`))) {
    const subject = `ates.${stream.toLowerCase()}.thing.done.v1.0`;
    expect((await jetstream(connection).publish(subject, '{}', { msgID: 'once', expect: { streamName: stream } })).seq).toBe(4);
    expect((await library.streams.getMessage(stream, { last_by_subj: subject }))?.seq).toBe(4);
    await manager.streams.delete(stream);
    await library.streams.add(streamConfig(stream));
  }
  expect(refusals).toEqual([]);
  await connection.close();
});

test("a consumer is the one of the request's subject, whatever the request says", async () => {
  await makeStreams();
  const before = await Promise.all(STREAMS.map(stateOf));
  const { connection } = clientFor('analytics');
  const create = async (body: object): Promise<{ name?: string; error?: object }> =>
    (await connection.request('$JS.API.CONSUMER.CREATE.USERS.analytics-5', JSON.stringify(body))).json();
  expect((await create({ stream_name: 'TASKS', config: { name: 'analytics-5', ack_policy: 'none' } })).error).toBeDefined();
  expect((await create({ stream_name: 'USERS', config: { durable_name: 'tasks-5', ack_policy: 'none' } })).error).toBeDefined();
  expect(await Promise.all(STREAMS.map(stateOf))).toEqual(before);
  expect((await create({ stream_name: 'USERS', config: { name: 'tasks-5', ack_policy: 'none' } })).name ?? 'analytics-5').toBe('analytics-5');
  await expect(manager.consumers.info('USERS', 'tasks-5')).rejects.toThrow('consumer not found');
});
