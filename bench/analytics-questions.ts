import { cursorOf } from '@ates/service-kit/connection';
import type { Database, Sql } from '@ates/service-kit/database';
import { between, oneOf, type Random } from '../chaos/random.ts';
import { ENTRY_MOMENT } from '../subgraphs/analytics/src/audit-walks.ts';

/** One question with values of its own. */
export interface Drawn {
  readonly variables: Readonly<Record<string, unknown>>;
}

/** A kind of question, as a dashboard asks it: an operation, whichever way it is asked. */
export interface Question {
  readonly name: string;
  readonly query: string;
  readonly draw: () => Drawn;
}

interface Entry {
  readonly day: string;
  readonly at: string;
  readonly id: string;
  readonly kind: string;
  readonly amount: number;
  readonly employeeId: string;
  readonly taskId: string | null;
}

/** What there is to ask about. */
export interface Samples {
  /** All days from the first to the last. */
  readonly days: readonly string[];
  readonly employees: readonly string[];
  /** Whose entries are the most. */
  readonly largest: string;
  readonly entries: readonly Entry[];
  readonly ofLargest: readonly Entry[];
}

const PAGE = 50;
const SAMPLES = 5_000;
const YEAR_DAYS = 366;
const MONTH_DAYS = 31;
const WEEK_DAYS = 7;
/** Within so many cents on either side of an amount. */
const NARROW = 1;
const WIDE = 300;

const TOP = 'task { id number title } reward completedAt from to';
const STATS = `day companyEarnings popugsInTheRed assigned completed mostExpensiveTask { ${TOP} } paidOut paidEmployees signIns deniedSignIns reconciled`;
const END = 'pageInfo { hasNextPage endCursor }';
const BALANCES = `balances(first: ${PAGE}, after: $after) { edges { node { employee { id name } opening closing } } ${END} }`;

const OPERATIONS = {
  day: `query ($day: Date, $after: String) { dayStats(day: $day) { ${STATS} ${BALANCES} } }`,
  days: `query ($from: Date!, $to: Date!) { daysStats(from: $from, to: $to) { ${STATS} } }`,
  redOfDay: 'query ($day: Date) { dayStats(day: $day) { popugsInTheRed } }',
  red: `query ($after: String) { popugsInTheRed(first: ${PAGE}, after: $after) { edges { node { employee { id name } balance } } ${END} totalCount } }`,
  balances: `query ($day: Date, $after: String) { dayStats(day: $day) { ${BALANCES} } }`,
  top: `query ($from: Date!, $to: Date!) { mostExpensiveTask(from: $from, to: $to) { ${TOP} } }`,
  tops: `query ($period: Period!, $from: Date!, $to: Date!) { mostExpensiveTasks(period: $period, from: $from, to: $to) { ${TOP} } }`,
  log: `query ($filter: AuditFilter, $after: String) { auditLog(filter: $filter, first: ${PAGE}, after: $after) {
    edges { node { id occurredAt day kind amount description employee { id name } task { id number title } } } ${END} } }`,
} as const;

/** Draws what is asked for later. It reads the whole log, which takes longer than the service's statements may. */
export function readSamples(database: Database): Promise<Samples> {
  return database.sqlTransaction(async (sql) => {
    await sql('set local statement_timeout = 0');
    return drawSamples(sql);
  });
}

async function drawSamples(sql: Sql): Promise<Samples> {
  const days = await sql<{ day: string }>('select day::text from day_totals order by day_totals.day');
  const employees = await sql<{ id: string }>('select employee_id as id from employees order by 1');
  const [largest] = await sql<{ id: string }>('select employee_id as id from audit_entries group by 1 order by count(*) desc limit 1');
  const entries = (from: string, params: readonly unknown[] = []): Promise<Entry[]> =>
    sql<Entry>(`select day::text, ${ENTRY_MOMENT} as at, entry_id as id, kind, amount::int, employee_id as "employeeId", task_id as "taskId" from ${from} order by md5(entry_id::text) limit ${SAMPLES}`, params);
  return {
    days: days.map(({ day }) => day),
    employees: employees.map(({ id }) => id),
    largest: largest?.id ?? '',
    entries: await entries('audit_entries'),
    ofLargest: await entries('audit_entries where employee_id = $1', [largest?.id]),
  };
}

/** Everything that dashboards ask. */
export function questions(random: Random, samples: Samples): Question[] {
  return [...dayQuestions(random, samples), ...logQuestions(random, samples)];
}

