import { performance } from 'node:perf_hooks';
import { pageOf } from '@ates/service-kit/connection';
import type { Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import pg from 'pg';
import { randomFrom, type Random } from '../chaos/random.ts';
import type { TaskOrder } from '../subgraphs/tasks/src/task-filter.ts';
import { askFor, listTasks } from '../subgraphs/tasks/src/task-list.ts';
import { walksOf, type Statement } from '../subgraphs/tasks/src/task-walks.ts';
import { draw, kinds, type Draw, type Sample } from './tasks-filters.ts';
import { fillDatabase, type FilledDatabase } from './tasks-load.ts';
import type { Place } from './tasks-place.ts';

export interface ListOptions {
  readonly place: Place;
  /** Of the database. */
  readonly folder: string;
  readonly tasks: number;
  /** Of each kind. */
  readonly draws: number;
  readonly seed: number;
  /** Only kinds whose name has this in it. */
  readonly kind: string;
  /** How the slowest list of each kind that misses the goal was found. */
  readonly plans: boolean;
  readonly say: (text: string) => void;
}

/** One list that was asked for. */
interface Measured extends Draw {
  /** Until the page is there: all statements and their round trips, one after the other. */
  readonly ms: number;
  /** Of it in the database: planning and execution of the statements that find the tasks. */
  readonly databaseMs: number;
  /** What of its plan reads a whole table. */
  readonly wholeTables: string | null;
}

const PAGE = 50;
const SAMPLES = 20_000;
const WARM_UP = 3;
const LIST_GOAL_MS = 10;
const ORDERS: readonly TaskOrder[] = ['NEWEST', 'OLDEST', 'LATEST_COMPLETED'];
const WHOLE_TABLE = /Seq Scan on (?:tasks|task_holders)\b.*/;

/** Lists of all kinds, one at a time. @returns whether every plan goes along indexes */
export async function measureLists(options: ListOptions): Promise<boolean> {
  const { place, folder, tasks, seed, draws, say } = options;
  const filled = await fillDatabase({ place, folder, count: tasks, seed, logger: createLogger('bench', process.env['LOG_LEVEL'] ?? 'warn'), say });
  const planner = new pg.Client({ connectionString: filled.url });
  try {
    await planner.connect();
    const random = randomFrom(seed + 1);
    const samples = await readSamples(planner, random);
    const chosen = [...kinds()].filter(([kind]) => kind.includes(options.kind));
    say(`asking for ${draws} lists of each of ${chosen.length} kinds`);
    const results: Measured[][] = [];
    for (const [index, [kind, parts]] of chosen.entries()) {
      const lists = Array.from({ length: draws }, () => draw(kind, parts, samples, { random, rows: filled.rows }));
      results.push(await measureKind(filled, planner, lists));
      if (index % 10 === 9) say(`${index + 1} kinds of lists measured`);
    }
    return await report({ results, planner, database: filled.database, ...options });
  } finally {
    await planner.end();
    await filled.database.close();
  }
}

async function readSamples(client: pg.Client, random: Random): Promise<Sample[]> {
  const { rows } = await client.query<Sample>(
    `select id, tasks.status, assignee_id as "assigneeId", tasks.creator_id as "creatorId", ticket, title || ' ' || description as text,
       tasks.created_at as "createdAt", completed_at as "completedAt"
     from tasks join task_holders on task_id = id
     where number = any($1::int[])`,
    [await drawNumbers(client, random)],
  );
  return rows;
}

async function drawNumbers(client: pg.Client, random: Random): Promise<number[]> {
  const { rows } = await client.query<{ max: number }>('select max(number) from tasks');
  return Array.from({ length: SAMPLES }, () => 1 + Math.floor(random() * (rows[0]?.max ?? 0)));
}

/** As the service asks, its connections' prepared statements included; before that, how PostgreSQL would go about it. */
async function measureKind({ database }: FilledDatabase, planner: pg.Client, lists: readonly Draw[]): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const { filter, order, after } of lists.slice(0, WARM_UP)) await listTasks(database, filter, order, { first: PAGE, after });
  for (const list of lists) {
    const startedAt = performance.now();
    await listTasks(database, list.filter, list.order, { first: PAGE, after: list.after });
    const ms = performance.now() - startedAt;
    measured.push({ ...list, ms, ...(await lookInto(planner, await statementsOf(database, list))) });
  }
  return measured;
}

/** All that a list may ask the database, but for the rows of its tasks by their ids. */
async function statementsOf(database: Database, { filter, order, after }: Draw): Promise<Statement[]> {
  const asked = await askFor(database.sql, filter, order, pageOf({ first: PAGE, after }, 2));
  return walksOf(asked).flatMap(({ found, boundary }) => (boundary === null ? [found] : [found, boundary]));
}

