import { textOf, wholeNumber, type Command, type CommandContext, type Given } from '../command.ts';
import { knownConsumers, withDatabases } from '../connections.ts';
import { carryOut, WAIT_SECONDS } from '../decisions.ts';
import { UsageError } from '../errors.ts';
import { openParkedEvents, parkedEvent, readHandle, readService } from '../parked-letters.ts';

export const REPLAY: Command = {
  name: 'replay',
  usage: 'replay <id> | replay --all [--service <name>]',
  summary: 'Has parked events tried again, and tells what came of it.',
  details: `  --all              every open one, oldest first
  --service <name>   with --all: only those of one service
  --wait <seconds>   how long to wait for the service to carry it out (default ${WAIT_SECONDS})

Mend the cause first, or release a version that knows the event. An event that can be applied now is, and after it those
of its aggregate that waited behind it. One that can't be is parked again, with its new reason; then the exit code is 1.
What is not carried out in time stays decided: the service does it when it runs.`,
  options: { all: { type: 'boolean' }, service: { type: 'string' }, wait: { type: 'string' } },
  words: { min: 0, max: 1 },
  run: replay,
};

async function replay(given: Given, { installation: find, out }: CommandContext): Promise<0 | 1> {
  const [text] = given.words;
  const isAll = given.options['all'] === true;
  if (isAll === (text !== undefined)) throw new UsageError(`Say which: \`npm run events -- replay <id>\`, or \`replay --all\` for every open one. \`npm run events -- parked\` lists them.`);
  const only = textOf(given, 'service');
  if (only !== undefined && !isAll) throw new UsageError('--service goes with --all; an id says already whose it is.');
  const handle = text === undefined ? undefined : readHandle(text);
  const service = handle?.service ?? (only === undefined ? undefined : readService(only));
  const decision = { command: 'REPLAY', why: null, waitMs: (wholeNumber(given, 'wait', 0) ?? WAIT_SECONDS) * 1_000 } as const;
  const installation = find();
  return withDatabases(installation, service === undefined ? knownConsumers(installation) : [service], async (databases) => {
    let isDone = true;
    let count = 0;
    for (const database of databases) {
      const events = handle === undefined ? await openParkedEvents(database) : [await parkedEvent(database, handle.id)];
      count += events.length;
      if (!(await carryOut(database, events, decision, out))) isDone = false;
    }
    if (count === 0) out.line('No event is parked: nothing to replay.');
    return isDone ? 0 : 1;
  });
}
