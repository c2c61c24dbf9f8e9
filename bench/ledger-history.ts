import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Database, Sql } from '@ates/service-kit/database';
import pg from 'pg';
import { randomFrom } from '../chaos/random.ts';
import { rounded, spread, quantile, verdict } from './ledger-figures.ts';
import { loadLedger, type LoadOptions } from './ledger-load.ts';
import { Planner, type Explained } from './ledger-planner.ts';
import { questions, readSamples, type Drawn, type Question } from './ledger-questions.ts';

export interface HistoryOptions extends LoadOptions {
  /** Of each kind of question. */
  readonly draws: number;
  /** How the slowest answer of each kind that misses the goal was found. */
  readonly plans: boolean;
}

/** What was found of one kind of question. */
interface Measured {
  readonly looked: readonly Looked[];
  /** Until other answers of this kind were there, in ms. */
  readonly answers: readonly number[];
}

interface Looked extends Explained {
  readonly what: string;
}

const GOAL_MS = 10;
const WARM_UP = 20;
const FLUSH_MS = 1_500;
const WHOLE_TABLE = /Seq Scan on (?:entries|postings)\b.*/;

/** Random questions about a long history, one at a time. @returns whether none of them reads a whole table */
export async function measureHistory(options: HistoryOptions): Promise<boolean> {
  const { entries, seed, draws, say } = options;
  const filled = await loadLedger(options);
  const before = await wholeTablesRead(filled.adminUrl);
  const planner = await Planner.open(filled.url);
  const results = new Map<Question, Measured>();
  try {
    const random = randomFrom(seed + 1);
    const samples = await readSamples(filled.database.sql);
    const drawn = { random, samples };
    for (const question of questions(drawn)) {
      const wanted = Math.ceil(draws / (question.fewerTimes ?? 1));
      await measureKind(question, filled.database, planner, WARM_UP);
      results.set(question, await measureKind(question, filled.database, planner, wanted));
      say(`${wanted} × ${question.name}`);
    }
  } finally {
    await planner.close();
    await filled.database.close();
  }
  console.log(`\n${entries} entries, in ms; goal p99 ≤ ${GOAL_MS} in the database`);
  console.table([...results].map(([{ name, hasGoal }, measured]) => rowOf(name, hasGoal, measured)));
  for (const [{ name, hasGoal }, { looked }] of results) if (hasGoal) tellSlowest(name, looked, options.plans);
  const scanned = (await wholeTablesRead(filled.adminUrl)) - before;
  const bad = [...results].flatMap(([{ name }, { looked }]) => looked.flatMap(({ plan, what }) => WHOLE_TABLE.exec(plan)?.[0].concat(` for ${name}: ${what}`) ?? []));
  if (bad[0] !== undefined) console.error(`${bad.length} plans read a whole table, such as ${bad[0]}`);
  if (scanned > 0) console.error(`PostgreSQL counts ${scanned} reads of the whole of entries or postings during all that`);
  if (bad.length === 0 && scanned === 0) console.log('no plan reads the whole of entries or postings, and PostgreSQL counts no such read');
  return bad.length === 0 && scanned === 0;
}

/** So many as the service asks them, and by turns as many others that are looked into: what was just asked would be at hand already. */
async function measureKind({ draw }: Question, database: Database, planner: Planner, count: number): Promise<Measured> {
  const looked: Looked[] = [];
  const answers: number[] = [];
  while (answers.length < count) {
    const timed = draw();
    const startedAt = performance.now();
    await timed.ask(database);
    answers.push(performance.now() - startedAt);
    const { what, ask } = draw();
    looked.push({ what, ...(await lookInto(ask, database, planner)) });
  }
  return { looked, answers };
}

/** What PostgreSQL tells of all that is asked for an answer. */
async function lookInto(ask: Drawn['ask'], database: Database, planner: Planner): Promise<Explained> {
  const explained: Explained[] = [];
  const sql: Sql = Object.assign(
    async <Row>(text: string, params: readonly unknown[] = []) => {
      explained.push(await planner.explain(text, params));
      return database.sql<Row>(text, params);
    },
    { later: database.sql.later },
  );
  await ask({ ...database, sql });
  return { databaseMs: explained.reduce((sum, one) => sum + one.databaseMs, 0), plan: explained.map(({ plan }) => plan).join('\n') };
}

function rowOf(kind: string, hasGoal: boolean, { looked, answers }: Measured): Record<string, string | number> {
  const times = looked.map(({ databaseMs }) => databaseMs);
  return { kind, draws: looked.length, ...spread(times), ...spread(answers, 'answer '), goal: hasGoal ? verdict(quantile(times, 0.99) <= GOAL_MS) : '' };
}

function tellSlowest(name: string, looked: readonly Looked[], plans: boolean): void {
  if (quantile(looked.map(({ databaseMs }) => databaseMs), 0.99) <= GOAL_MS) return;
  const slowest = looked.reduce((one, other) => (one.databaseMs > other.databaseMs ? one : other));
  console.log(`\n${name}: ${looked.filter(({ databaseMs }) => databaseMs > GOAL_MS).length} of ${looked.length} over ${GOAL_MS} ms; the slowest, ${rounded(slowest.databaseMs)} ms: ${slowest.what}${plans ? `\n${slowest.plan}` : ''}`);
}

/** How often PostgreSQL has read the whole of a table, in statements inside functions, too. */
async function wholeTablesRead(url: string): Promise<number> {
  // Sessions hand in what they have counted when they end.
  await delay(FLUSH_MS);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ count: number }>(`select sum(seq_scan)::int as count from pg_stat_user_tables where relname in ('entries', 'postings')`);
  await client.end();
  return rows[0]?.count ?? 0;
}

