import { programOf, runProgram } from './command.ts';
import { ACCEPT } from './commands/accept.ts';
import { MAILS, RESEND } from './commands/mails.ts';
import { VERIFY } from './commands/verify.ts';

/** The operators' view of Accounting: `npm run ledger -- <command>`. */
await runProgram(programOf({ call: 'npm run -s ledger --', purpose: "Checks Accounting's ledger, and looks after the close of days and its mails.", commands: [VERIFY, ACCEPT, MAILS, RESEND] }));
