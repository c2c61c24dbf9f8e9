import { cursorOf, pageOf } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { between, oneOf, type Random } from '../chaos/random.ts';
import { earningsLoader, payoutsOf } from '../subgraphs/accounting/src/closing-queries.ts';
import { statementLoaders } from '../subgraphs/accounting/src/statement-queries.ts';

/** One question with values of its own. */
export interface Drawn {
  /** For people. */
  readonly what: string;
  /** Asks as a resolver does, by loaders of its own operation. */
  readonly ask: (database: Database) => Promise<unknown>;
}

/** A kind of question. */
export interface Question {
  readonly name: string;
  readonly hasGoal: boolean;
  /** How many times fewer of it than of others are asked; default: as many. */
  readonly fewerTimes?: number;
  readonly draw: () => Drawn;
}

interface Account {
  readonly id: string;
  readonly entries: number;
}

/** What there is to ask about. */
export interface Samples {
  readonly accounts: readonly Account[];
  /** The employee's with the most entries. */
  readonly largest: Account;
  /** The numbers of its first and last entry by day. */
  readonly largestDays: ReadonlyMap<string, readonly [first: number, last: number]>;
  /** Those with postings, in order. */
  readonly days: readonly string[];
}

const PAGE = 50;
const LISTED = 50;
const DAY_MS = 86_400_000;

export async function readSamples(sql: Sql): Promise<Samples> {
  const accounts = await sql<Account>(`select id, entry_count as entries from accounts where kind = 'EMPLOYEE' order by entry_count desc, id`);
  const days = await sql<{ day: string }>('select day::text from day_closings where assignments > 0 order by day_closings.day');
  const largest = accounts[0] as Account;
  const numbers = await sql<{ day: string; first: number; last: number }>('select business_day::text as day, min(number) as first, max(number) as last from entries where account_id = $1 group by 1', [largest.id]);
  return { accounts, largest, largestDays: new Map(numbers.map(({ day, first, last }) => [day, [first, last]])), days: days.map(({ day }) => day) };
}

/** Everything that is asked about a history. */
export function questions({ random, samples }: { readonly random: Random; readonly samples: Samples }): Question[] {
  const { accounts, largest, largestDays, days } = samples;
  const anyone = (): Account => oneOf(random, accounts);
  const theLargest = (): Account => largest;
  const anyDay = (): string => oneOf(random, days);
  const balance = (of: () => Account) => (): Drawn => {
    const [account, at] = [of(), momentAmong(random, days)];
    return { what: `the balance of ${account.id} (${account.entries} entries) at ${at.toISOString()}`, ask: (database) => loadersOf(database).balances.load({ accountId: account.id, at }) };
  };
  const page = (account: Account, day: string | null, after: number | null): Drawn => {
    const asked = pageOf({ first: PAGE, after: after === null ? null : cursorOf([String(after)]) });
    return { what: `${account.id} (${account.entries} entries), day ${day}, after ${after}`, ask: (database) => loadersOf(database).statements.load({ accountId: account.id, day, page: asked }) };
  };
  const anywhere = (account: Account): Drawn => page(account, null, between(random, 2, account.entries + 1));
  const insideADay = (): Drawn => {
    const day = anyDay();
    const [first, last] = largestDays.get(day) ?? [1, 1];
    return page(largest, day, between(random, first + 1, last + 1));
  };
  const pages = [() => page(anyone(), null, null), () => page(largest, null, null), () => anywhere(anyone()), () => anywhere(largest), () => page(anyone(), anyDay(), null), () => page(largest, anyDay(), null), insideADay];
  return [
    { name: 'balance at a moment', hasGoal: true, draw: balance(anyone) },
    { name: 'balance at a moment, largest account', hasGoal: true, draw: balance(theLargest) },
    { name: `balances at a moment, ${LISTED} accounts`, hasGoal: false, fewerTimes: 10, draw: () => severalBalances(random, samples) },
    { name: 'page from anywhere', hasGoal: true, draw: () => anywhere(anyone()) },
    { name: 'page from anywhere, largest account', hasGoal: true, draw: () => anywhere(largest) },
    { name: 'first page of a day', hasGoal: true, draw: () => page(anyone(), anyDay(), null) },
    { name: 'first page of a day, largest account', hasGoal: true, draw: () => page(largest, anyDay(), null) },
    { name: 'page inside a day, largest account', hasGoal: true, draw: insideADay },
    { name: 'page, any of these and first ones', hasGoal: true, draw: () => oneOf(random, pages)() },
    { name: 'company’s earnings of a day', hasGoal: false, draw: () => earnings(anyDay()) },
    { name: 'page of payouts of a day', hasGoal: false, draw: () => payouts(anyDay()) },
  ];
}

function loadersOf(database: Database) {
  return statementLoaders(database, () => Promise.reject(new Error('no question here is about today')));
}

function momentAmong(random: Random, days: readonly string[]): Date {
  const [from, until] = [Date.parse(days[0] ?? ''), Date.parse(days.at(-1) ?? '') + 2 * DAY_MS];
  return new Date(from + Math.floor(random() * (until - from)));
}

function severalBalances(random: Random, { accounts, days }: Samples): Drawn {
  const at = momentAmong(random, days);
  const asked = Array.from({ length: LISTED }, () => oneOf(random, accounts));
  return {
    what: `the balances of ${LISTED} accounts at ${at.toISOString()}`,
    ask: (database) => {
      const { balances } = loadersOf(database);
      return Promise.all(asked.map(({ id: accountId }) => balances.load({ accountId, at })));
    },
  };
}

function earnings(day: string): Drawn {
  return { what: day, ask: ({ sql }) => earningsLoader(sql).load(day) };
}

function payouts(day: string): Drawn {
  return { what: day, ask: ({ sql }) => payoutsOf(sql, day, { first: PAGE }) };
}
