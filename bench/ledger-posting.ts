import { performance } from 'node:perf_hooks';
import type { Database } from '@ates/service-kit/database';
import { cents } from '@ates/shared-events/cents';
import { newId } from '@ates/shared-events/new-id';
import { recordEvents } from '@ates/shared-events/outbox';
import { countPosted, passPostingGate, postingDays } from '../subgraphs/accounting/src/day-register.ts';
import { feeFor, rewardFor, type Posting } from '../subgraphs/accounting/src/ledger.ts';
import { lockAccounts, openAccounts, post } from '../subgraphs/accounting/src/posting.ts';

export interface PostingOptions {
  readonly database: Database;
  readonly employees: number;
  readonly postings: number;
  /** How many are posted in one transaction. */
  readonly batch: number;
  readonly withEvents: boolean;
}

const DAY = '2026-11-20';
const PRICE = { fee: cents(15_00), reward: cents(30_00) };
const TRACEPARENT = `00-${'5'.repeat(32)}-${'5'.repeat(16)}-01`;

/** Posts by the code that the service runs, batch by batch, one after the other. @returns postings per second */
export async function measurePosting({ database, employees, postings, batch, withEvents }: PostingOptions): Promise<number> {
  const owners = Array.from({ length: employees }, () => newId());
  await database.sqlTransaction((sql) => openAccounts(sql, owners));
  const batches = Array.from({ length: Math.ceil(postings / batch) }, (_, at) => drawPostings(owners, Math.min(batch, postings - at * batch)));
  const startedAt = performance.now();
  for (const drawn of batches) {
    await database.sqlTransaction(async (sql) => {
      await passPostingGate(sql);
      const [accounts, { postedAt }] = await Promise.all([
        lockAccounts(sql, drawn.map(({ employeeId }) => employeeId), drawn.map(({ cause }) => cause)),
        postingDays(sql, [DAY], { timeZone: 'UTC', now: new Date() }),
      ]);
      const { events } = await post(sql, drawn, accounts, postedAt);
      await countPosted(sql, new Map([[DAY, { assignments: drawn.length, completions: 0, deletions: 0 }]]));
      if (withEvents) await recordEvents(sql, events);
    });
  }
  return postings / ((performance.now() - startedAt) / 1_000);
}

/** Half of them fees, half rewards, of tasks of their own. */
function drawPostings(owners: readonly string[], count: number): Posting[] {
  return Array.from({ length: count }, (_, index) => {
    const assignment = { taskId: newId(), assignmentNumber: 1, employeeId: owners[Math.floor(Math.random() * owners.length)] as string, businessDay: DAY, lateFor: null };
    const label = { number: index + 1, ticket: null, title: 'Feed the parrot' };
    return { ...(index % 2 === 0 ? feeFor(assignment, PRICE, label) : rewardFor(assignment, PRICE, label)), id: newId(), traceparent: TRACEPARENT };
  });
}
