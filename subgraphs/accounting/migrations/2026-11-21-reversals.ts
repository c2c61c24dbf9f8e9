import { Migration } from '@mikro-orm/migrations';

/** A reversal names what it takes back, and why; nothing is taken back twice. */
export class Migration20261121Reversals extends Migration {
  override up(): void {
    this.addSql(`alter table postings
      add column reverses uuid unique references postings (id),
      add column reason text,
      add constraint postings_reversal_check check ((kind = 'REVERSAL') = (reverses is not null and reason is not null))`);
  }
}
