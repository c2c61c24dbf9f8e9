import { Migration } from '@mikro-orm/migrations';
import { INBOX_TABLES, OUTBOX_TABLE } from '@ates/shared-events/migrations/2026-11-20-pipe';

/** The management's earnings and the money that left; every other account is an employee's. */
export const COMPANY_ACCOUNT = '00000000-0000-7000-8000-000000000001';
export const PAYOUTS_ACCOUNT = '00000000-0000-7000-8000-000000000002';

export class Migration20261120Accounting extends Migration {
  override up(): void {
    for (const statement of [...OUTBOX_TABLE, ...INBOX_TABLES]) this.addSql(statement);
    this.copies();
    this.ledger();
    this.ledgerIsBalanced();
    this.ledgerIsAppendOnly();
  }

  private copies(): void {
    this.addSql('create table user_copies (user_id uuid primary key, name text not null)');
    this.addSql('create table task_copies (task_id uuid primary key, number integer not null, ticket text, title text not null)');
    this.addSql(`
      create table prices (
        task_id uuid primary key,
        fee bigint not null check (fee > 0),
        reward bigint not null check (reward > 0),
        priced_at timestamptz not null
      )`);
  }

  private ledger(): void {
    this.addSql(`
      create table accounts (
        id uuid primary key,
        kind text not null check (kind in ('EMPLOYEE', 'COMPANY', 'PAYOUTS')),
        owner_id uuid unique,
        -- In cents; what the last entry left.
        balance bigint not null default 0,
        entry_count integer not null default 0,
        -- Counts the account's events.
        version integer not null default 0,
        check ((kind = 'EMPLOYEE') = (owner_id is not null))
      )`);
    this.addSql(`insert into accounts (id, kind) values ('${COMPANY_ACCOUNT}', 'COMPANY'), ('${PAYOUTS_ACCOUNT}', 'PAYOUTS')`);
    this.addSql(`
      create table postings (
        id uuid primary key,
        kind text not null check (kind in ('FEE', 'REWARD', 'REVERSAL', 'PAYOUT')),
        -- What it is posted for; the same cause is never posted twice.
        cause text not null unique,
        from_account uuid not null references accounts (id),
        to_account uuid not null references accounts (id) check (to_account <> from_account),
        amount bigint not null check (amount > 0),
        task_id uuid,
        business_day date not null,
        description text not null,
        posted_at timestamptz not null
      )`);
    this.addSql('create index postings_by_day on postings (business_day) include (kind, amount)');
    this.addSql(`
      create table entries (
        id uuid primary key,
        posting_id uuid not null references postings (id) deferrable initially deferred,
        -- -1 where the money comes from, 1 where it goes to.
        side smallint not null check (side in (-1, 1)),
        account_id uuid not null references accounts (id),
        -- Counts the account's entries from 1.
        number integer not null check (number >= 1),
        amount bigint not null,
        balance_after bigint not null,
        business_day date not null,
        unique (posting_id, side),
        unique (account_id, number)
      )`);
    this.addSql('create index entries_by_day on entries (account_id, business_day, number)');
  }

  /** At every commit: a posting has exactly its two entries, of opposite amounts, and an account's balance is what its last entry left. */
  private ledgerIsBalanced(): void {
    this.addSql(`
      create function check_posting() returns trigger language plpgsql as $$
      begin
        if (select count(*) from entries where posting_id = new.id and amount = side * new.amount and business_day = new.business_day
            and account_id = case side when 1 then new.to_account else new.from_account end) <> 2 then
          raise exception 'posting % does not have its two entries', new.id using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create constraint trigger posting_has_two_entries after insert on postings
      deferrable initially deferred for each row execute function check_posting()`);
    this.addSql(`
      create function check_balance() returns trigger language plpgsql as $$
      declare
        account accounts;
        last entries;
      begin
        select * into account from accounts where id = new.id;
        select * into last from entries where account_id = new.id order by number desc limit 1;
        if account.balance <> coalesce(last.balance_after, 0) or account.entry_count <> coalesce(last.number, 0) then
          raise exception 'the balance of account % is not what its last entry left', new.id using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create constraint trigger balance_follows_entries after insert or update on accounts
      deferrable initially deferred for each row execute function check_balance()`);
    this.addSql(`
      create function check_entry() returns trigger language plpgsql as $$
      begin
        if new.balance_after <> new.amount
            + coalesce((select balance_after from entries where account_id = new.account_id and number = new.number - 1), 0)
          or new.number > 1 and not exists (select from entries where account_id = new.account_id and number = new.number - 1)
        then
          raise exception 'entry % does not follow the entry before it', new.id using errcode = 'check_violation';
        end if;
        if not exists (select from accounts where id = new.account_id and entry_count >= new.number) then
          raise exception 'entry % is not counted by its account', new.id using errcode = 'check_violation';
        end if;
        return null;
      end $$`);
    this.addSql(`create constraint trigger entry_follows_entry after insert on entries
      deferrable initially deferred for each row execute function check_entry()`);
  }

  /** Refused by triggers for everybody and by grants for the application's role, which has the database's name. */
  private ledgerIsAppendOnly(): void {
    this.addSql(`
      create function refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the ledger is append-only: mend a mistake by a reversal' using errcode = 'insufficient_privilege';
      end $$`);
    for (const table of ['postings', 'entries']) {
      this.addSql(`create trigger ${table}_are_append_only before update or delete or truncate on ${table}
        for each statement execute function refuse_change()`);
      this.addSql(`do $$ begin execute format('revoke update, delete, truncate on ${table} from %I', current_database()); end $$`);
    }
  }
}
