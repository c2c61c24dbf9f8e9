import { chmodSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { randomFrom } from '../chaos/random.ts';
import { AuditYears, employeeId, TASK_SQL } from './analytics-years.ts';

/** The read model of some years, which is put into tables that have none of these days. */
export interface FillOptions {
  /** Of the superuser, in Analytics' database: its server reads the files. */
  readonly adminUrl: string;
  /** For files of rows, on the server's machine; made and deleted here. */
  readonly folder: string;
  readonly entries: number;
  readonly employees: number;
  readonly days: number;
  readonly seed: number;
  readonly say: (text: string) => void;
}

const LOADERS = 2;
const TOLD_EVERY = 1_000_000;
/** Rows with their indexes, and the log of changes besides. */
const BYTES_PER_ENTRY = 1_100;
const BYTES_BESIDES = 4e9;
const GB = 1e9;
/** While rows are loaded only. */
const FAST = `set synchronous_commit = off; set work_mem = '256MB'; set statement_timeout = 0`;
const COLUMNS = 'day, posted_at, entry_id, kind, amount, description, employee_id, task_id';
const BEST = 'reward desc, completed_at, task_id';

/** Facts come as they are, and the rollups are derived of them. Whole days only, and nothing of the events' inbox. */
function rollups({ tasks, first, last }: { readonly tasks: number; readonly first: string; readonly last: string }): readonly string[] {
  return [
    `insert into completions (day, task_id, completed_at) select day, task_id, posted_at from audit_entries where kind = 'REWARD'`,
    `insert into task_copies (task_id, number, ticket, title) select ${TASK_SQL.id('n')}, n, null, ${TASK_SQL.title('n')} from generate_series(1, ${tasks}) as n`,
    `insert into task_rewards (task_id, reward, completed_day, completed_at)
     select ${TASK_SQL.id('n')}, ${TASK_SQL.reward('n')}, day, completed_at from generate_series(1, ${tasks}) as n left join completions on task_id = ${TASK_SQL.id('n')}`,
    `insert into employee_days (employee_id, day, net, closing)
     select employee_id, day, sum(amount), sum(sum(amount)) over (partition by employee_id order by day) from audit_entries group by employee_id, day`,
    `insert into employees (employee_id, balance, first_day) select employee_id, sum(net), min(day) from employee_days group by employee_id`,
    `insert into day_totals (day, company_earnings, paid_out, paid_employees, assigned, completed, sign_ins, denied_sign_ins, red_change)
     select days.day, coalesce(earned, 0), coalesce(paid, 0), coalesce(payouts, 0), coalesce(fees, 0), coalesce(rewards, 0),
       1500 + (hashtext(days.day::text) & 511), hashtext(days.day::text || 'denied') & 63, coalesce(change, 0)
     from (select generate_series('${first}'::date, '${last}'::date, interval '1 day')::date as day) as days
     left join (
       select day, -sum(amount) filter (where kind <> 'PAYOUT') as earned, -sum(amount) filter (where kind = 'PAYOUT') as paid,
         count(*) filter (where kind = 'PAYOUT') as payouts, count(*) filter (where kind = 'FEE') as fees, count(*) filter (where kind = 'REWARD') as rewards
       from audit_entries group by day
     ) as posted using (day)
     left join (select day, sum((closing < 0)::int - (closing - net < 0)::int) as change from employee_days group by day) as red using (day)`,
    `insert into month_totals (month, red_change) select date_trunc('month', day)::date, sum(red_change) from day_totals where day between '${first}' and '${last}' and red_change <> 0 group by 1
     on conflict (month) do update set red_change = month_totals.red_change + excluded.red_change`,
    `insert into day_tops (day, task_id, reward, completed_at)
     select distinct on (completed_day) completed_day, task_id, reward, completed_at from task_rewards where completed_day is not null order by completed_day, ${BEST}`,
    `insert into month_tops (month, task_id, reward, completed_at)
     select distinct on (date_trunc('month', day)) date_trunc('month', day)::date, task_id, reward, completed_at from day_tops order by date_trunc('month', day), ${BEST}`,
    `insert into day_closings (day, closed_at, assignments, completions, company_earnings, paid_out, paid_employees, carried_over, employees_in_the_red)
     select day, (day + 1)::timestamp at time zone 'UTC', assigned, completed, company_earnings, paid_out, paid_employees,
       -sum(company_earnings + paid_out) over (order by day), sum(red_change) over (order by day) from day_totals where day between '${first}' and '${last}'`,
  ];
}

/** @throws when the disk has no room */
export function checkRoom(folder: string, entries: number, say: (text: string) => void): void {
  const { bavail, bsize } = statfsSync(folder);
  const needed = entries * BYTES_PER_ENTRY + BYTES_BESIDES;
  const rooms = `${((bavail * bsize) / GB).toFixed(0)} GB are free where ${folder} is, ${(needed / GB).toFixed(1)} GB are needed at most`;
  if (bavail * bsize < needed) throw new Error(`${rooms}: give another folder by --data, or fewer --entries`);
  say(rooms);
}

/** Fills the tables, with their indexes in place as they are when events fill them. @throws when they do not add up */
export async function fillModel(options: FillOptions): Promise<void> {
  const { adminUrl, folder, entries, employees, days, seed, say } = options;
  const startedAt = performance.now();
  const seconds = (): string => `${((performance.now() - startedAt) / 1_000).toFixed(0)} s`;
  const clients = Array.from({ length: LOADERS }, () => new pg.Client({ connectionString: adminUrl }));
  await Promise.all(clients.map((client) => client.connect()));
  const files = join(folder, 'rows');
  mkdirSync(files, { recursive: true });
  chmodSync(files, 0o711);
  try {
    const [first] = clients as [pg.Client];
    for (const client of clients) await client.query(FAST);
    const years = new AuditYears({ random: randomFrom(seed), entries, employees, days, endsAt: new Date() });
    const [firstDay, lastDay] = [years.dates[0], years.dates.at(-1)].map((date) => (date as Date).toISOString().slice(0, 10)) as [string, string];
    await first.query(`select make_partitions($1, $2, 'public')`, [firstDay, lastDay]);
    await copyEntries({ clients, years, files, told: (count) => say(`${count} entries copied, ${seconds()}`) });
    await first.query('vacuum (analyze) audit_entries');
    await first.query('insert into user_copies (user_id, name) select * from unnest($1::uuid[], $2::text[])', [...employeesOf(employees)]);
    for (const statement of rollups({ tasks: years.tasks, first: firstDay, last: lastDay })) await first.query(statement);
    say(`${years.posted} entries of ${years.tasks} tasks, with the rollups, ${seconds()}`);
    await first.query('vacuum (analyze)');
    await first.query('checkpoint');
    await check(first, years.posted);
    const { rows } = await first.query<{ size: string }>('select pg_size_pretty(pg_database_size(current_database())) as size');
    say(`vacuumed, analyzed, written and found right, ${seconds()}; it takes ${rows[0]?.size}`);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
    rmSync(files, { recursive: true, force: true });
  }
}

function employeesOf(count: number): [ids: string[], names: string[]] {
  const numbers = Array.from({ length: count }, (_, number) => number);
  return [numbers.map(employeeId), numbers.map((number) => `Popug ${number}`)];
}

interface Copying {
  readonly clients: readonly pg.Client[];
  readonly years: AuditYears;
  readonly files: string;
  readonly told: (count: number) => void;
}

/** As two sessions, a month each: while one is written the next is drawn. */
async function copyEntries({ clients, years, files, told }: Copying): Promise<void> {
  const months = years.months();
  let [copied, toldOf, place] = [0, 0, 0];
  const copy = async (client: pg.Client): Promise<void> => {
    for (let next = months.next(); next.done !== true; next = months.next()) {
      const file = join(files, String((place += 1)));
      writeFileSync(file, next.value.text, { mode: 0o644 });
      await client.query(`copy audit_entries (${COLUMNS}) from '${file}'`);
      rmSync(file);
      copied += next.value.entries;
      if (copied >= toldOf + TOLD_EVERY) told((toldOf = copied));
    }
  };
  await Promise.all(clients.map(copy));
}

/** @throws when facts and rollups don't agree */
async function check(client: pg.Client, posted: number): Promise<void> {
  const { rows } = await client.query<Record<string, string>>(
    `with log as (
       select count(*) as entries, sum(amount) as sum, -sum(amount) filter (where kind <> 'PAYOUT') as earned, count(*) filter (where kind = 'REWARD') as rewards from audit_entries
     )
     select entries, (select count(*) from audit_entries_others) as others, sum - (select sum(balance) from employees) as balances, earned - (select sum(company_earnings) from day_totals) as earnings,
       rewards - (select count(*) from completions) as completions, rewards - (select sum(completed) from day_totals) as completed,
       (select count(*) from employees where balance < 0) - (select sum(red_change) from month_totals) as red,
       (select count(*) from employees join lateral (select closing from employee_days where employee_id = employees.employee_id order by day desc limit 1) as last on true where closing <> balance) as closings,
       (select count(*) from employee_days where closing > 0) as unpaid
     from log`,
  );
  const { entries, ...differences } = rows[0] ?? {};
  if (Number(entries) !== posted || Object.values(differences).some((difference) => Number(difference) !== 0)) throw new Error(`The read model was loaded wrong: ${JSON.stringify(rows[0])} of ${posted} entries`);
}
