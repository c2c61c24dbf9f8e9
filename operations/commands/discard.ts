import { textOf, wholeNumber, type Command, type CommandContext, type Given } from '../command.ts';
import { withDatabases } from '../connections.ts';
import { carryOut, WAIT_SECONDS } from '../decisions.ts';
import { UsageError } from '../errors.ts';
import { parkedEvent, readHandle } from '../parked-letters.ts';

export const DISCARD: Command = {
  name: 'discard',
  usage: 'discard <id> --why <reason>',
  summary: 'Does without a parked event for good; those that waited behind it are applied.',
  details: `  --why <reason>     why its effects are not needed; kept with the event
  --wait <seconds>   how long to wait for the service to carry it out (default ${WAIT_SECONDS})

This can't be taken back, and a rebuild discards the event again. If the event should have had effects, mend the cause
and \`replay\` it. What is not carried out in time stays decided: the service does it when it runs.`,
  options: { why: { type: 'string' }, wait: { type: 'string' } },
  words: { min: 1, max: 1 },
  run: discard,
};

async function discard(given: Given, { installation, out }: CommandContext): Promise<0 | 1> {
  const { service, id } = readHandle(given.words[0] ?? '');
  const why = textOf(given, 'why')?.trim() ?? '';
  if (why === '') throw new UsageError(`Say why nothing is lost without it, for those who look later: npm run events -- discard ${service}-${id} --why '…'`);
  const decision = { command: 'DISCARD', why, waitMs: (wholeNumber(given, 'wait', 0) ?? WAIT_SECONDS) * 1_000 } as const;
  return withDatabases(installation(), [service], async ([database]) => {
    if (database === undefined) return 1;
    return (await carryOut(database, [await parkedEvent(database, id)], decision, out)) ? 0 : 1;
  });
}