function dayQuestions(random: Random, { days, employees }: Samples): Question[] {
  const anyDay = (): string => oneOf(random, days);
  const anyCursor = (): string => cursorOf([oneOf(random, employees)]);
  const range = (count: number) => {
    const length = Math.min(count, days.length);
    const first = between(random, 0, days.length - length);
    return { from: days[first], to: days[first + length - 1] };
  };
  const anyRange = () => range(between(random, 1, days.length));
  const tops = (period: string, most: number): Question => ({ name: `most expensive tasks, ${period}`, query: OPERATIONS.tops, draw: () => ({ variables: { period, ...range(between(random, 1, most)) } }) });
  return [
    { name: 'a day, all of it', query: OPERATIONS.day, draw: () => ({ variables: { day: anyDay() } }) },
    { name: 'a month of days', query: OPERATIONS.days, draw: () => ({ variables: range(MONTH_DAYS) }) },
    { name: 'a year of days', query: OPERATIONS.days, draw: () => ({ variables: range(YEAR_DAYS) }) },
    { name: 'how many in the red on a day', query: OPERATIONS.redOfDay, draw: () => ({ variables: { day: anyDay() } }) },
    { name: 'in the red now, first page', query: OPERATIONS.red, draw: () => ({ variables: {} }) },
    { name: 'in the red now, any page', query: OPERATIONS.red, draw: () => ({ variables: { after: anyCursor() } }) },
    { name: 'balances of a day, any page', query: OPERATIONS.balances, draw: () => ({ variables: { day: anyDay(), after: anyCursor() } }) },
    { name: 'most expensive task of a range', query: OPERATIONS.top, draw: () => ({ variables: anyRange() }) },
    tops('DAY', YEAR_DAYS),
    tops('WEEK', YEAR_DAYS * WEEK_DAYS),
    tops('MONTH', days.length),
  ];
}

type Filter = Readonly<Record<string, unknown>>;

function logQuestions(random: Random, { days, entries, ofLargest, largest }: Samples): Question[] {
  const around = (day: string, most: number): Filter => {
    const place = days.indexOf(day);
    return { fromDay: days[Math.max(0, place - between(random, 0, most))], toDay: days[Math.min(days.length - 1, place + between(random, 0, most))] };
  };
  const amounts = (amount: number, within: number): Filter => ({ amountFrom: amount - within, amountTo: amount + within });
  /** Of an entry, so that there is something to find. */
  const filters: Readonly<Record<string, (entry: Entry) => Filter>> = {
    'no filter': () => ({}),
    'a day': ({ day }) => ({ day }),
    'some days': ({ day }) => around(day, YEAR_DAYS),
    'an employee': ({ employeeId }) => ({ employeeId }),
    'a task': ({ taskId }) => ({ taskId }),
    'a kind': ({ kind }) => ({ kind }),
    'narrow amounts': ({ amount }) => amounts(amount, NARROW),
    'wide amounts': ({ amount }) => amounts(amount, WIDE),
    'amount that nothing has': () => ({ amountFrom: 10_000_000 }),
    'employee, kind': ({ employeeId, kind }) => ({ employeeId, kind }),
    'employee, day': ({ employeeId, day }) => ({ employeeId, day }),
    'employee, days, narrow amounts': ({ employeeId, day, amount }) => ({ employeeId, ...around(day, YEAR_DAYS), ...amounts(amount, NARROW) }),
    'kind, days': ({ kind, day }) => ({ kind, ...around(day, MONTH_DAYS) }),
    'kind, narrow amounts': ({ kind, amount }) => ({ kind, ...amounts(amount, NARROW) }),
    'kind, days, wide amounts': ({ kind, day, amount }) => ({ kind, ...around(day, MONTH_DAYS), ...amounts(amount, WIDE) }),
    'task, employee, kind': ({ taskId, employeeId, kind }) => ({ taskId, employeeId, kind }),
    'everything': ({ taskId, employeeId, kind, day, amount }) => ({ taskId, employeeId, kind, ...around(day, MONTH_DAYS), ...amounts(amount, NARROW) }),
  };
  const kinds = Object.entries(filters).flatMap(([what, filterOf]) =>
    [false, true].map((isDeep) => ({
      name: `log: ${what}${isDeep ? ', deep' : ''}`,
      query: OPERATIONS.log,
      draw: () => asked(oneOf(random, entries), filterOf, isDeep),
    })),
  );
  const theirs = { name: 'log: the largest employee, deep', query: OPERATIONS.log, draw: () => asked(oneOf(random, ofLargest), () => ({ employeeId: largest }), true) };
  return [...kinds, theirs];
}

/** Deep is what comes after the entry. */
function asked(entry: Entry, filterOf: (entry: Entry) => Filter, isDeep: boolean): Drawn {
  return { variables: { filter: filterOf(entry), ...(isDeep && { after: cursorOf([entry.day, entry.at, entry.id]) }) } };
}
