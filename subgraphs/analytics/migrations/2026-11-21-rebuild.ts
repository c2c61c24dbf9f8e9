import { Migration } from '@mikro-orm/migrations';

/**
 * The tables of the read model: made of events and of nothing else, so that all of it can be made again. A migration that adds
 * one makes the function again, `emptyReadModel([...READ_MODEL_TABLES, 'the_new_one'])`; a test sees to it that none is forgotten.
 */
export const READ_MODEL_TABLES = ['day_totals', 'employee_days', 'audit_entries', 'task_copies', 'task_rewards', 'completions'] as const;

/**
 * A function by which the application's role, who may not truncate or lock, empties the model and forgets what was applied. The running
 * consumers find their positions gone and read the streams from their beginnings; parked events stay, and are decided on as before.
 */
export function emptyReadModel(tables: readonly string[]): string {
  return `create or replace function empty_read_model() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  begin
    perform set_config('lock_timeout', '5s', true);
    -- Whoever applies events goes through these two. Once they are locked, no effect is under way that would outlive this; and a
    -- batch takes the positions first, so it holds nothing that is needed here while it waits.
    lock table inbox_positions in exclusive mode;
    lock table inbox_versions, inbox in access exclusive mode;
    truncate inbox_versions, inbox;
    delete from inbox_waiting;
    -- Deleted, not truncated: those who read the model see it whole until this commits, and wait for nothing.
    ${tables.map((table) => `delete from ${table};`).join('\n    ')}
    update inbox_positions set position = 0, message_id = '';
  end $$`;
}

export class Migration20261121Rebuild extends Migration {
  override up(): void {
    this.addSql(emptyReadModel(READ_MODEL_TABLES));
  }
}
