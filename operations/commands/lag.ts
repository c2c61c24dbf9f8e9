import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { Producer } from '@ates/shared-events/event';
import { readingsOf, streamInfo, streamOf, type Reading } from '@ates/shared-events/streams';
import type { Subscription } from '../../contracts/subscriptions.ts';
import { SUBGRAPHS } from '../../scripts/stack-secrets.ts';
import type { Command, CommandContext, Given } from '../command.ts';
import { openNats, withDatabases, type ServiceDatabase } from '../connections.ts';
import { OperationError } from '../errors.ts';
import { databaseVariable, subscriptionsOf } from '../installation.ts';
import { bytes, duration, tableLines, type Output } from '../output.ts';
import { pendingAfter, positionsIn, replicasReading } from '../pipe-state.ts';

export const LAG: Command = {
  name: 'lag',
  usage: 'lag [--watch]',
  summary: 'Tells how far events got: what streams hold, what is not published yet, what is not applied yet.',
  details: `  --watch   again every 2 s, until Ctrl-C

OUTBOX: events that are committed and not in the stream yet; OLDEST: for how long the oldest of them has been waiting.
BEHIND: events in the stream that the service has not taken yet. HELD: those that it took and that wait for an earlier one
of their aggregate. PARKED: those that wait for a decision. REPLICAS: how many processes of the service read the stream.
Positions: where each of the stream's partitions stands, and at last messages whose subject names none.`,
  options: { watch: { type: 'boolean' } },
  words: { min: 0, max: 0 },
  run: tellLag,
};

const WATCH_EVERY_MS = 2_000;
const PRODUCERS: readonly Producer[] = ['users', 'tasks', 'accounting'];
const BACKLOG = `
  select count(*)::int as unpublished, coalesce(extract(epoch from now() - min(occurred_at)) * 1000, 0)::float as "oldestMs" from (
    select occurred_at from outbox where stream_seq is null
    union all select occurred_at from outbox where stream_seq > (select published from outbox_relay)
  ) as unpublished`;
const HELD = `
  select (select count(*)::int from inbox_waiting where source = $1) as held,
    (select count(*)::int from parked_events where source = $1 and outcome is null) as parked`;

async function tellLag(given: Given, { installation: find, out, interrupted }: CommandContext): Promise<0> {
  const installation = find();
  const services = SUBGRAPHS.filter((service) => installation.databaseUrl(service) !== undefined);
  if (services.length === 0) throw new OperationError(`It is not known where the services' databases are: set ${SUBGRAPHS.map(databaseVariable).join(', ')} or some of them.`);
  const nats = await openNats(installation);
  try {
    await withDatabases(installation, services, async (databases) => {
      const manager = await jetstreamManager(nats);
      if (given.options['watch'] !== true) return print(await look(manager, databases), out);
      const over = interrupted();
      while (!over.aborted) {
        const state = await look(manager, databases);
        out.clear();
        out.line(`${installation.name}, ${new Date().toISOString()}; Ctrl-C ends`);
        print(state, out);
        await delay(WATCH_EVERY_MS, undefined, { signal: over }).catch(() => {});
      }
    });
  } finally {
    await nats.close();
  }
  return 0;
}

interface State {
  readonly streams: readonly string[][];
  readonly consumers: readonly { readonly row: string[]; readonly readings: readonly (Reading & { readonly position: number })[] }[];
}

async function look(manager: JetStreamManager, databases: readonly ServiceDatabase[]): Promise<State> {
  const streams = await Promise.all(PRODUCERS.map((producer) => lookAtStream(manager, producer, databases.find(({ service }) => service === producer))));
  const subscriptions = databases.flatMap((database) => subscriptionsOf(database.service).map((subscription) => ({ database, subscription })));
  const consumers = await Promise.all(subscriptions.map(({ database, subscription }) => lookAtConsumer(manager, database, subscription)));
  return { streams, consumers };
}

async function lookAtStream(manager: JetStreamManager, producer: Producer, database: ServiceDatabase | undefined): Promise<string[]> {
  const info = await streamInfo(manager, producer);
  const [backlog] = (await database?.rows<{ unpublished: number; oldestMs: number }>(BACKLOG)) ?? [];
  const outbox = backlog === undefined ? ['?', '?'] : [String(backlog.unpublished), backlog.unpublished === 0 ? '-' : duration(backlog.oldestMs)];
  if (info === null) return [streamOf(producer), 'none yet', '-', '-', '-', ...outbox];
  const { messages, bytes: size, first_seq, last_seq } = info.state;
  return [streamOf(producer), String(messages), bytes(size), String(first_seq), String(last_seq), ...outbox];
}

async function lookAtConsumer(manager: JetStreamManager, database: ServiceDatabase, subscription: Subscription): Promise<State['consumers'][number]> {
  const stream = streamOf(subscription.producer);
  const info = await streamInfo(manager, subscription.producer);
  const positions = await positionsIn(database, subscription, { name: stream, created: info?.created ?? null });
  const pending = info === null ? [] : await pendingAfter(manager, subscription, positions);
  const behind = pending.reduce((sum, count) => sum + count, 0);
  const [counts] = await database.rows<{ held: number; parked: number }>(HELD, [`/${subscription.producer}`]);
  const replicas = await replicasReading(database, stream);
  const row = [database.service, stream, String(behind), String(counts?.held ?? 0), String(counts?.parked ?? 0), replicas === 0 ? 'none' : String(replicas)];
  return { row, readings: readingsOf(subscription.about).map((reading) => ({ ...reading, position: positions[reading.number] ?? 0 })) };
}

const number = (title: string) => ({ title, isNumber: true });
const STREAM_COLUMNS = [{ title: 'STREAM' }, ...['MESSAGES', 'SIZE', 'FIRST', 'LAST', 'OUTBOX', 'OLDEST'].map(number)];
const CONSUMER_COLUMNS = [{ title: 'SERVICE' }, { title: 'READS' }, ...['BEHIND', 'HELD', 'PARKED', 'REPLICAS'].map(number)];

function print({ streams, consumers }: State, out: Output): void {
  const [heading = '', ...lines] = tableLines(STREAM_COLUMNS, streams);
  out.heading(heading);
  for (const line of lines) out.line(line);
  if (consumers.length === 0) return;
  out.line();
  const [consumerHeading = '', ...consumerLines] = tableLines(CONSUMER_COLUMNS, consumers.map(({ row }) => row));
  out.heading(consumerHeading);
  for (const [index, { readings }] of consumers.entries()) {
    out.line(consumerLines[index]);
    for (const [about, ofKind] of Map.groupBy(readings, (reading) => reading.about)) {
      const positions = ofKind.map(({ position }) => position);
      out.line(`    positions${about === '*' ? '' : ` (${about})`} ${positions.slice(0, -1).join(' ')}, unpartitioned ${positions.at(-1)}`);
    }
  }
}
