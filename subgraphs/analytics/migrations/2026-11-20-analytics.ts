import { Migration } from '@mikro-orm/migrations';
import { INBOX_TABLES } from '@ates/shared-events/migrations/2026-11-20-pipe';

export class Migration20261120Analytics extends Migration {
  override up(): void {
    for (const statement of INBOX_TABLES) this.addSql(statement);
    this.addSql(`
      create table day_totals (
        day date primary key,
        -- Fees charged less rewards paid, in cents.
        company_earnings bigint not null default 0,
        assigned integer not null default 0,
        completed integer not null default 0,
        sign_ins integer not null default 0,
        denied_sign_ins integer not null default 0
      )`);
    // What each employee's entries of a day come to, in cents.
    this.addSql(`
      create table employee_days (
        employee_id uuid not null,
        day date not null,
        net bigint not null,
        primary key (employee_id, day)
      )`);
    this.addSql(`
      create table audit_entries (
        entry_id uuid primary key,
        posted_at timestamptz not null,
        day date not null,
        kind text not null,
        amount bigint not null,
        description text not null,
        employee_id uuid not null,
        task_id uuid
      )`);
    this.addSql('create table task_copies (task_id uuid primary key, number integer not null, ticket text, title text not null)');
    this.addSql('create table task_rewards (task_id uuid primary key, reward bigint not null)');
    this.addSql('create table completions (task_id uuid primary key, day date not null, completed_at timestamptz not null)');
    this.addSql('create index completions_by_day on completions (day)');
  }
}
