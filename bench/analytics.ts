import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { openModels } from './analytics-database.ts';
import { measureExport } from './analytics-export.ts';
import { measureGateway } from './analytics-gateway.ts';
import { measureIngest } from './analytics-ingest.ts';
import { measureQueries } from './analytics-queries.ts';
import { inPlace, type Place } from './tasks-place.ts';

/**
 * The dashboards at their size: how long what they ask takes with ten million entries, and with a hundredth of them; and how fast the
 * read model is made of events, made again, and exported. Each figure is printed next to its goal, reached or not.
 */
const HELP = `Usage: npm run bench:analytics -- [options]

  --only <part,part…>   of queries, gateway, ingest, rebuild, export; default: all, one after the other
  --seed <n>            what is drawn; default: 20261123

queries: the read model of three years of business days, filled as it is without its events, in two databases of the same days and
employees but of different numbers of entries. Each kind of question that a dashboard asks, in both by turns. In the database: planning and
execution of all statements that an answer takes, prepared and planned as in the service; and, of as many other questions, how long until the
service's resolvers have the answer. Whether any of it reads a whole table is told by plans and by PostgreSQL's own counts
  --entries <n>         default: 10000000
  --small-entries <n>   of the other database; default: 100000
  --small-days <n>      so many days has the other database; default: as --days
  --employees <n>       default: 2000
  --days <n>            default: 1096
  --draws <n>           of each kind of question, both ways, in each database; default: 1000
  --kind <text>         only kinds of questions whose names have this in them
  --plans               for each kind that misses its goal how its slowest answer was found
  --data <folder>       keeps the databases there (about 7 GB, and up to 2 GB of PostgreSQL's log), and uses those that are there again, as
                        they are: days are up to the one before the filling

gateway: the whole stack, its Analytics database filled in the same way; the same questions over HTTP as an admin, one at a time
  --gateway-entries <n>   default: as --entries
  --gateway-draws <n>     of each kind; default: 300

ingest: tasks and accounts' events are put on NATS before the service starts; events per second from the first ones applied to the last,
fsync on. Events that Analytics does nothing with, such as account.balance_changed, are not among them
  --events <n>          default: 100000
  --event-employees <n> default: 1000

rebuild: of the same streams, by the command that operators use, while the service runs. Needs the ingest, which is measured with it

export: CSV of the last days of the larger of the databases of queries, through the service's own door, by a process that does nothing
else, and is new for each round: how much memory it had at its peak, and by how much that is more than before the export, which is the goal's
  --rows <n>            about so many, whole days; default: 1000000
  --rounds <n>          default: 3

Ends with 1 when something is lost or wrong: a read model that does not add up or is not the same when made again, a question that is
refused or reads a whole table, rows that are missing in an export. A goal that is missed is only told.`;

const PARTS = ['queries', 'gateway', 'ingest', 'rebuild', 'export'] as const;
type Part = (typeof PARTS)[number];

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    seed: { type: 'string', default: '20261123' },
    entries: { type: 'string', default: '10000000' },
    'small-entries': { type: 'string', default: '100000' },
    'small-days': { type: 'string' },
    employees: { type: 'string', default: '2000' },
    days: { type: 'string', default: '1096' },
    draws: { type: 'string', default: '1000' },
    kind: { type: 'string', default: '' },
    plans: { type: 'boolean', default: false },
    data: { type: 'string' },
    'gateway-entries': { type: 'string' },
    'gateway-draws': { type: 'string', default: '300' },
    events: { type: 'string', default: '100000' },
    'event-employees': { type: 'string', default: '1000' },
    rows: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '3' },
    help: { type: 'boolean', default: false },
  },
});
const startedAt = performance.now();
const chosen = options.only.split(',');
const seed = Number(options.seed);
const [entries, employees, days] = [Number(options.entries), Number(options.employees), Number(options.days)];
const { kind, plans } = options;

function say(text: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`);
}

const isChosen = (part: Part): boolean => chosen.includes(part);

/** In the same databases. @returns whether nothing is lost or wrong */
async function queriesAndExport(place: Place): Promise<boolean> {
  const folder = options.data === undefined ? join(place.folder, 'models') : resolve(options.data);
  const years = [...(isChosen('queries') ? [{ entries: Number(options['small-entries']), days: Number(options['small-days'] ?? days) }] : []), { entries, days }];
  const models = await openModels({ place, folder, years, employees, seed, say });
  const [largest] = models.slice(-1);
  const isGood = !isChosen('queries') || (await measureQueries({ models, draws: Number(options.draws), kind, plans, seed, say }));
  if (!isChosen('export') || largest === undefined) return isGood;
  return (await measureExport({ model: largest, rows: Number(options.rows), rounds: Number(options.rounds), say })) && isGood;
}

async function gateway(place: Place): Promise<boolean> {
  await measureGateway({ place, entries: Number(options['gateway-entries'] ?? entries), employees, days, draws: Number(options['gateway-draws']), kind, seed, say });
  return true;
}

function ingest(place: Place): Promise<boolean> {
  return measureIngest({ place, events: Number(options.events), employees: Number(options['event-employees']), rebuild: isChosen('rebuild'), seed, say });
}

async function measureAll(): Promise<void> {
  const works: readonly (readonly [isWanted: boolean, work: (place: Place) => Promise<boolean>])[] = [
    [isChosen('queries') || isChosen('export'), queriesAndExport],
    [isChosen('gateway'), gateway],
    [isChosen('ingest') || isChosen('rebuild'), ingest],
  ];
  for (const [isWanted, work] of works) {
    if (!isWanted) continue;
    await inPlace(async (place) => {
      if (!(await work(place))) process.exitCode = 1;
    });
  }
}

if (options.help) console.log(HELP);
else if (chosen.some((part) => !(PARTS as readonly string[]).includes(part))) {
  console.error(`--only ${options.only}: give some of ${PARTS.join(', ')}, with commas between\n\n${HELP}`);
  process.exitCode = 1;
} else await measureAll();
