import type { Command, CommandContext, Given } from '../command.ts';
import { withDatabases } from '../connections.ts';
import { UsageError } from '../errors.ts';
import { counted, moment, shortened, tableLines } from '../output.ts';

interface MailRow {
  readonly id: string;
  readonly kind: string;
  readonly day: string;
  readonly status: string;
  readonly attempts: number;
  readonly due_at: Date | null;
  readonly last_error: string | null;
}

const LISTED_MAX = 100;
const ERROR_CHARACTERS = 80;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export const MAILS: Command = {
  name: 'mails',
  usage: 'mails',
  summary: 'Lists the mails of closed days that have not been sent: those that failed, and those that wait for another try.',
  details: `Of each: its id, whether it is a PAYOUT or a REPORT, the day, its state, how often it was tried, when it is tried again, and the last error.
The first ${LISTED_MAX} of them. Failed ones are not tried again unless \`resend\` says so.`,
  options: {},
  words: { min: 0, max: 0 },
  run: listMails,
};

export const RESEND: Command = {
  name: 'resend',
  usage: 'resend <mail id>|--all',
  summary: 'Lets mails that failed be tried again; under the Message-IDs that they had.',
  details: `  --all   all that failed

Find out first why they did: \`mails\` tells. The running Accounting sends them within seconds; if it isn't running, when it runs.
Nothing that was sent is ever sent again by this.`,
  options: { all: { type: 'boolean' } },
  words: { min: 0, max: 1 },
  run: resend,
};

const COLUMNS = [{ title: 'ID' }, { title: 'KIND' }, { title: 'DAY' }, { title: 'STATE' }, { title: 'TRIED', isNumber: true }, { title: 'NEXT TRY (UTC)' }, { title: 'LAST ERROR' }];

function listMails(_given: Given, { installation, out }: CommandContext): Promise<0> {
  return withDatabases<0>(installation(), ['accounting'], async ([database]) => {
    const rows = await database?.rows<MailRow>(
      `select id, kind, business_day::text as day, status, attempts, due_at, last_error from mails where status <> 'SENT' order by business_day desc, id limit ${LISTED_MAX}`,
    );
    if (rows === undefined || rows.length === 0) out.line('Every mail has been sent.');
    else {
      const lines = rows.map(({ id, kind, day, status, attempts, due_at, last_error }) => [id, kind, day, status, String(attempts), due_at === null ? '-' : moment(due_at).slice(0, 16), shortened(last_error ?? '-', ERROR_CHARACTERS)]);
      const [heading = '', ...texts] = tableLines(COLUMNS, lines);
      out.heading(heading);
      for (const text of texts) out.line(text);
    }
    return 0;
  });
}

function resend({ options, words: [id] }: Given, { installation, out }: CommandContext): Promise<0 | 1> {
  const all = options['all'] === true;
  if (all === (id !== undefined)) throw new UsageError('Say which: `resend <mail id>`, or `resend --all` for all that failed.');
  if (id !== undefined && !UUID.test(id)) throw new UsageError(`"${id}" is no id of a mail: \`mails\` lists them.`);
  return withDatabases(installation(), ['accounting'], async ([database]) => {
    const released = await database?.rows(`update mails set status = 'PENDING', attempts = 0, due_at = now() where status = 'FAILED' and ($1::uuid is null or id = $1) returning id`, [id ?? null]);
    const count = released?.length ?? 0;
    if (count === 0) out.line(all ? 'No mail has failed.' : `No mail that failed has the id ${id}: \`mails\` lists them.`);
    else out.line(`${counted(count, 'mail')} will be tried again.`);
    return count > 0 || all ? 0 : 1;
  });
}
