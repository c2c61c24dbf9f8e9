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
        with entry as materialized (
          select id, account_id, number, amount, balance_after,
            lag(number) over in_order as number_before, lag(balance_after) over in_order as balance_before
          from written window in_order as (partition by account_id order by number)
        ), first as (
          select entry.id, entry.balance_after = entry.amount + coalesce(before.balance_after, 0) and (entry.number = 1 or before.id is not null) as follows
          from (select * from entry where number_before is null) as entry
          left join entries as before on before.account_id = entry.account_id and before.number = entry.number - 1
        ), later as (
          select id, balance_after = amount + balance_before and number = number_before + 1 as follows from entry where number_before is not null
        )
        select id into wrong from (select * from first union all select * from later) as each_entry where not follows limit 1;
        if found then
          raise exception 'entry % does not follow the entry before it', wrong using errcode = 'check_violation';
        end if;
        select last.id into wrong from (select account_id, max(number) as number, any_value(id) as id from written group by account_id) as last
        left join accounts on accounts.id = last.account_id
        where accounts.id is null or accounts.entry_count < last.number limit 1;
        if found then
          raise exception 'entry % is not counted by its account', wrong using errcode = 'check_violation';
        end if;
        select entry.id into wrong from (select posting_id, any_value(id) as id from written group by posting_id) as entry
        where not exists (select from postings where postings.id = entry.posting_id) limit 1;
        if found then
          raise exception 'entry % belongs to no posting', wrong using errcode = 'foreign_key_violation';
        end if;
        return null;
      end $$`);
  }
}
