import { Migration } from '@mikro-orm/migrations';
import { OUTBOX_IN_PARTITIONS } from '@ates/shared-events/migrations/2026-11-21-pipe';

export class Migration20261121Pipe extends Migration {
  override up(): void {
    for (const statement of OUTBOX_IN_PARTITIONS) this.addSql(statement);
  }
}
