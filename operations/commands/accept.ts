import { textOf, type Command, type CommandContext, type Given } from '../command.ts';
import { withDatabases } from '../connections.ts';
import { UsageError } from '../errors.ts';

export const ACCEPT: Command = {
  name: 'accept',
  usage: 'accept <day> --why <reason>',
  summary: 'Lets an ended day close with what is posted, though its counts do not match.',
  details: `  --why <reason>   for those who look at the day later; kept with it

When an event of the day was discarded for good, the day waits for it for ever. What is paid then is what is posted. If the event comes
after all, it is posted to the first open day. Accounting closes the day within a minute; days before it come first.`,
  options: { why: { type: 'string' } },
  words: { min: 1, max: 1 },
  run: accept,
};

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function accept(given: Given, { installation, out }: CommandContext): Promise<0 | 1> {
  const [day = ''] = given.words;
  const why = textOf(given, 'why')?.trim() ?? '';
  if (!DAY.test(day) || Number.isNaN(Date.parse(day))) throw new UsageError(`"${day}" is no day: write one like 2026-11-20.`);
  if (why === '') throw new UsageError('Say why: --why "the charge of POPUG-17 was discarded, its event was garbage".');
  return withDatabases<0 | 1>(installation(), ['accounting'], async ([database]) => {
    const accepted = await database?.rows('update day_closings set accepted_why = $2 where day = $1 and ended_at is not null and closed_at is null returning day', [day, why]);
    if (accepted?.length === 1) {
      out.line(`${day} will be closed with what is posted.`);
      return 0;
    }
    out.line(`${day} does not wait for anything: it has not ended, or it is closed.`);
    return 1;
  });
}