async function lookInto(planner: pg.Client, statements: readonly Statement[]): Promise<Pick<Measured, 'databaseMs' | 'wholeTables'>> {
  const plans: string[] = [];
  for (const { text, params } of statements) plans.push(await explain(planner, 'analyze, timing off, buffers off, costs off', text, params));
  const times = plans.flatMap((plan) => [...plan.matchAll(/^(?:Planning|Execution) Time: ([\d.]+) ms$/gm)].map(([, ms]) => Number(ms)));
  return { databaseMs: times.reduce((sum, ms) => sum + ms, 0), wholeTables: WHOLE_TABLE.exec(plans.join('\n'))?.[0] ?? null };
}

/** The plan for these values. */
async function explain(planner: pg.Client, how: string, text: string, params: readonly unknown[]): Promise<string> {
  const { rows } = await planner.query<{ 'QUERY PLAN': string }>(`explain (${how}) ${text}`, [...params]);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

interface Report extends ListOptions {
  readonly results: readonly (readonly Measured[])[];
  readonly planner: pg.Client;
  readonly database: Database;
}

async function report({ results, planner, database, plans, tasks }: Report): Promise<boolean> {
  const sorted = results.map((lists) => [...lists].sort((one, other) => one.databaseMs - other.databaseMs));
  console.log(`\nLists of 50 at ${tasks} tasks, in the database, ms; goal p99 ≤ ${LIST_GOAL_MS}; and until the page is there, with all round trips`);
  console.table(
    sorted.map((lists) => ({
      kind: lists[0]?.kind,
      lists: lists.length,
      p50: at(lists, 0.5),
      p99: at(lists, 0.99),
      max: at(lists, 1),
      ...Object.fromEntries(ORDERS.map((order) => [`p99 ${order}`, at(lists.filter((list) => list.order === order), 0.99) || ''])),
      'page p50': wholeAt(lists, 0.5),
      'page p99': wholeAt(lists, 0.99),
      goal: at(lists, 0.99) <= LIST_GOAL_MS ? '' : 'missed',
      'whole tables': lists.filter(({ wholeTables }) => wholeTables !== null).length || '',
    })),
  );
  const all = results.flat().sort((one, other) => one.databaseMs - other.databaseMs);
  console.log(`all ${all.length}: p50 ${at(all, 0.5)}, p99 ${at(all, 0.99)}, max ${at(all, 1)} ms; until the page is there p50 ${wholeAt(all, 0.5)}, p99 ${wholeAt(all, 0.99)} ms`);
  const missed = sorted.filter((lists) => at(lists, 0.99) > LIST_GOAL_MS);
  for (const lists of missed) await tellSlowest(lists, plans ? { planner, database } : null);
  const bad = all.filter(({ wholeTables }) => wholeTables !== null);
  for (const kind of new Set(bad.map((list) => list.kind))) {
    const [example] = bad.filter((list) => list.kind === kind);
    console.error(`A whole table is read for ${kind}: ${example?.wholeTables} in ${JSON.stringify(example)}`);
  }
  if (bad.length === 0) console.log(`no plan of these ${all.length} reads a whole table`);
  return bad.length === 0;
}

function at(sorted: readonly Measured[], share: number): number {
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]?.databaseMs ?? Number.NaN) * 10) / 10;
}

function wholeAt(lists: readonly Measured[], share: number): number {
  const sorted = lists.map(({ ms }) => ms).sort((one, other) => one - other);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN) * 10) / 10;
}

/** The slowest list of a kind and, if there is somebody to ask, how it was found. */
async function tellSlowest(lists: readonly Measured[], asking: { readonly planner: pg.Client; readonly database: Database } | null): Promise<void> {
  const slowest = lists.at(-1);
  if (slowest === undefined) return;
  const { kind, filter, order, after, databaseMs: ms } = slowest;
  const late = lists.filter((list) => list.databaseMs > LIST_GOAL_MS).length;
  console.log(`\n${kind}: ${late} of ${lists.length} over ${LIST_GOAL_MS} ms; the slowest, ${ms.toFixed(1)} ms: ${JSON.stringify(filter)}, ${order}, ${after === null ? 'first page' : `after ${Buffer.from(after, 'base64url').toString()}`}`);
  if (asking === null) return;
  for (const { text, params } of await statementsOf(asking.database, slowest)) console.log(`${text}\n${await explain(asking.planner, 'analyze, buffers', text, params)}`);
}
