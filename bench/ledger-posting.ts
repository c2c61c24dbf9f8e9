import { performance } from 'node:perf_hooks';
import type { Database } from '@ates/service-kit/database';
import { cents } from '@ates/shared-events/cents';
import { newId } from '@ates/shared-events/new-id';
import { recordEvents } from '@ates/shared-events/outbox';
import { countPosted, passPostingGate, postingDays } from '../subgraphs/accounting/src/day-register.ts';
import type { DayWork } from '../subgraphs/accounting/src/day-closing.ts';
import { feeFor, rewardFor, type Posting } from '../subgraphs/accounting/src/ledger.ts';
import { lockAccounts, openAccounts, post } from '../subgraphs/accounting/src/posting.ts';
import type { Price } from '../subgraphs/accounting/src/pricing.ts';
import { openLedger, startLedgerServer } from './ledger-database.ts';
import { median, verdict } from './ledger-figures.ts';
import type { Place } from './tasks-place.ts';

export interface PostingOptions {
  readonly place: Place;
  /** So many are posted in batches in each round. */
  readonly postings: number;
  /** So many row by row. */
  readonly rowByRow: number;
  readonly rounds: number;
  readonly say: (text: string) => void;
}

interface Way {
  readonly name: string;
  readonly postings: number;
  /** How many are posted in one transaction. */
  readonly batch: number;
  readonly withEvents: boolean;
}

const EMPLOYEES = 200;
/** As many as a batch of events of the service's consumer can bring. */
const BATCH = 1_500;
const GOAL_PER_SECOND = 20_000;
const GOAL_TIMES = 10;
const WARM_UP_SHARE = 10;
const DAY = '2026-11-20';
const PRICE = { fee: cents(15_00), reward: cents(30_00) };
const TRACEPARENT = `00-${'5'.repeat(32)}-${'5'.repeat(16)}-01`;

/** Postings per second by the functions that the service posts by, in alternating rounds. */
export async function measurePostings({ place, postings, rowByRow, rounds, say }: PostingOptions): Promise<void> {
  const ways: readonly [Way, Way, Way] = [
    { name: `in batches of ${BATCH}`, postings, batch: BATCH, withEvents: false },
    { name: `in batches of ${BATCH}, their events recorded`, postings, batch: BATCH, withEvents: true },
    { name: 'row by row', postings: rowByRow, batch: 1, withEvents: false },
  ];
  await startLedgerServer(place);
  const { database } = await openLedger();
  try {
    for (const way of ways) await measurePosting(database, { ...way, postings: Math.ceil(way.postings / WARM_UP_SHARE) });
    const found = new Map<Way, number[]>(ways.map((way) => [way, []]));
    for (let round = 1; round <= rounds; round += 1) {
      for (const [way, speeds] of found) speeds.push(await measurePosting(database, way));
      say(`posting, round ${round}: ${[...found].map(([{ name }, speeds]) => `${(speeds.at(-1) ?? 0).toFixed(0)}/s ${name}`).join(', ')}`);
    }
    const [batched, withEvents, single] = ways.map((way) => median(found.get(way) ?? [])) as [number, number, number];
    console.log(`\nPostings per second among ${EMPLOYEES} employees, fsync on; medians of ${rounds} rounds`);
    console.table([
      { way: ways[0].name, 'postings/s': Math.round(batched), goal: `≥ ${GOAL_PER_SECOND}`, is: verdict(batched >= GOAL_PER_SECOND) },
      { way: ways[1].name, 'postings/s': Math.round(withEvents), goal: '', is: '' },
      { way: ways[2].name, 'postings/s': Math.round(single), goal: '', is: '' },
    ]);
    console.log(`in batches ${(batched / single).toFixed(1)} times as fast as row by row; goal ≥ ${GOAL_TIMES}: ${verdict(batched / single >= GOAL_TIMES)}`);
  } finally {
    await database.close();
  }
}

/** Posts by the code that the service runs, batch by batch, one after the other. @returns postings per second */
async function measurePosting(database: Database, { postings, batch, withEvents }: Way): Promise<number> {
  const owners = Array.from({ length: EMPLOYEES }, () => newId());
  await database.sqlTransaction((sql) => openAccounts(sql, owners));
  const batches = Array.from({ length: Math.ceil(postings / batch) }, (_, at) => drawPostings(owners, Math.min(batch, postings - at * batch)));
  const startedAt = performance.now();
  for (const drawn of batches) await postTogether(database, drawn, { day: DAY, withEvents });
  return postings / ((performance.now() - startedAt) / 1_000);
}

/** One transaction, as the service's consumer makes it of a batch of events, but for pricing and the copies of tasks. */
export async function postTogether(database: Database, postings: readonly Posting[], { day, withEvents }: { readonly day: string; readonly withEvents: boolean }): Promise<void> {
  await database.sqlTransaction(async (sql) => {
    await passPostingGate(sql);
    const [accounts, { postedAt }] = await Promise.all([
      lockAccounts(sql, postings.map(({ employeeId }) => employeeId), postings.map(({ cause }) => cause)),
      postingDays(sql, [day], { timeZone: 'UTC', now: new Date() }),
    ]);
    const { events } = await post(sql, postings, accounts, postedAt);
    await countPosted(sql, new Map([[day, workOf(postings)]]));
    if (withEvents) await recordEvents(sql, events);
  });
}

function workOf(postings: readonly Posting[]): DayWork {
  const assignments = postings.filter(({ kind }) => kind === 'FEE').length;
  return { assignments, completions: postings.length - assignments, deletions: 0 };
}

/** Half of them fees, half rewards, of tasks of their own. */
function drawPostings(owners: readonly string[], count: number): Posting[] {
  return Array.from({ length: count }, (_, index) => {
    const employeeId = owners[Math.floor(Math.random() * owners.length)] as string;
    return newPosting(index % 2 === 0 ? 'FEE' : 'REWARD', { employeeId, price: PRICE, day: DAY, number: index + 1 });
  });
}

/** Of a task of its own. */
export function newPosting(kind: 'FEE' | 'REWARD', { employeeId, price, day, number }: { readonly employeeId: string; readonly price: Price; readonly day: string; readonly number: number }): Posting {
  const assignment = { taskId: newId(), assignmentNumber: 1, employeeId, businessDay: day, lateFor: null };
  const label = { number, ticket: null, title: 'Feed the parrot' };
  return { ...(kind === 'FEE' ? feeFor(assignment, price, label) : rewardFor(assignment, price, label)), id: newId(), traceparent: TRACEPARENT };
}
