import { Migration } from '@mikro-orm/migrations';
import { OUTBOX_LEANER } from '@ates/shared-events/migrations/2026-11-21-outbox';

export class Migration20261121Outbox extends Migration {
  override up(): void {
    for (const statement of OUTBOX_LEANER) this.addSql(statement);
  }
}
