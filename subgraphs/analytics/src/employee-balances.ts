import { connectionOf, cursorOf, foreignCursor, pageOf, type Connection, type Page, type PageArguments } from '@ates/service-kit/connection';
import type { Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { isId } from '@ates/service-kit/identifiers';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import { cents, type Cents } from '@ates/shared-events/cents';

/** With what an employee began and ended a day. */
export interface DayBalance {
  readonly employeeId: string;
  readonly opening: Cents;
  readonly closing: Cents;
}

/** A page looks at so many employees, at most: on an early day, most of those of today were not there yet. */
export const WALK_MAX_EMPLOYEES = 500;
/** So many balances are asked for at once, at most, over all days of a request. */
export const BALANCES_MAX = 5_000;

interface Row {
  readonly day: string;
  readonly employee_id: string;
  readonly opening: string;
  readonly closing: string;
}

const employeesFrom = (after: '$1' | '$2'): string => `select employee_id, first_day from employees where (${after}::uuid is null or employee_id > ${after}) order by employee_id`;

/** For each employee of the page one probe of their days: the last one until then. With $3 rows of each day. */
const BALANCES = `
  select asked.day::text, page.employee_id, coalesce(last.closing - case when last.day = asked.day then last.net else 0 end, 0)::text as opening, coalesce(last.closing, 0)::text as closing
  from unnest($1::date[]) as asked (day)
  cross join lateral (
    select employee_id from (${employeesFrom('$2')} limit ${WALK_MAX_EMPLOYEES}) as walked where first_day <= asked.day order by employee_id limit $3
  ) as page
  left join lateral (
    select day, net, closing from employee_days where employee_days.employee_id = page.employee_id and employee_days.day <= asked.day
    order by employee_days.day desc limit 1
  ) as last on true
  order by asked.day, page.employee_id`;

const BOUNDARY = `${employeesFrom('$1')} offset ${WALK_MAX_EMPLOYEES - 1} limit 1`;

/** Which page of a day's balances: `balancesKey`. */
export type BalancesKey = `${string} ${string}`;

/** What the arguments of `balances` ask for on a day. @throws DomainError BAD_USER_INPUT */
export function balancesKey(day: string, pageArguments: PageArguments): BalancesKey {
  return `${day} ${JSON.stringify(employeesPage(pageArguments))}`;
}

function employeesPage(pageArguments: PageArguments): Page {
  const page = pageOf(pageArguments);
  if (page.after !== null && !isId(page.after[0] ?? '')) throw foreignCursor();
  return page;
}

type DayBalances = Connection<DayBalance>;

/** Pages of several days' balances by employee: two statements for those that ask alike. */
export function dayBalancesLoader(sql: Sql): Loader<BalancesKey, DayBalances> {
  return batchLoader<BalancesKey, readonly [BalancesKey, DayBalances], DayBalances>(
    (keys) => readBalances(sql, keys),
    ([key]) => key,
    (row) => (row as readonly [BalancesKey, DayBalances])[1],
  );
}

async function readBalances(sql: Sql, keys: readonly BalancesKey[]): Promise<(readonly [BalancesKey, DayBalances])[]> {
  const alike = Map.groupBy(keys, (key) => key.slice(key.indexOf(' ') + 1));
  const pages = [...alike].map(([text, group]) => ({ page: JSON.parse(text) as Page, group }));
  const asked = pages.reduce((sum, { page, group }) => sum + page.limit * group.length, 0);
  if (asked > BALANCES_MAX) throw new DomainError('BAD_USER_INPUT', `These are ${asked} balances at once; ask for ${BALANCES_MAX} at most: fewer days, or a smaller first`);
  const answers = await Promise.all(
    pages.map(async ({ page, group }) => {
      const after = page.after?.[0] ?? null;
      const days = group.map((key) => key.slice(0, key.indexOf(' ')));
      const [rows, [boundary]] = await Promise.all([sql<Row>(BALANCES, [days, after, page.limit + 1]), sql<{ employee_id: string }>(BOUNDARY, [after])]);
      const byDay = Map.groupBy(rows, ({ day }) => day);
      return group.map((key, place) => [key, pageUpTo(byDay.get(days[place] as string) ?? [], page, boundary?.employee_id)] as const);
    }),
  );
  return answers.flat();
}

/** A page; where it is not full though more employees may come, it goes on behind the last one that was looked at. */
function pageUpTo(rows: readonly Row[], page: Page, boundary: string | undefined): Connection<DayBalance> {
  const nodes = rows.map(({ employee_id, opening, closing }) => ({ employeeId: employee_id, opening: cents(opening), closing: cents(closing) }));
  const connection = connectionOf(nodes, page, ({ employeeId }) => [employeeId]);
  if (connection.pageInfo.hasNextPage || boundary === undefined) return connection;
  return { edges: connection.edges, pageInfo: { hasNextPage: true, endCursor: cursorOf([boundary]) } };
}

/** Who is below zero now. */
export interface PopugInTheRed {
  readonly employeeId: string;
  readonly balance: Cents;
}

/** A page of them, by employee. @throws DomainError BAD_USER_INPUT */
export async function popugsInTheRed(sql: Sql, pageArguments: PageArguments): Promise<Connection<PopugInTheRed>> {
  const page = employeesPage(pageArguments);
  const rows = await sql<{ employee_id: string; balance: string }>(
    'select employee_id, balance from employees where balance < 0 and ($1::uuid is null or employee_id > $1) order by employee_id limit $2',
    [page.after?.[0] ?? null, page.limit + 1],
  );
  return connectionOf(
    rows.map(({ employee_id, balance }) => ({ employeeId: employee_id, balance: cents(balance) })),
    page,
    ({ employeeId }) => [employeeId],
  );
}

/** How many of them there are: what the changes of all months come to. */
export async function countPopugsInTheRed(sql: Sql): Promise<number> {
  const [row] = await sql<{ count: number }>('select coalesce(sum(red_change), 0)::int as count from month_totals');
  return row?.count ?? 0;
}
