import { Migration } from '@mikro-orm/migrations';

/** A reversal names what it takes back, whole, and why; nothing is taken back twice. */
export class Migration20261121Reversals extends Migration {
  override up(): void {
    this.addSql(`alter table postings
      add column reverses uuid,
      add column reason text,
      add constraint postings_reversal_check check ((kind = 'REVERSAL') = (reverses is not null and reason is not null))`);
    // Of reversals alone, which are few: a key would be one more entry for every posting, and a check of its own.
    this.addSql('create unique index postings_reversed_once on postings (reverses) where reverses is not null');
    this.addSql(`
      create function check_reversals() returns trigger language plpgsql as $$
      declare
        wrong uuid;
      begin
        select reversal.id into wrong from written as reversal
        where reverses is not null and not exists (select from postings as original where original.id = reversal.reverses
            and original.kind <> 'REVERSAL' and original.amount = reversal.amount
            and original.from_account = reversal.to_account and original.to_account = reversal.from_account)
        limit 1;
        if found then
          raise exception 'reversal % does not take back a posting, whole', wrong using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create trigger original_is_taken_back_whole after insert on postings
      referencing new table as written for each statement execute function check_reversals()`);
  }
}
