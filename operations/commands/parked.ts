import { textOf, type Command, type CommandContext, type Given } from '../command.ts';
import { knownConsumers, withDatabases } from '../connections.ts';
import { moment, shortened, tableLines, type Output } from '../output.ts';
import { handleText, openParkedEvents, readService, type ParkedEvent } from '../parked-letters.ts';

export const PARKED: Command = {
  name: 'parked',
  usage: 'parked [--service <name>]',
  summary: 'Lists the parked events: those that a service could not read or apply, and that nobody has settled.',
  details: `  --service <name>   only those of one service

Of each: its id, the service that parked it, whose event it is, its type and version, how many later events of its
aggregate wait behind it, and since when. Below that its aggregate and the reason. \`show <id>\` tells everything.`,
  options: { service: { type: 'string' } },
  words: { min: 0, max: 0 },
  run: listParked,
};

const COLUMNS = [{ title: 'ID' }, { title: 'SERVICE' }, { title: 'SOURCE' }, { title: 'TYPE' }, { title: 'VER', isNumber: true }, { title: 'WAITING', isNumber: true }, { title: 'PARKED AT (UTC)' }];
const INDENT = '    ';

async function listParked(given: Given, { installation: find, out }: CommandContext): Promise<0> {
  const only = textOf(given, 'service');
  const wanted = only === undefined ? undefined : readService(only);
  const installation = find();
  const services = wanted === undefined ? knownConsumers(installation) : [wanted];
  const parked = await withDatabases(installation, services, async (databases) => (await Promise.all(databases.map(openParkedEvents))).flat());
  if (parked.length === 0) out.line(`No event is parked (${services.join(', ')}).`);
  else printTable(parked, out);
  return 0;
}

function printTable(parked: readonly ParkedEvent[], out: Output): void {
  const rows = parked.map((event) => [
    handleText(event),
    event.service,
    event.source.slice(1),
    event.dataschema ?? 'unreadable',
    String(event.version ?? '-'),
    event.aggregateId === null ? '-' : String(event.waiting),
    moment(event.parkedAt).slice(0, 16),
  ]);
  const [heading = '', ...lines] = tableLines(COLUMNS, rows);
  out.heading(heading);
  for (const [index, event] of parked.entries()) {
    out.line(lines[index]);
    out.line(`${INDENT}${event.aggregateId === null ? `message ${event.messageKey}` : `aggregate ${event.aggregateId}`}`);
    out.line(`${INDENT}${shortened(event.reason, out.columns - INDENT.length)}`);
    if (event.command !== null) out.line(`${INDENT}${event.command} was decided and is not carried out yet`);
  }
}
