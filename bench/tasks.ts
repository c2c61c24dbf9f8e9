import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { measureLists } from './tasks-lists.ts';
import { inPlace } from './tasks-place.ts';
import { measureShuffles } from './tasks-shuffle.ts';

/**
 * The market at its size: shuffles of 10,000 and of 100,000 open tasks on the whole stack, and lists of any kind at a million
 * tasks in a database of their own.
 */
const HELP = `Usage: npm run bench:tasks -- [options]

  --only lists|shuffle   one of the two; default: both
  --tasks <n,n…>         shuffles of so many open tasks, ascending; default: 10000,100000
  --naive <n>            so many tasks row by row, beside them; default: 2000
  --list-tasks <n>       lists at so many tasks; default: 1000000
  --lists <n>            so many lists of each kind; default: 200
  --kind <text>          only kinds of lists whose names have this in them
  --plans                for each kind that misses its goal how its slowest list was found
  --data <folder>        keeps the lists' database there, and uses one that is there again (as it is: no index is made anew)
  --seed <n>             what is drawn; default: 20261121

Ends with 1 when a list reads a whole table, or a shuffle loses anything.`;

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    tasks: { type: 'string', default: '10000,100000' },
    naive: { type: 'string', default: '2000' },
    'list-tasks': { type: 'string', default: '1000000' },
    lists: { type: 'string', default: '200' },
    kind: { type: 'string', default: '' },
    plans: { type: 'boolean', default: false },
    data: { type: 'string' },
    seed: { type: 'string', default: '20261121' },
    help: { type: 'boolean', default: false },
  },
});
const startedAt = performance.now();

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

async function measure(): Promise<void> {
  const { only, kind, plans, data } = options;
  await inPlace(async (place) => {
    if (only !== 'lists') {
      await measureShuffles({ place, sizes: options.tasks.split(',').map(Number), naiveTasks: Number(options.naive), say });
    }
    if (only !== 'shuffle') {
      const folder = data === undefined ? join(place.folder, 'lists') : resolve(data);
      const isGood = await measureLists({ place, folder, tasks: Number(options['list-tasks']), draws: Number(options.lists), seed: Number(options.seed), kind, plans, say });
      if (!isGood) process.exitCode = 1;
    }
  });
}

if (options.help) console.log(HELP);
else if (options.only !== undefined && !['lists', 'shuffle'].includes(options.only)) {
  console.error(`--only ${options.only}: give lists or shuffle\n\n${HELP}`);
  process.exitCode = 1;
} else await measure();
