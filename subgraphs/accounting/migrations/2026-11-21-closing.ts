import { Migration } from '@mikro-orm/migrations';

/**
 * The close of business days: how far each day is, payouts, mails, seals over the entries, and what the robots did. Users and the
 * markers of days are read once more from their streams: what was left out of the copies until now is in there.
 */
export class Migration20261121Closing extends Migration {
  override up(): void {
    this.addSql(`alter table user_copies add column email text, add column roles text[] not null default '{}',
      add column status text not null default 'ACTIVE' check (status in ('ACTIVE', 'DEACTIVATED', 'DELETED'))`);
    this.days();
    this.closedDays();
    this.postings();
    this.mails();
    this.seals();
    this.addSql(`
      create table scheduled_runs (
        id uuid primary key default uuidv7(),
        robot text not null,
        -- The business day that it was about, if any.
        day date,
        outcome text not null check (outcome in ('NOTHING_TO_DO', 'DONE', 'WAITING', 'OVERDUE', 'FAILED')),
        message text,
        -- Looks that came to the same one after the other share a row: the first and the last of them.
        first_at timestamptz not null,
        last_at timestamptz not null,
        runs integer not null default 1
      )`);
    this.addSql('create index scheduled_runs_of_robot on scheduled_runs (robot, last_at, id)');
    this.addSql('create index scheduled_runs_by_time on scheduled_runs (last_at, id)');
    this.readAgain();
  }

  private days(): void {
    this.addSql(`
      create table day_closings (
        day date primary key,
        id uuid not null unique default uuidv7(),
        -- Counts the closing's events.
        version integer not null default 0,
        requested_at timestamptz,
        -- The admin; null when the schedule did.
        requested_by uuid,
        -- What has been posted of all that Tasks stamped with the day; null where it was not counted from the beginning.
        assignments integer not null default 0,
        completions integer not null default 0,
        deletions integer default 0,
        -- What the marker of its end says there is.
        ended_at timestamptz,
        marked_assignments integer,
        marked_completions integer,
        -- Null where those who told could not delete.
        marked_deletions integer,
        -- Why it may close though its counts don't match: an operator's decision.
        accepted_why text,
        closed_at timestamptz,
        company_earnings bigint,
        paid_out bigint,
        paid_employees integer,
        carried_over bigint,
        employees_in_the_red integer,
        check ((ended_at is null) = (marked_assignments is null) and (ended_at is null) = (marked_completions is null)),
        check ((closed_at is null) = (company_earnings is null) and (closed_at is null) = (paid_out is null) and (closed_at is null) = (paid_employees is null)
          and (closed_at is null) = (carried_over is null) and (closed_at is null) = (employees_in_the_red is null)),
        check (closed_at is null or ended_at is not null)
      )`);
    this.addSql('create index day_closings_not_closed on day_closings (day) where closed_at is null');
    this.addSql(`insert into day_closings (day, assignments, completions, deletions)
      select business_day, count(*) filter (where kind = 'FEE'), count(*) filter (where kind = 'REWARD'), null from postings group by business_day`);
  }

  /** A closed day keeps what it was closed with. */
  private closedDays(): void {
    this.addSql(`
      create function refuse_reopening() returns trigger language plpgsql as $$
      begin
        if old.closed_at is not null and (new.closed_at, new.company_earnings, new.paid_out, new.paid_employees, new.carried_over, new.employees_in_the_red)
            is distinct from (old.closed_at, old.company_earnings, old.paid_out, old.paid_employees, old.carried_over, old.employees_in_the_red) then
          raise exception 'day % is closed: what comes for it goes to the first open day', old.day using errcode = 'insufficient_privilege';
        end if;
        return new;
      end $$`);
    this.addSql('create trigger closed_days_stay_closed before update on day_closings for each row execute function refuse_reopening()');
    this.addSql('create trigger day_closings_are_kept before delete or truncate on day_closings for each statement execute function refuse_change()');
    this.addSql(`do $$ begin execute format('revoke delete, truncate on day_closings from %I', current_database()); end $$`);
  }

