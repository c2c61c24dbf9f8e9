import { DeliverPolicy, jetstream, jetstreamManager, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { CATALOG } from '@ates/shared-events/catalog';
import type { Producer } from '@ates/shared-events/event';
import { streamInfo, streamOf } from '@ates/shared-events/streams';
import { textOf, wholeNumber, type Command, type CommandContext, type Given } from '../command.ts';
import { openNats } from '../connections.ts';
import { OperationError, UsageError } from '../errors.ts';
import { shortened, type Output } from '../output.ts';

export const TAIL: Command = {
  name: 'tail',
  usage: 'tail [--service <name>] [--type <type>] [--from <position>] [--json]',
  summary: 'Prints events as they are published, one line each, until Ctrl-C.',
  details: `  --service <name>    only those that this service publishes
  --type <type>       only this type, for example task.assigned
  --from <position>   first those from this position of the stream on; with --service or --type
  --json              whole envelopes, one per line

A line is: time, position in the stream, subject, aggregate, its version, and the data, shortened.`,
  options: { service: { type: 'string' }, type: { type: 'string' }, from: { type: 'string' }, json: { type: 'boolean' } },
  words: { min: 0, max: 0 },
  run: tail,
};

const POSITION_CHARACTERS = 7;
const SUBJECT_CHARACTERS = 34;
const DATA_CHARACTERS = 160;
const PRODUCERS: readonly Producer[] = ['users', 'tasks', 'accounting'];

/** Which events of which stream. */
interface Selection {
  readonly producer: Producer;
  readonly type: string | undefined;
  readonly from: number | undefined;
}

async function tail(given: Given, { installation, out, interrupted }: CommandContext): Promise<0> {
  const selections = readSelections(given);
  const nats = await openNats(installation());
  const over = interrupted();
  try {
    const manager = await jetstreamManager(nats);
    const found = await Promise.all(selections.map(async (selection) => ((await streamInfo(manager, selection.producer)) === null ? [] : [selection])));
    const missing = selections.filter((_, index) => found[index]?.length === 0).map(({ producer }) => streamOf(producer));
    if (missing.length === selections.length) throw new OperationError(`There is no stream ${missing.join(', ')} yet: its service makes it when it first runs.`);
    if (missing.length > 0) out.note(`There is no stream ${missing.join(', ')} yet; run this again once there is.`);
    const open = await Promise.all(found.flat().map((selection) => listen(nats, selection)));
    out.note(`listening to ${found.flat().map(({ producer }) => streamOf(producer)).join(', ')}, Ctrl-C ends …`);
    over.addEventListener('abort', () => open.forEach((messages) => messages.stop()), { once: true });
    if (over.aborted) for (const messages of open) messages.stop();
    await Promise.all(open.map((messages) => printAll(messages, given.options['json'] === true, out)));
  } finally {
    await nats.close();
  }
  return 0;
}

function readSelections(given: Given): Selection[] {
  const service = textOf(given, 'service');
  const type = textOf(given, 'type');
  const from = wholeNumber(given, 'from', 1);
  if (service !== undefined && !PRODUCERS.some((producer) => producer === service)) throw new UsageError(`"${service}" is no service that publishes events. These do: ${PRODUCERS.join(', ')}.`);
  const known = CATALOG.filter(({ producer }) => service === undefined || producer === service);
  if (type !== undefined && !known.some((definition) => definition.type === type)) {
    throw new UsageError(`"${type}" is no type of event${service === undefined ? '' : ` that ${service} publishes`}. These are: ${[...new Set(known.map((definition) => definition.type))].join(', ')}.`);
  }
  const producers = PRODUCERS.filter((producer) => known.some((definition) => definition.producer === producer && (type === undefined || definition.type === type)));
  if (from !== undefined && producers.length > 1) throw new UsageError('--from counts the positions of one stream: say which by --service or --type.');
  return producers.map((producer) => ({ producer, type, from }));
}

async function listen(nats: NatsConnection, { producer, type, from }: Selection): Promise<ConsumerMessages> {
  const start = from === undefined ? { deliver_policy: DeliverPolicy.New } : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from };
  const filter_subjects = type === undefined ? `ates.${producer}.>` : `ates.${producer}.${type}.>`;
  const consumer = await jetstream(nats).consumers.get(streamOf(producer), { filter_subjects, ...start });
  return consumer.consume();
}

async function printAll(messages: ConsumerMessages, isJson: boolean, out: Output): Promise<void> {
  for await (const message of messages) out.line(isJson ? jsonLine(message) : eventLine(message, out));
}

/** The envelope as it is; what is no JSON as a JSON text. */
function jsonLine(message: JsMsg): string {
  try {
    return JSON.stringify(message.json());
  } catch {
    return JSON.stringify(message.string());
  }
}

function eventLine(message: JsMsg, out: Output): string {
  const { time = '', subject = '?', data = {} } = readEnvelope(message);
  const { version = '?', ...rest } = data;
  const place = `${time.slice(11, 23) || '?'} ${String(message.seq).padStart(POSITION_CHARACTERS)} ${message.subject.padEnd(SUBJECT_CHARACTERS)}`;
  const line = `${place} ${subject} v${String(version)} ${shortened(JSON.stringify(rest), DATA_CHARACTERS)}`;
  return out.isTerminal ? shortenedTo(line, out.columns) : line;
}

function shortenedTo(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;
}

function readEnvelope(message: JsMsg): { readonly time?: string; readonly subject?: string; readonly data?: Readonly<Record<string, unknown>> } {
  try {
    return message.json<{ time?: string; subject?: string; data?: Record<string, unknown> }>();
  } catch {
    return { data: { unreadable: message.string() } };
  }
}
