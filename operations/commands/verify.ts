import { COMPANY_ACCOUNT, PAYOUTS_ACCOUNT } from '../../subgraphs/accounting/migrations/2026-11-20-accounting.ts';
import type { Command, CommandContext } from '../command.ts';
import { withDatabases } from '../connections.ts';
import type { Finding } from '../ledger-walk.ts';
import { verifyLedger, type Verification } from '../ledger-verification.ts';
import { counted, duration, shortened, type Output } from '../output.ts';

export const VERIFY: Command = {
  name: 'verify',
  usage: 'verify',
  summary: 'Recomputes the whole ledger from its rows, and names the first one that is wrong.',
  details: `Checks that every posting has its two opposite entries and every entry its posting, that an account's entries are numbered without gaps
and continue one another's balance, that accounts and all entries together come to what they must, that reversals take back whole
postings, and that the hash of every sealed entry is the one that follows from what it says and from the entry before it.
The hashes are computed here, by nothing that the database brings along.

Reads one moment of the running system, changes nothing and stops nothing; about 20 s for a million entries. Entries that aren't
sealed yet are no fault. Exit code 0: whole; 1: something is wrong, or it could not be read.`,
  options: {},
  words: { min: 0, max: 0 },
  run: verify,
};

const DESCRIPTION_CHARACTERS = 100;
const SYSTEM_ACCOUNTS: Readonly<Record<string, string>> = { [COMPANY_ACCOUNT]: " (the company's)", [PAYOUTS_ACCOUNT]: ' (payouts)' };

function verify(_given: unknown, { installation, out }: CommandContext): Promise<0 | 1> {
  return withDatabases(installation(), ['accounting'], async ([database]) => {
    if (database === undefined) return 1;
    const begun = performance.now();
    const verification = await verifyLedger(database, (entries, of) => out.progress(`${entries} of ${entriesText(of)} …`));
    return tell(verification, performance.now() - begun, out);
  });
}

function tell({ finding, counts }: Verification, ms: number, out: Output): 0 | 1 {
  const { sealed, postings, accounts } = counts;
  if (finding !== null) {
    tellFinding(finding, out);
    out.line(`Up to there: ${entriesText(counts.entries)} in ${counted(accounts, 'account')}, ${sealed} of them sealed; ${duration(ms)}.`);
    return 1;
  }
  out.line(`The ledger is whole: ${entriesText(counts.entries)} of ${counted(postings, 'posting')} in ${counted(accounts, 'account')}, ${sealed} of them sealed; ${duration(ms)}.`);
  const unsealed = counts.entries - sealed;
  if (unsealed > 0) out.line(`${entriesText(unsealed)} not sealed yet: Accounting seals them within seconds; if it runs and this stays, look at its log.`);
  return 0;
}

function tellFinding(finding: Finding, out: Output): void {
  const { accountId, number, entryId, postingId, businessDay, description } = finding;
  const lines: readonly (readonly [string, string | null])[] = [
    ['account', accountId === null ? null : `${accountId}${SYSTEM_ACCOUNTS[accountId] ?? ''}`],
    ['entry', [number, entryId].filter((part) => part !== null).join(', ') || null],
    ['posting', postingId],
    ['business day', businessDay],
    ['description', description === null ? null : shortened(description.replaceAll(/\p{Cc}/gu, ' '), DESCRIPTION_CHARACTERS)],
    ['wrong', finding.what],
    ['expected', finding.expected],
    ['found', finding.found],
  ];
  out.heading('The ledger is NOT whole. The first row that is wrong:');
  for (const [name, value] of lines) if (value !== null) out.line(`  ${name.padEnd(12)}  ${value}`);
  out.line(`
What to do: keep the database as it is, by pg_dump, before anything else. Find the last backup of which this command says that it is whole
(restored beside, with ACCOUNTING_DATABASE_URL) and compare this row and its posting there. What was changed is put back from that
backup; never mend a row by hand. docs/operations.md tells more.`);
}

function entriesText(count: number): string {
  return `${count} ${count === 1 ? 'entry' : 'entries'}`;
}
