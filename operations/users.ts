import { programOf, runProgram } from './command.ts';
import { CREATE_ADMIN } from './commands/create-admin.ts';
import { KEYS } from './commands/keys.ts';
import { ROTATE_KEYS } from './commands/rotate-keys.ts';

/** What operators do about users and signing keys: `npm run users -- <command>`. */
await runProgram(
  programOf({
    call: 'npm run -s users --',
    purpose: 'Looks after users and the keys that sign their tokens.',
    commands: [CREATE_ADMIN, KEYS, ROTATE_KEYS],
  }),
);
