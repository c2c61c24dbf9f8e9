import type { Command, CommandContext, Given } from '../command.ts';
import { withDatabases, type ServiceDatabase } from '../connections.ts';
import { counted, duration, moment, type Output } from '../output.ts';
import { handleText, parkedEvent, readHandle, waitingBehind, type ParkedEvent } from '../parked-letters.ts';

export const SHOW: Command = {
  name: 'show',
  usage: 'show <id>',
  summary: 'Tells everything about one parked event: the reason, the whole message, and which events wait behind it.',
  details: 'The id is that of `parked`, for example accounting-17. Settled ones can be shown too.',
  options: {},
  words: { min: 1, max: 1 },
  run: show,
};

const LABEL_CHARACTERS = 13;

async function show({ words: [text = ''] }: Given, { installation, out }: CommandContext): Promise<0> {
  const { service, id } = readHandle(text);
  await withDatabases(installation(), [service], async ([database]) => {
    if (database !== undefined) await print(database, await parkedEvent(database, id), out);
  });
  return 0;
}

async function print(database: ServiceDatabase, parked: ParkedEvent, out: Output): Promise<void> {
  out.heading(`${handleText(parked)}: ${parked.dataschema ?? 'a message that can not be read'} from ${parked.source.slice(1)}`);
  const facts = {
    message: parked.messageKey,
    aggregate: parked.aggregateId ?? 'not known',
    version: String(parked.version ?? 'not known'),
    'parked at': `${moment(parked.parkedAt)} UTC, ${duration(Date.now() - parked.parkedAt.getTime())} ago`,
    reason: parked.reason,
    decision: decisionText(parked),
  };
  for (const [label, value] of Object.entries(facts)) out.line(`  ${label.padEnd(LABEL_CHARACTERS)}${value}`);
  out.line();
  out.line(prettyJson(parked.message));
  out.line();
  const waiting = await waitingBehind(database, parked);
  out.line(waiting.length === 0 ? 'No later event of its aggregate waits behind it.' : `${counted(waiting.length, 'later event')} of its aggregate wait${waiting.length === 1 ? 's' : ''} behind it:`);
  for (const { version, event } of waiting) out.line(`  version ${version}  ${event.dataschema ?? 'done without'}  ${event.time ?? ''}  ${event.id ?? ''}`.trimEnd());
}

function decisionText({ command, why, outcome, settledAt }: ParkedEvent): string {
  const because = why === null ? '' : `: ${why}`;
  if (outcome !== null && settledAt !== null) return `${outcome.toLowerCase()} at ${moment(settledAt)} UTC${because}`;
  return command === null ? 'none yet: replay it or discard it' : `${command.toLowerCase()}, not carried out yet${because}`;
}

function prettyJson(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
