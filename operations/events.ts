import { programOf, runProgram } from './command.ts';
import { DISCARD } from './commands/discard.ts';
import { LAG } from './commands/lag.ts';
import { PARKED } from './commands/parked.ts';
import { REPLAY } from './commands/replay.ts';
import { SHOW } from './commands/show.ts';
import { TAIL } from './commands/tail.ts';

/** The operators' view of the event pipe: `npm run events -- <command>`. */
await runProgram(
  programOf({
    call: 'npm run -s events --',
    purpose: 'Looks after the events between the services.',
    commands: [PARKED, SHOW, REPLAY, DISCARD, LAG, TAIL],
  }),
);
