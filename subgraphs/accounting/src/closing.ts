import type { Database, Sql } from '@ates/service-kit/database';
import { currentTraceparent } from '@ates/service-kit/trace-context';
import { OPENING_BALANCES_MAX } from '@ates/shared-events/accounting-events';
import { RECORDING } from '@ates/shared-events/outbox';
import { COMPANY_ACCOUNT, PAYOUTS_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { whatIsMissing } from './day-closing.ts';
import { nextDayToClose, postingDays, shutPostingGate } from './day-register.ts';

export interface ClosingOptions {
  readonly timeZone: string;
  readonly clock: () => Date;
}

/** With 100,000 accounts a close takes some seconds. */
const CLOSE_TIMEOUT_MS = 120_000;

const moment = (place: string) => `to_char(${place}::timestamptz at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

// $1 the day, $2 the next one, $3 when, $4 the trace. What was posted for later days already is not the day's to pay out.
const STANDING = `
  with later as (
    select account_id, sum(amount)::bigint as amount from (
      select from_account as account_id, -amount as amount from postings where business_day > $1
      union all
      select to_account, amount from postings where business_day > $1
    ) as moved group by account_id
  ), standing as materialized (
    select id, owner_id, entry_count, version, balance, balance - coalesce(later.amount, 0) as closing
    from accounts left join later on account_id = id where kind = 'EMPLOYEE'
  ), due as materialized (
    select standing.*, uuidv7() as posting_id, uuidv7() as entry_id,
      (row_number() over (order by id))::integer as place, (sum(closing) over (order by id))::bigint as paid_so_far
    from standing where closing > 0
  ), payouts as (
    select id, balance, entry_count from accounts where id = '${PAYOUTS_ACCOUNT}'
  ), totals as (
    select coalesce(sum(closing) filter (where closing > 0), 0)::bigint as paid_out, count(*) filter (where closing > 0)::integer as paid_employees,
      coalesce(sum(closing) filter (where closing <= 0), 0)::bigint as carried_over, count(*) filter (where closing < 0)::integer as in_the_red,
      (select coalesce(sum(case '${COMPANY_ACCOUNT}'::uuid when to_account then amount when from_account then -amount end), 0)::bigint
        from postings where business_day = $1 and kind <> 'PAYOUT') as company_earnings
    from standing
  ), opening as materialized (
    select (row_number() over (order by id) - 1) / ${OPENING_BALANCES_MAX} + 1 as part, id, owner_id, closing from standing where closing < 0
  )`;

const WRITTEN = `
  posted as (
    insert into postings (id, kind, cause, from_account, to_account, amount, business_day, description, posted_at)
    select posting_id, 'PAYOUT', 'payout/' || $1::date || '/' || id, id, '${PAYOUTS_ACCOUNT}', closing, $1, 'Payout of the balance of ' || $1::date, $3 from due
  ), entered as (
    insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
    select entry_id, posting_id, -1, id, entry_count + 1, -closing, balance - closing, $1 from due
    union all
    select uuidv7(), posting_id, 1, payouts.id, payouts.entry_count + place, closing, payouts.balance + paid_so_far, $1 from due, payouts
  ), moved as (
    update accounts set balance = after.balance, entry_count = after.entry_count, version = after.version
    from (
      select id, balance - closing as balance, entry_count + 1 as entry_count, version + 2 as version from due
      union all
      select id, balance, entry_count, version + 1 from standing where closing <= 0
      union all
      select payouts.id, balance + paid_out, entry_count + paid_employees, 0 from payouts, totals where paid_employees > 0
    ) as after where accounts.id = after.id
  ), closed as (
    update day_closings as closing set closed_at = $3, version = closing.version + 1 + greatest((select max(part) from opening), 1),
      company_earnings = totals.company_earnings, paid_out = totals.paid_out, paid_employees = totals.paid_employees,
      carried_over = totals.carried_over, employees_in_the_red = totals.in_the_red
    from totals where day = $1
    returning closing.id, old.version as before, assignments, completions, closing.company_earnings, closing.paid_out, closing.paid_employees,
      closing.carried_over, closing.employees_in_the_red
  )`;

const EVENTS = `
  told as (
    select id as aggregate_id, version + 1 as version, 'account.paid' as type, json_build_object('version', version + 1, 'ownerId', owner_id, 'payoutId', posting_id,
      'entry', json_build_object('id', entry_id, 'kind', 'PAYOUT', 'amount', -closing, 'balanceAfter', balance - closing,
        'description', 'Payout of the balance of ' || $1::date, 'taskId', null, 'businessDay', $1::date, 'postedAt', ${moment('$3')})) as data, 1 as place from due
    union all
    select id, version + 2, 'account.balance_changed',
      json_build_object('version', version + 2, 'ownerId', owner_id, 'balance', balance - closing, 'changedAt', ${moment('$3')}), 2 from due
    union all
    select id, version + 1, 'account.carried_over', json_build_object('version', version + 1, 'ownerId', owner_id, 'businessDay', $1::date,
      'balance', closing, 'carriedOverAt', ${moment('$3')}), 1 from standing where closing <= 0
    union all
    select id, before + 1, 'day.closed', json_build_object('version', before + 1, 'businessDay', $1::date, 'closedAt', ${moment('$3')},
      'assignments', assignments, 'completions', completions, 'companyEarnings', company_earnings, 'paidOut', paid_out,
      'paidEmployees', paid_employees, 'carriedOver', carried_over, 'employeesInTheRed', employees_in_the_red), 3 from closed
    union all
    select closed.id, before + 1 + part, 'day.opened', json_build_object('version', before + 1 + part, 'businessDay', $2::date, 'openedAt', ${moment('$3')},
      'part', part, 'parts', greatest((select max(part) from opening), 1), 'balances', balances), 3 + part
    from closed, (
      select part::integer as part, json_agg(json_build_object('accountId', id, 'ownerId', owner_id, 'balance', closing)) as balances from opening group by part
      union all
      select 1, '[]' where not exists (select from opening)
    ) as each_part
  ), event as (
    select uuidv7() as id, aggregate_id, version, type, type || '.v1' as dataschema, $3::timestamptz as occurred_at, $4::text as traceparent, data, place from told
  )`;

const CLOSE = `${STANDING}, ${WRITTEN}, ${EVENTS}, ${RECORDING}`;

/** A mail to everybody who was paid, and the day's report to managers and admins. */
const MAILS = `
  insert into mails (kind, business_day, recipient_id, payout_id, due_at)
  select 'PAYOUT', $1::date, owner_id, postings.id, $2::timestamptz from postings join accounts on accounts.id = from_account
  where postings.kind = 'PAYOUT' and business_day = $1
  union all
  select 'REPORT', $1, user_id, null, $2 from user_copies where status = 'ACTIVE' and roles && '{MANAGER,ADMIN}'`;

/**
 * Closes a day, if it is the next and everything of it is posted: pays every positive balance, carries the others over, tells of both
 * and of the day, and leaves the mails to be sent; all in one transaction. Whoever comes second finds it closed.
 * @returns whether this call closed it
 */
export async function closeDay(database: Database, day: string, { timeZone, clock }: ClosingOptions): Promise<boolean> {
  return database.sqlTransaction(async (sql) => {
    await sql(`set local statement_timeout = ${CLOSE_TIMEOUT_MS}`);
    // How many rows each part of it has depends on the day; a plan for any day would be a bad one.
    await sql(`set local plan_cache_mode = 'force_custom_plan'`);
    await shutPostingGate(sql);
    const now = clock();
    const next = await nextDayToClose(sql, { timeZone, now });
    if (next === null || next.day !== day || whatIsMissing(next) !== null) return false;
    const { postedAt } = await postingDays(sql, [], { timeZone, now });
    await writeClose(sql, { day, nextDay: await dayAfter(sql, day, timeZone), at: postedAt });
    return true;
  });
}

async function writeClose(sql: Sql, { day, nextDay, at }: { readonly day: string; readonly nextDay: string; readonly at: Date }): Promise<void> {
  await sql(CLOSE, [day, nextDay, at, currentTraceparent()]);
  await sql(MAILS, [day, at]);
}

async function dayAfter(sql: Sql, day: string, timeZone: string): Promise<string> {
  const [row] = await sql<{ day: string }>('select next_business_day($1, $2)::text as day', [day, timeZone]);
  if (row === undefined) throw new Error(`The calendar has no day after ${day}`);
  return row.day;
}
