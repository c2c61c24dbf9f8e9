import { Migration } from '@mikro-orm/migrations';
import { IDEMPOTENCY_TABLE } from '@ates/service-kit/idempotency';
import { INBOX_TABLES, OUTBOX_TABLE } from '@ates/shared-events/migrations/2026-11-20-pipe';

export class Migration20261120Tasks extends Migration {
  override up(): void {
    for (const statement of [...OUTBOX_TABLE, ...INBOX_TABLES, IDEMPOTENCY_TABLE]) this.addSql(statement);
    this.tasks();
    this.businessDays();
    // Copies of Users' users.
    this.addSql('create table user_copies (user_id uuid primary key, name text not null, assignable boolean not null)');
  }

  private tasks(): void {
    this.addSql('create sequence task_numbers as integer');
    this.addSql(`
      create table tasks (
        id uuid primary key,
        version integer not null,
        number integer not null unique,
        ticket text,
        title text not null check (title !~ '[][]'),
        description text not null,
        status text not null check (status in ('OPEN', 'DONE', 'DELETED')),
        assignee_id uuid,
        -- How often the task has been assigned; the current assignment's number.
        assignment_number integer not null default 0,
        creator_id uuid not null,
        created_at timestamptz not null,
        completed_at timestamptz,
        completed_business_day date,
        -- Copies of Accounting's prices, in cents.
        fee bigint,
        reward bigint,
        check ((status = 'DONE') = (completed_at is not null and completed_business_day is not null))
      )`);
    this.addSql('create index tasks_by_status on tasks (status, number desc)');
    this.addSql('create index tasks_by_assignee on tasks (assignee_id, number desc)');
    this.addSql('create index tasks_by_creator on tasks (creator_id, number desc)');
    this.addSql('create index tasks_by_completed_day on tasks (completed_business_day) where completed_business_day is not null');
    this.addSql(`
      create table assignments (
        task_id uuid not null references tasks (id),
        assignment_number integer not null,
        assignee_id uuid not null,
        business_day date not null,
        assigned_at timestamptz not null,
        primary key (task_id, assignment_number)
      )`);
    this.addSql('create index assignments_by_day on assignments (business_day)');
  }

  private businessDays(): void {
    this.addSql(`
      create table business_days (
        day date primary key,
        id uuid not null unique default uuidv7(),
        starts_at timestamptz not null,
        ends_at timestamptz not null check (ends_at > starts_at),
        -- When its end was announced; from then on nothing is stamped with it.
        ended_at timestamptz
      )`);
    // One round trip for whoever stamps. Two statements all the same: the second has a snapshot of its own (the function is
    // volatile), so it sees what was committed before the gate let it through.
    this.addSql(`
      create function pass_day_gate(gate bigint, at timestamptz) returns date language plpgsql volatile as $$
      begin
        perform pg_advisory_xact_lock_shared(gate);
        return (select day from business_days where ended_at is null and ends_at > at order by day limit 1);
      end $$`);
  }
}
