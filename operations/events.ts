import { runProgram, type Program } from './command.ts';
import { DISCARD } from './commands/discard.ts';
import { LAG } from './commands/lag.ts';
import { PARKED } from './commands/parked.ts';
import { REPLAY } from './commands/replay.ts';
import { SHOW } from './commands/show.ts';
import { TAIL } from './commands/tail.ts';
import { UsageError } from './errors.ts';
import { WHERE_IT_CONNECTS } from './installation.ts';
import { tableLines } from './output.ts';

/** The operators' view of the event pipe: `npm run events -- <command>`. */
const COMMANDS = [PARKED, SHOW, REPLAY, DISCARD, LAG, TAIL];
const CALL = 'npm run -s events --';
const [, ...summaries] = tableLines([{ title: '' }, { title: '' }], COMMANDS.map(({ name, summary }) => [name, summary]));

const EVENTS: Program = {
  call: CALL,
  help: `Looks after the events between the services. Usage: ${CALL} <command>

${summaries.map((line) => `  ${line}`).join('\n')}

\`${CALL} <command> --help\` tells more of each. What to do when: docs/operations.md

${WHERE_IT_CONNECTS}

Exit codes: 0 done; 1 not done, the output says why; 2 the command line can't be understood.`,
  choose: ([name, ...rest]) => {
    const command = COMMANDS.find((known) => known.name === name);
    if (command === undefined) throw new UsageError(`There is no command "${name}". These are: ${COMMANDS.map((known) => known.name).join(', ')}. \`${CALL} --help\` tells what they do.`);
    return { command, rest };
  },
};

await runProgram(EVENTS);
