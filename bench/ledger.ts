import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { measureCloses } from './ledger-close.ts';
import { measureHistory } from './ledger-history.ts';
import { measureLive } from './ledger-live.ts';
import { measurePostings } from './ledger-posting.ts';
import { inPlace, type Place } from './tasks-place.ts';

/**
 * The ledger at its size: how fast it is posted to and closed, how fast ten million entries are read, and how soon a balance that
 * changes is seen. Each figure is printed next to its goal, reached or not.
 */
const HELP = `Usage: npm run bench:ledger -- [options]

  --only posting|close|history|live   one of them; default: all four, one after the other

posting: postings per second through the functions that the service posts by, fsync on: in batches of 1,500 (once more with their
events recorded in the same transaction) and row by row, in alternating rounds after a warm-up; medians
  --postings <n>      in batches in each round; default: 60000
  --row-by-row <n>    row by row in each round; default: 1500
  --rounds <n>        default: 3

close: accounts with two entries each, about half of them positive; Tasks' marker is there; from calling the service's closeDay until
its commit is answered. Each close has a database of its own, vacuumed and analyzed. After it the books are recomputed from the rows
  --accounts <n,n…>   closes of so many accounts; default: 1000,100000

history: three years of business days of 2,000 employees, one of whom has 200,000 of the entries. Balances at random moments and pages
of 50 anywhere in statements, asked by the service's loaders. In the database: planning and execution, prepared as in the service;
and, of as many other questions, how long until the answer is there. Whether any of it reads a whole table is told by plans and by PostgreSQL's own counts
  --entries <n>       default: 10000000
  --draws <n>         of each kind of question, both ways; default: 2000
  --plans             for each kind that misses its goal how its slowest answer was found
  --data <folder>     keeps the database there (4.5 GB, and up to 2 GB of PostgreSQL's log), and uses one that is there again, as it is
  --seed <n>          what is drawn; default: 20261122

live: the whole stack and one gateway; each subscriber watches an account of its own, 50 to a socket, in a process of their own.
Assignments are put into Tasks' outbox evenly over time. Told is how long it takes until the fee's one subscriber has it: since
just before the event's commit in Tasks, since posted_at, which is taken before the posting's transaction writes and commits (the goal
is held against this one, so it is judged too strictly by that transaction), and since Accounting told its replicas, just after the commit
  --subscribers <n>   default: 5000
  --rate <n>          balance changes per second; default: 200
  --seconds <n>       default: 20

Ends with 1 when something is lost or wrong: books that don't add up, a question that reads a whole table, a change that did not
come, came twice or came to somebody else. A goal that is missed is only told.`;

const SECTIONS = ['posting', 'close', 'history', 'live'] as const;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    postings: { type: 'string', default: '60000' },
    'row-by-row': { type: 'string', default: '1500' },
    rounds: { type: 'string', default: '3' },
    accounts: { type: 'string', default: '1000,100000' },
    entries: { type: 'string', default: '10000000' },
    draws: { type: 'string', default: '2000' },
    plans: { type: 'boolean', default: false },
    data: { type: 'string' },
    seed: { type: 'string', default: '20261122' },
    subscribers: { type: 'string', default: '5000' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '20' },
    help: { type: 'boolean', default: false },
  },
});
const startedAt = performance.now();
const seed = Number(options.seed);

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

/** Each of them in a place of its own. @returns whether nothing is lost or wrong */
const measure: Record<(typeof SECTIONS)[number], (place: Place) => Promise<boolean>> = {
  posting: async (place) => {
    await measurePostings({ place, postings: Number(options.postings), rowByRow: Number(options['row-by-row']), rounds: Number(options.rounds), say });
    return true;
  },
  close: (place) => measureCloses({ place, sizes: options.accounts.split(',').map(Number), seed, say }),
  history: (place) => {
    const folder = options.data === undefined ? join(place.folder, 'history') : resolve(options.data);
    return measureHistory({ place, folder, entries: Number(options.entries), draws: Number(options.draws), seed, plans: options.plans, say });
  },
  live: (place) => measureLive({ place, subscribers: Number(options.subscribers), rate: Number(options.rate), seconds: Number(options.seconds), seed, say }),
};

async function measureAll(): Promise<void> {
  for (const section of SECTIONS) {
    if (options.only !== undefined && options.only !== section) continue;
    await inPlace(async (place) => {
      if (!(await measure[section](place))) process.exitCode = 1;
    });
  }
}

if (options.help) console.log(HELP);
else if (options.only !== undefined && !(SECTIONS as readonly string[]).includes(options.only)) {
  console.error(`--only ${options.only}: give ${SECTIONS.join(', ')}\n\n${HELP}`);
  process.exitCode = 1;
} else await measureAll();
