import { Migration } from '@mikro-orm/migrations';

/** The planner can't know how few rows a statement wrote; without these it may read the whole ledger for each. */
const BY_INDEX = 'set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off';

/**
 * The ledger's checks once per statement in place of once per row and key: the same promises at a fraction of the price. A posting,
 * its entries and the balances are therefore written by one statement.
 */
export class Migration20261121LedgerChecks extends Migration {
  override up(): void {
    for (const [trigger, table, check] of [
      ['posting_has_two_entries', 'postings', 'check_posting'],
      ['balance_follows_entries', 'accounts', 'check_balance'],
      ['entry_follows_entry', 'entries', 'check_entry'],
    ]) {
      this.addSql(`drop trigger ${trigger} on ${table}`);
      this.addSql(`drop function ${check}`);
    }
    // That the accounts and the posting exist is part of the checks below.
    this.addSql('alter table postings drop constraint postings_from_account_fkey, drop constraint postings_to_account_fkey');
    this.addSql('alter table entries drop constraint entries_account_id_fkey, drop constraint entries_posting_id_fkey');
    this.postings();
    this.entries();
    this.accounts();
  }

  private postings(): void {
    this.addSql(`
      create function check_postings() returns trigger language plpgsql ${BY_INDEX} as $$
      declare
        wrong uuid;
      begin
        select posting.id into wrong from written as posting
        where (select count(*) from entries where posting_id = posting.id and amount = side * posting.amount
            and business_day = posting.business_day
            and account_id = case side when 1 then posting.to_account else posting.from_account end) <> 2
        limit 1;
        if found then
          raise exception 'posting % does not have its two entries', wrong using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create trigger posting_has_two_entries after insert on postings
      referencing new table as written for each statement execute function check_postings()`);
  }

  private entries(): void {
    this.addSql(`
      create function check_entries() returns trigger language plpgsql ${BY_INDEX} as $$
      declare
        wrong uuid;
      begin
        select entry.id into wrong from written as entry
        left join entries as before on before.account_id = entry.account_id and before.number = entry.number - 1
        where entry.balance_after <> entry.amount + coalesce(before.balance_after, 0) or (entry.number > 1 and before.id is null)
        limit 1;
        if found then
          raise exception 'entry % does not follow the entry before it', wrong using errcode = 'check_violation';
        end if;
        select min(entry.id::text)::uuid into wrong from written as entry left join accounts on accounts.id = entry.account_id
        where accounts.id is null or accounts.entry_count < entry.number;
        if wrong is not null then
          raise exception 'entry % is not counted by its account', wrong using errcode = 'check_violation';
        end if;
        select entry.id into wrong from written as entry where not exists (select from postings where postings.id = entry.posting_id) limit 1;
        if found then
          raise exception 'entry % belongs to no posting', wrong using errcode = 'foreign_key_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create trigger entry_follows_entry after insert on entries
      referencing new table as written for each statement execute function check_entries()`);
  }

  private accounts(): void {
    this.addSql(`
      create function check_balances() returns trigger language plpgsql ${BY_INDEX} as $$
      declare
        wrong uuid;
      begin
        select account.id into wrong from written as account
        left join entries on entries.account_id = account.id and entries.number = account.entry_count
        where account.balance <> coalesce(entries.balance_after, 0) or (account.entry_count > 0 and entries.id is null)
          or exists (select from entries as later where later.account_id = account.id and later.number > account.entry_count)
        limit 1;
        if found then
          raise exception 'the balance of account % is not what its last entry left', wrong using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    for (const event of ['insert', 'update']) {
      this.addSql(`create trigger balance_follows_entries_on_${event} after ${event} on accounts
        referencing new table as written for each statement execute function check_balances()`);
    }
    this.addSql(`create trigger accounts_are_kept before delete or truncate on accounts for each statement execute function refuse_change()`);
    this.addSql(`do $$ begin execute format('revoke delete, truncate on accounts from %I', current_database()); end $$`);
  }
}
