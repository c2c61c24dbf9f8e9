import { Migration } from '@mikro-orm/migrations';
import { emptyReadModel } from './2026-11-21-rebuild.ts';

/** The tables of the read model from here on; `empty_read_model()` empties these. */
export const READ_MODEL_TABLES = [
  'audit_entries', 'completions', 'task_copies', 'task_rewards', 'user_copies',
  'employees', 'employee_days', 'day_totals', 'month_totals', 'day_tops', 'month_tops', 'day_closings',
] as const;

/** Facts, in partitions by month of their business day. */
export const PARTITIONED = ['audit_entries', 'completions'] as const;

/**
 * Facts in monthly partitions, and rollups beside them, so that what a dashboard reads does not grow with history. The model is made
 * of events alone: the old tables are dropped, and the running consumers fill these from the streams' beginnings.
 */
export class Migration20261122ReadModels extends Migration {
  override up(): void {
    for (const table of ['day_totals', 'employee_days', 'audit_entries', 'task_copies', 'task_rewards', 'completions']) this.addSql(`drop table ${table}`);
    this.facts();
    this.copies();
    this.rollups();
    this.partitions();
    this.addSql(emptyReadModel(READ_MODEL_TABLES));
    this.addSql('select empty_read_model()');
  }

  private facts(): void {
    this.addSql(`
      -- Every charge, reward, reversal and payout: the audit log.
      create table audit_entries (
        day date not null,
        posted_at timestamptz not null,
        entry_id uuid not null,
        kind text not null,
        -- In cents; what the balance changed by.
        amount bigint not null,
        description text not null,
        employee_id uuid not null,
        task_id uuid,
        primary key (day, posted_at, entry_id)
      ) partition by range (day)`);
    this.addSql('create index audit_entries_by_employee on audit_entries (employee_id, day, posted_at, entry_id)');
    this.addSql('create index audit_entries_by_task on audit_entries (task_id, day, posted_at, entry_id) where task_id is not null');
    this.addSql('create index audit_entries_by_kind on audit_entries (kind, day, posted_at, entry_id)');
    this.addSql('create index audit_entries_by_amount on audit_entries (day, amount, posted_at, entry_id)');
    this.addSql(`
      create table completions (
        day date not null,
        task_id uuid not null,
        completed_at timestamptz not null,
        primary key (task_id, day)
      ) partition by range (day)`);
  }

  private copies(): void {
    this.addSql('create table task_copies (task_id uuid primary key, number integer not null, ticket text, title text not null)');
    this.addSql('create table user_copies (user_id uuid primary key, name text not null)');
    this.addSql(`
      -- A task's reward and its completion, whichever is told first: their streams are read at the same time, and this row is where they meet.
      create table task_rewards (
        task_id uuid primary key,
        reward bigint,
        completed_day date,
        completed_at timestamptz
      )`);
  }

  private rollups(): void {
    this.addSql(`
      -- Everybody whom an entry, or a carried-over balance, was ever told of.
      create table employees (
        employee_id uuid primary key,
        -- After all that is known, in cents: the closing of their last day.
        balance bigint not null default 0,
        first_day date not null
      )`);
    this.addSql('create index employees_in_the_red on employees (employee_id) where balance < 0');
    this.addSql(`
      -- What an employee's entries of a business day come to. Days without entries have no row: the one before counts.
      create table employee_days (
        employee_id uuid not null,
        day date not null,
        net bigint not null,
        -- The balance after that day: the sum of this net and all before it.
        closing bigint not null,
        primary key (employee_id, day)
      )`);
    this.addSql('create index employee_days_by_day on employee_days (day, employee_id)');
    this.addSql(`
      create table day_totals (
        day date primary key,
        -- Fees charged less rewards paid, reversals included, in cents.
        company_earnings bigint not null default 0,
        paid_out bigint not null default 0,
        paid_employees integer not null default 0,
        assigned integer not null default 0,
        completed integer not null default 0,
        sign_ins integer not null default 0,
        denied_sign_ins integer not null default 0,
        -- How many more employees are below zero at its end than at the end of the day before.
        red_change integer not null default 0
      )`);
    this.addSql('create table month_totals (month date primary key, red_change integer not null)');
    for (const period of ['day', 'month']) {
      this.addSql(`
        -- The completed task with the highest reward; of equals the one completed first, then the one of the lower id.
        create table ${period}_tops (
          ${period} date primary key,
          task_id uuid not null,
          reward bigint not null,
          completed_at timestamptz not null
        )`);
    }
    this.addSql(`
      -- What Accounting says of the days that it closed.
      create table day_closings (
        day date primary key,
        closed_at timestamptz not null,
        assignments integer not null,
        completions integer not null,
        company_earnings bigint not null,
        paid_out bigint not null,
        paid_employees integer not null,
        carried_over bigint not null,
        employees_in_the_red integer not null
      )`);
  }

  /**
   * Partitions are made ahead by a scheduled job, and when a fact comes for a month that has none: as the owner, who alone may. `target` is the
   * schema of the model that asks: `current_schema()`.
   */
  private partitions(): void {
    for (const table of PARTITIONED) this.addSql(`create table ${table}_others partition of ${table} default`);
    this.addSql(`
      create function make_partitions(first_day date, last_day date, target text) returns integer language plpgsql security definer set search_path = public, pg_temp as $$
      declare
        month date;
        parent text;
        made integer := 0;
      begin
        if last_day - first_day > 3700 then
          raise exception 'partitions for more than ten years at once' using errcode = 'invalid_parameter_value';
        end if;
        for month in select generate_series(date_trunc('month', first_day::timestamp), last_day::timestamp, interval '1 month')::date loop
          foreach parent in array array['${PARTITIONED.join("', '")}'] loop
            continue when to_regclass(format('%I.%I', target, parent || to_char(month, '_YYYY_MM'))) is not null;
            perform pg_advisory_xact_lock(hashtext('make_partitions'));
            continue when to_regclass(format('%I.%I', target, parent || to_char(month, '_YYYY_MM'))) is not null;
            begin
              execute format('create table if not exists %I.%I partition of %I.%I for values from (%L) to (%L)',
                target, parent || to_char(month, '_YYYY_MM'), target, parent, month, (month + interval '1 month')::date);
              made := made + 1;
            -- The default partition has facts of that month: once it was too far from now. They stay together there.
            exception when check_violation then null;
            end;
          end loop;
        end loop;
        return made;
      end $$`);
    this.addSql(`select make_partitions((now() - interval '1 month')::date, (now() + interval '3 months')::date, 'public')`);
  }
}
