import { Migration } from '@mikro-orm/migrations';
import { INBOX_WITH_POSITIONS, OUTBOX_IN_PARTITIONS } from '@ates/shared-events/migrations/2026-11-21-pipe';

export class Migration20261121Pipe extends Migration {
  override up(): void {
    for (const statement of [...OUTBOX_IN_PARTITIONS, ...INBOX_WITH_POSITIONS]) this.addSql(statement);
  }
}
