import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { randomFrom } from '../chaos/random.ts';
import { Asker } from './analytics-asking.ts';
import type { FilledModel } from './analytics-database.ts';
import { questions, readSamples, type Question } from './analytics-questions.ts';
import { quantile, rounded, spread, verdict } from './ledger-figures.ts';
import type { Explained } from './ledger-planner.ts';

export interface QueriesOptions {
  /** From the smallest to the largest, the one that the goals are about. */
  readonly models: readonly FilledModel[];
  /** Of each kind of question, in each database. */
  readonly draws: number;
  /** Only kinds whose names have this in them. */
  readonly kind: string;
  /** How the slowest answer of each kind that misses the goal was found. */
  readonly plans: boolean;
  readonly seed: number;
  readonly say: (text: string) => void;
}

interface Looked extends Explained {
  readonly what: string;
}

/** What was found of one kind of question in one database. */
interface Measured {
  readonly looked: Looked[];
  /** Until other answers of this kind were there, in ms. */
  readonly answers: number[];
}

/** One database, with the same kinds of questions as the others. */
interface Asked {
  readonly model: FilledModel;
  readonly asker: Asker;
  readonly kinds: readonly Question[];
}

const GOAL_MS = 10;
const GOAL_RATIO = 1.3;
const WARM_UP = 20;
const FLUSH_MS = 11_000;
/** The default partition is empty: to look whether it is costs nothing. */
const WHOLE_TABLE = /Seq Scan on (?:(?:audit_entries|completions)_\d{4}_\d\d|employee_days|task_copies|task_rewards)\b.*/;

/** Random questions to databases of different sizes by turns, one at a time. @returns whether none of them reads a whole table of the largest one */
export async function measureQueries(options: QueriesOptions): Promise<boolean> {
  const { models, seed, draws, say } = options;
  const largest = models.at(-1) as FilledModel;
  const asked: Asked[] = [];
  try {
    for (const model of models) {
      const all = questions(randomFrom(seed + 1), await readSamples(model.database));
      asked.push({ model, asker: new Asker(model), kinds: all.filter(({ name }) => name.includes(options.kind)) });
    }
    const before = await wholeTablesRead(largest.adminUrl);
    const results = new Map<string, Measured[]>();
    for (const [place, { name }] of (asked[0]?.kinds ?? []).entries()) {
      await measureKind(asked, place, WARM_UP);
      results.set(name, await measureKind(asked, place, draws));
      if (place % 10 === 9) say(`${place + 1} kinds of questions asked`);
    }
    const scans = (await wholeTablesRead(largest.adminUrl)) - before;
    report(results, options);
    return tellWholeTables(results, scans);
  } finally {
    await Promise.all(asked.map(({ asker }) => asker.close()));
  }
}

/** Each database in turn answers one, and is looked into for another: what was just asked would be at hand already. */
async function measureKind(asked: readonly Asked[], place: number, count: number): Promise<Measured[]> {
  const measured = asked.map((): Measured => ({ looked: [], answers: [] }));
  for (let round = 0; round < count; round += 1) {
    for (const [of, { asker, kinds }] of asked.entries()) {
      const { query, draw } = kinds[place] as Question;
      const { ms } = await asker.ask(query, draw().variables);
      const { variables } = draw();
      measured[of]?.answers.push(ms);
      measured[of]?.looked.push({ what: JSON.stringify(variables), ...(await asker.lookInto(query, variables)) });
    }
  }
  return measured;
}

const timesOf = ({ looked }: Measured): number[] => looked.map(({ databaseMs }) => databaseMs);

function report(results: ReadonlyMap<string, readonly Measured[]>, { models, draws, plans }: QueriesOptions): void {
  const sizes = models.map(({ entries }) => entries);
  console.log(`\n${sizes.join(' and ')} entries, ${draws} draws of each kind in each, by turns, in ms. In the database: planning and execution of all statements;`);
  console.log(`answer: by the service's resolvers. Goals with ${sizes.at(-1)} entries: p99 ≤ ${GOAL_MS} in the database, and there ≤ ${GOAL_RATIO} times what it takes with ${sizes[0]}`);
  console.table([...results].map(([kind, measured]) => rowOf(kind, measured)));
  for (const [kind, measured] of results) tellSlowest(kind, (measured.at(-1) as Measured).looked, plans);
}

function rowOf(kind: string, measured: readonly Measured[]): Record<string, string | number> {
  const [small, large] = [measured[0], measured.at(-1)] as [Measured, Measured];
  const [few, many] = [timesOf(small), timesOf(large)];
  const ratio = (share: number): number => Math.round((quantile(many, share) / quantile(few, share)) * 100) / 100;
  return {
    kind,
    ...spread(many),
    ...spread(large.answers, 'answer '),
    'small p50': rounded(quantile(few, 0.5)),
    'small p99': rounded(quantile(few, 0.99)),
    'p50 ×': ratio(0.5),
    'p99 ×': ratio(0.99),
    [`≤ ${GOAL_MS} ms`]: verdict(quantile(many, 0.99) <= GOAL_MS),
    [`≤ ×${GOAL_RATIO}`]: verdict(Math.max(ratio(0.5), ratio(0.99)) <= GOAL_RATIO),
  };
}

function tellSlowest(kind: string, looked: readonly Looked[], plans: boolean): void {
  if (quantile(looked.map(({ databaseMs }) => databaseMs), 0.99) <= GOAL_MS) return;
  const slowest = looked.reduce((one, other) => (one.databaseMs > other.databaseMs ? one : other));
  console.log(`\n${kind}: ${looked.filter(({ databaseMs }) => databaseMs > GOAL_MS).length} of ${looked.length} over ${GOAL_MS} ms; the slowest, ${rounded(slowest.databaseMs)} ms: ${slowest.what}${plans ? `\n${slowest.plan}` : ''}`);
}

/** In the largest database: where there are few entries a whole month may be the quickest way. */
function tellWholeTables(results: ReadonlyMap<string, readonly Measured[]>, scans: number): boolean {
  const bad = [...results].flatMap(([kind, measured]) => (measured.at(-1) as Measured).looked.flatMap(({ plan, what }) => WHOLE_TABLE.exec(plan)?.[0].concat(` for ${kind}: ${what}`) ?? []));
  if (bad[0] !== undefined) console.error(`${bad.length} plans read a whole table, such as ${bad[0]}`);
  if (scans > 0) console.error(`PostgreSQL counts ${scans} reads of a whole month of entries or completions during all that`);
  if (bad.length === 0 && scans === 0) console.log('no plan reads the whole of a month, of the employees’ days or of the tasks, and PostgreSQL counts no such read');
  return bad.length === 0 && scans === 0;
}

/** How often PostgreSQL has read the whole of a partition. */
async function wholeTablesRead(url: string): Promise<number> {
  // Sessions hand in what they have counted when they have been idle for ten seconds, or end.
  await delay(FLUSH_MS);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ count: number }>(`select sum(seq_scan)::int as count from pg_stat_user_tables where relname ~ '^(audit_entries|completions)_\\d{4}_\\d\\d$'`);
  await client.end();
  return rows[0]?.count ?? 0;
}