  private postings(): void {
    this.addSql(`
      create function refuse_closed_days() returns trigger language plpgsql as $$
      declare
        wrong postings;
      begin
        select * into wrong from written where kind <> 'PAYOUT' and business_day <= (select max(day) from day_closings where closed_at is not null) limit 1;
        if found then
          raise exception 'posting % is of %, which is closed: post it to the first open day', wrong.id, wrong.business_day using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create trigger closed_days_take_no_postings after insert on postings
      referencing new table as written for each statement execute function refuse_closed_days()`);
    // What came for a closed day is posted to the first open one.
    this.addSql('alter table postings add column late_for date check (late_for < business_day)');
    this.addSql(`
      -- The first date after a day that the zone's calendar has: crossing the date line leaves one out.
      create function next_business_day(day date, zone text) returns date language sql stable
      return (select min(each.day)::date from generate_series((day + 1)::timestamp, (day + 3)::timestamp, interval '1 day') as each (day)
        where ((each.day at time zone zone) at time zone zone)::date = each.day::date)`);
    this.addSql(`
      -- An account's balance at a moment, in cents. An account's entries are posted one after the other, so halving finds the last one before it.
      create function balance_as_of(account uuid, moment timestamptz) returns bigint language plpgsql stable as $$
      declare
        low integer := 0;
        high integer := coalesce((select max(number) from entries where account_id = account), 0);
        middle integer;
      begin
        while low < high loop
          middle := (low + high + 1) / 2;
          if (select posted_at from entries join postings on postings.id = posting_id where account_id = account and number = middle) <= moment then
            low := middle;
          else
            high := middle - 1;
          end if;
        end loop;
        return coalesce((select balance_after from entries where account_id = account and number = low), 0);
      end $$`);
    this.addSql(`create index postings_payouts on postings (business_day, id) include (from_account, amount) where kind = 'PAYOUT'`);
  }

  private mails(): void {
    this.addSql(`
      create table mails (
        id uuid primary key default uuidv7(),
        kind text not null check (kind in ('PAYOUT', 'REPORT')),
        business_day date not null,
        -- The user, whose address is looked up when it is sent.
        recipient_id uuid not null,
        payout_id uuid unique,
        status text not null default 'PENDING' check (status in ('PENDING', 'SENDING', 'SENT', 'FAILED')),
        attempts integer not null default 0,
        -- From when on it may be tried (again); null for what is settled.
        due_at timestamptz,
        last_error text,
        sent_at timestamptz,
        unique (business_day, kind, recipient_id),
        check ((kind = 'PAYOUT') = (payout_id is not null)),
        check ((status in ('SENT', 'FAILED')) = (due_at is null))
      )`);
    this.addSql('create index mails_due on mails (due_at) where due_at is not null');
  }

  /** A hash for each entry, made of the one before it in the same account; written by the sealing worker, never changed. */
  private seals(): void {
    this.addSql('create table entry_seals (account_id uuid not null, number integer not null, hash bytea not null, primary key (account_id, number))');
    this.addSql(`create trigger seals_are_append_only before update or delete or truncate on entry_seals for each statement execute function refuse_change()`);
    this.addSql(`do $$ begin execute format('revoke update, delete, truncate on entry_seals from %I', current_database()); end $$`);
    // How far each account's chain goes.
    this.addSql('create table sealed_accounts (account_id uuid primary key, number integer not null, hash bytea not null)');
  }

  /** Events that were applied already have their versions known, and are left out again. */
  private readAgain(): void {
    this.addSql(`delete from inbox_versions where source = '/users' or (source = '/tasks' and aggregate_id not in (select task_id from prices))`);
    this.addSql(`delete from inbox_waiting where source = '/users'`);
    this.addSql('truncate inbox');
    this.addSql(`update inbox_positions set position = 0, message_id = ''`);
  }
}
