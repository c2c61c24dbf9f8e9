import { Migration } from '@mikro-orm/migrations';

/** The class of the advisory locks that are days' gates; their second half counts days from 2000-01-01. */
export const DAY_GATES = 7_061_010;

/** So many rows may count a day's work side by side: who counts at the same moment rarely waits for the other. */
const COUNT_SLOTS = 64;

/**
 * Tasks for a market of 100,000 open ones: who has a task apart from what it is, so that an assignment writes a narrow row with few
 * indexes; an index for every way to list; a gate for each business day, and counts of what is stamped with it.
 */
export class Migration20261121Market extends Migration {
  override up(): void {
    this.addSql('drop index tasks_by_status, tasks_by_assignee, tasks_by_creator, tasks_by_completed_day, assignments_by_day');
    this.holders();
    this.tasks();
    this.dayGates();
    this.dayCounts();
    this.addSql('create index user_copies_not_assignable on user_copies (user_id) where not assignable');
  }

  private holders(): void {
    this.addSql(`
      -- Who has a task. Its row is the task's lock: whoever changes anything about a task locks it first.
      create table task_holders (
        task_id uuid primary key references tasks (id),
        -- Counts the task's events.
        version integer not null,
        assignee_id uuid,
        -- How often the task has been assigned; the current assignment's number.
        assignment_number integer not null,
        -- Copies, by which the tasks of somebody are listed.
        status text not null check (status in ('OPEN', 'DONE', 'DELETED')),
        created_at timestamptz not null,
        creator_id uuid not null
      ) with (autovacuum_vacuum_scale_factor = 0.05)`);
    this.addSql(`insert into task_holders (task_id, version, assignee_id, assignment_number, status, created_at, creator_id)
      select id, version, assignee_id, assignment_number, status, created_at, creator_id from tasks`);
    this.addSql('create index task_holders_by_assignee on task_holders (status, assignee_id, created_at, task_id) include (creator_id)');
    // Among those that nobody has, the other one is in no order.
    this.addSql('create index task_holders_unassigned on task_holders (status, created_at, task_id) include (creator_id) where assignee_id is null');
    // Assignments are written with their task's row in hand.
    this.addSql('alter table assignments drop constraint assignments_task_id_fkey');
  }

  private tasks(): void {
    this.addSql(`alter table tasks
      add column completed_by uuid, add column deleted_at timestamptz, add column deleted_business_day date,
      -- Counts what people wrote: 1 as it was made, and one more with each change.
      add column text_version integer not null default 1,
      -- Its words, without regard to case; what is no letter and no digit parts them.
      add column words tsvector not null generated always as (to_tsvector('simple',
        regexp_replace(coalesce(ticket, '') || ' ' || title || ' ' || description, '[^[:alnum:]]+', ' ', 'g'))) stored`);
    this.addSql(`update tasks set completed_by = assignee_id where status = 'DONE'`);
    this.addSql(`alter table tasks
      add constraint tasks_completed_check check ((status = 'DONE') = (completed_by is not null)),
      add constraint tasks_deleted_check check ((status = 'DELETED') = (deleted_at is not null and deleted_business_day is not null))`);
    this.addSql('alter table tasks drop column version, drop column assignee_id, drop column assignment_number');
    // How common a word is decides by which way a search goes.
    this.addSql('alter table tasks alter column words set statistics 1000');
    // Every list is a walk along one of these, from the cursor on.
    this.addSql('create index tasks_by_status on tasks (status, created_at, id)');
    this.addSql('create index tasks_by_creator on tasks (creator_id, status, created_at, id)');
    // Not only of those that have one: of a part, the planner does not know how many tasks a ticket has.
    this.addSql('create index tasks_by_ticket on tasks (lower(ticket), status, created_at, id)');
    this.addSql('create index tasks_by_word on tasks using gin (words)');
    this.addSql(`create index tasks_by_completion on tasks (completed_at, id) where status = 'DONE'`);
    this.addSql(`create index tasks_by_completer on tasks (completed_by, completed_at, id) where status = 'DONE'`);
    this.addSql(`create index tasks_by_creator_and_completion on tasks (creator_id, completed_at, id) where status = 'DONE'`);
  }

  private dayGates(): void {
    this.addSql('drop function pass_day_gate(bigint, timestamptz)');
    this.addSql('alter table business_days drop constraint business_days_check, add constraint business_days_check check (ends_at >= starts_at)');
    this.addSql('create index business_days_open on business_days (day) where ended_at is null');
    this.addSql(`
      create function start_of_day(day date, zone text) returns timestamptz language plpgsql stable as $$
      declare
        midnight timestamp := day;
        start timestamptz := midnight at time zone zone;
        evening timestamptz := start - interval '12 hours';
        -- The same reading of the clock by the evening's offset: midnight comes twice where clocks are put back over it.
        earlier timestamptz := (midnight - (evening at time zone zone - evening at time zone 'UTC')) at time zone 'UTC';
      begin
        return case when earlier at time zone zone = midnight then least(start, earlier) else start end;
      end $$`);
    this.addSql(`
      create function day_gate(day date) returns integer language sql immutable return day - date '2000-01-01'`);
    // Each statement sees what was committed before it: the day is looked at again once its gate has let us in.
    this.addSql(`
      create function pass_day_gate(at timestamptz) returns date language plpgsql volatile as $$
      declare
        candidate date;
      begin
        loop
          candidate := (select day from business_days where ended_at is null and ends_at > at order by day limit 1);
          if candidate is null then
            return null;
          end if;
          perform pg_advisory_xact_lock_shared(${DAY_GATES}, day_gate(candidate));
          if exists (select from business_days where day = candidate and ended_at is null and ends_at > at) then
            return candidate;
          end if;
        end loop;
      end $$`);
  }

  private dayCounts(): void {
    this.addSql(`alter table business_days
      -- As its marker told them.
      add column assignments integer, add column completions integer, add column deletions integer, add column last_task_number integer`);
    this.addSql(`
      -- What is stamped with a day that has not ended.
      create table business_day_counts (
        day date not null,
        slot smallint not null,
        assignments integer not null default 0,
        completions integer not null default 0,
        deletions integer not null default 0,
        last_task_number integer not null default 0,
        primary key (day, slot)
      )`);
    this.addSql(`insert into business_day_counts (day, slot, assignments, completions, last_task_number)
      select day, 0, (select count(*) from assignments where business_day = day), (select count(*) from tasks where completed_business_day = day),
        (select coalesce(max(number), 0) from tasks)
      from business_days where ended_at is null`);
    this.addSql(`
      create function count_for_day(for_day date, assigned integer, completed integer, deleted integer, newest integer) returns void language sql volatile
      begin atomic
        insert into business_day_counts as known (day, slot, assignments, completions, deletions, last_task_number)
        values (for_day, pg_backend_pid() % ${COUNT_SLOTS}, assigned, completed, deleted, newest)
        on conflict (day, slot) do update set assignments = known.assignments + assigned, completions = known.completions + completed,
          deletions = known.deletions + deleted, last_task_number = greatest(known.last_task_number, newest);
      end`);
  }
}
