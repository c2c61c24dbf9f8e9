import { Migration } from '@mikro-orm/migrations';

/**
 * That entries continue one another, at less cost for many at once: an account's entries of one statement are compared among
 * themselves, and only the first of them with what was there.
 */
export class Migration20261122EntriesInOrder extends Migration {
  override up(): void {
    this.addSql(`
      create or replace function check_entries() returns trigger language plpgsql
      set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
      declare
        wrong uuid;
      begin
        select entry.id into wrong from (
          select id, account_id, number, amount, balance_after,
            lag(number) over in_order as number_before, lag(balance_after) over in_order as balance_before
          from written window in_order as (partition by account_id order by number)
        ) as entry
        left join entries as before on entry.number_before is null and before.account_id = entry.account_id and before.number = entry.number - 1
        where entry.balance_after <> entry.amount + coalesce(entry.balance_before, before.balance_after, 0)
          or (entry.number > 1 and coalesce(entry.number_before, before.number, 0) <> entry.number - 1)
        limit 1;
        if found then
          raise exception 'entry % does not follow the entry before it', wrong using errcode = 'check_violation';
        end if;
        select last.id into wrong from (select account_id, max(number) as number, min(id::text)::uuid as id from written group by account_id) as last
        left join accounts on accounts.id = last.account_id
        where accounts.id is null or accounts.entry_count < last.number limit 1;
        if found then
          raise exception 'entry % is not counted by its account', wrong using errcode = 'check_violation';
        end if;
        select entry.id into wrong from (select posting_id, min(id::text)::uuid as id from written group by posting_id) as entry
        where not exists (select from postings where postings.id = entry.posting_id) limit 1;
        if found then
          raise exception 'entry % belongs to no posting', wrong using errcode = 'foreign_key_violation';
        end if;
        return null;
      end $$`);
  }
}
