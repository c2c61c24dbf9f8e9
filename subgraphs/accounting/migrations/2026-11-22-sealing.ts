import { Migration } from '@mikro-orm/migrations';

/**
 * Links the hashes of an account's entries to a chain, inside the database: so sealing moves no entry to the service and back. What an
 * entry says, as text, is no part of this: see `src/chain.ts`, which does the same without it.
 */
export class Migration20261122Sealing extends Migration {
  override up(): void {
    this.addSql(`
      create function link_entry(hash bytea, first_previous bytea, content text) returns bytea language plpgsql immutable parallel safe as $$
      begin
        return sha256(convert_to(content || E'\\n' || encode(coalesce(hash, first_previous), 'hex'), 'UTF8'));
      end $$`);
    this.addSql(`
      -- As a window function, over entries in the order of their numbers: the hash of each. The first one's predecessor is the first argument.
      create aggregate chain_entries(first_previous bytea, content text) (sfunc = link_entry, stype = bytea)`);
  }
}
