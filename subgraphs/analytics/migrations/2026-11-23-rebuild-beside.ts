import { Migration } from '@mikro-orm/migrations';
import { READ_MODEL_TABLES } from './2026-11-22-read-models.ts';

/** How far the streams have been applied: made anew with the effects. */
const INBOX_TABLES = ['inbox_positions', 'inbox_versions', 'inbox', 'inbox_waiting'] as const;

/** What a rebuild makes anew. A migration that adds a table to the model makes this again, with it; a test sees to it that none is forgotten. */
export function rebuiltTables(tables: readonly string[]): string {
  return `create or replace function rebuilt_tables() returns text[] language sql immutable return array['${[...INBOX_TABLES, ...tables].join("', '")}']`;
}

/**
 * A rebuild makes the model in a schema beside the one in use, `rebuild_model`, and changes the two over in one transaction. Who works with
 * rows only, as the application's role, can do so by these: `begin_rebuild()`, `analyze_rebuild()` now and then, `complete_rebuild()` at the end, `switch_read_model()`.
 */
export class Migration20261123RebuildBeside extends Migration {
  override up(): void {
    this.addSql('drop function empty_read_model()');
    this.addSql(rebuiltTables(READ_MODEL_TABLES));
    this.addSql(`
      -- What else the model is made of: the service notes it here, since whoever rebuilds has to go by the same.
      create table read_model_settings (single boolean primary key default true check (single), business_time_zone text not null)`);
    this.addSql(COPY_TABLE);
    this.addSql(COPY_INDEXES);
    this.addSql(COPY_GRANTS);
    this.addSql(BEGIN_REBUILD);
    this.addSql(ANALYZE_REBUILD);
    this.addSql(COMPLETE_REBUILD);
    this.addSql(MERGE_PARKED);
    this.addSql(SWITCH_READ_MODEL);
  }
}

// Everything keeps its name, so that later migrations find it: `including indexes` would invent names.
const COPY_TABLE = `
  create function copy_table(original regclass, target text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
  declare
    name text;
    ends text;
    made record;
  begin
    select relname, coalesce(' partition by ' || pg_get_partkeydef(oid), '') || coalesce(' with (' || array_to_string(reloptions, ', ') || ')', '')
      into name, ends from pg_class where oid = original;
    execute format('create table %I.%I (like %s including all excluding indexes)%s', target, name, original, ends);
    for made in select conname, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = original and contype in ('p', 'u', 'x') loop
      execute format('alter table %I.%I add constraint %I %s', target, name, made.conname, made.definition);
    end loop;
    for made in
      select relname, pg_get_expr(relpartbound, pg_class.oid) as bound from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = original
    loop
      execute format('create table %I.%I partition of %I.%I %s', target, made.relname, target, name, made.bound);
    end loop;
    perform public.copy_grants(original, format('%I.%I', target, name)::regclass);
  end $$`;

// Apart, since tables are filled faster without: what applies events finds rows by keys only.
const COPY_INDEXES = `
  create function copy_indexes(original regclass, target text) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
  declare
    made record;
  begin
    for made in
      select pg_class.relname as index, parent.relname as name, pg_get_indexdef(indexrelid) as definition
      from pg_index join pg_class on pg_class.oid = indexrelid join pg_class as parent on parent.oid = indrelid
      where indrelid = original and not exists (select from pg_constraint where conrelid = original and conindid = indexrelid)
    loop
      continue when to_regclass(format('%I.%I', target, made.index)) is not null;
      execute regexp_replace(made.definition, ' ON (ONLY )?' || original || ' ', format(' ON %I.%I ', target, made.name));
    end loop;
  end $$`;

const COPY_GRANTS = `
  create function copy_grants(original regclass, copy regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
  declare
    entry record;
  begin
    -- The owner's default privileges may have given more than the original gives.
    for entry in select distinct grantee from pg_class, aclexplode(relacl) where oid = copy and grantee not in (0, relowner) loop
      execute format('revoke all on %s from %I', copy, pg_get_userbyid(entry.grantee));
    end loop;
    for entry in
      select privilege_type, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end as who, case when is_grantable then ' with grant option' else '' end as further
      from pg_class, aclexplode(relacl) where oid = original and grantee <> relowner
    loop
      execute format('grant %s on %s to %s%s', entry.privilege_type, copy, entry.who, entry.further);
    end loop;
  end $$`;

const BEGIN_REBUILD = `
  create function begin_rebuild() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    name text;
    put_away text;
  begin
    select string_agg(part.relname, ', ') into put_away from pg_class as part join pg_class as parent
        on parent.relnamespace = 'public'::regnamespace and parent.relkind = 'p' and part.relname ~ ('^' || parent.relname || '_\\d{4}_\\d\\d$')
      where part.relnamespace = 'public'::regnamespace and not part.relispartition and part.relkind = 'r' and parent.relname = any (rebuilt_tables());
    if put_away is not null then
      raise exception 'months that were put away come back by it, and these tables have their names: %. Drop them, or move them to another schema', put_away
        using errcode = 'object_not_in_prerequisite_state';
    end if;
    -- What a killed one left behind; its last statement may be running still.
    perform set_config('lock_timeout', '30s', true);
    drop schema if exists rebuild_model cascade;
    create schema rebuild_model;
    execute format('grant usage on schema rebuild_model to %I', current_database());
    foreach name in array rebuilt_tables() loop
      perform copy_table(format('%I', name)::regclass, 'rebuild_model');
    end loop;
    create table rebuild_model.begun as select now() as at, (select count(*) from mikro_orm_migrations) as migrations;
    -- The running service carries out verdicts about what it parked itself. The rebuild's are its own until the switch, and it knows what was discarded:
    create table rebuild_model.parked_events (like parked_events including all);
    insert into rebuild_model.parked_events (source, message_key, aggregate_id, version, dataschema, reason, message, parked_at, command, why, decisions, outcome, settled_at)
      select source, message_key, aggregate_id, version, dataschema, reason, message, parked_at, command, why, decisions, outcome, settled_at
      from parked_events where outcome = 'DISCARDED';
    -- what is done without waits in its place, as after the verdict, so that it has no effect even if it could be applied by now.
    insert into rebuild_model.inbox_versions (source, aggregate_id, version)
      select distinct source, aggregate_id, 0 from parked_events where outcome = 'DISCARDED' and aggregate_id is not null and version is not null;
    insert into rebuild_model.inbox_waiting (source, aggregate_id, version, event)
      select distinct on (source, aggregate_id, version) source, aggregate_id, version,
        json_build_object('discarded', true, 'subject', aggregate_id, 'data', json_build_object('version', version))
      from parked_events where outcome = 'DISCARDED' and aggregate_id is not null and version is not null;
  end $$`;

const ANALYZE_REBUILD = `
  create function analyze_rebuild() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    name text;
  begin
    foreach name in array rebuilt_tables() loop
      execute format('analyze rebuild_model.%I', name);
    end loop;
  end $$`;

const COMPLETE_REBUILD = `
  create function complete_rebuild() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    name text;
  begin
    foreach name in array rebuilt_tables() loop
      perform copy_indexes(format('%I', name)::regclass, 'rebuild_model');
    end loop;
    -- Before anybody asks it something: without statistics the first plans would be bad ones.
    perform analyze_rebuild();
  end $$`;

// As a consumer would park them, had it been in the place of the rebuild.
const MERGE_PARKED = `
  create function merge_parked() returns void language plpgsql set search_path = public, pg_temp as $$
  begin
    if exists (
      select from parked_events as here join rebuild_model.inbox_versions as reached using (source, aggregate_id)
      where outcome = 'DISCARDED' and settled_at >= (select at from rebuild_model.begun) and here.version <= reached.version
        and not exists (select from rebuild_model.parked_events as there where there.source = here.source and there.message_key = here.message_key)
    ) then
      raise exception 'an event was discarded meanwhile whose effects are in the new model' using errcode = 'object_not_in_prerequisite_state';
    end if;
    insert into parked_events as known (source, message_key, aggregate_id, version, dataschema, reason, message, parked_at)
      select source, message_key, aggregate_id, version, dataschema, reason, message, parked_at
      from rebuild_model.parked_events where outcome is null order by source, message_key
    on conflict (source, message_key) do update set reason = excluded.reason, outcome = null, settled_at = null,
      command = case when known.outcome = 'DISCARDED' then 'DISCARD' when known.outcome is null then known.command end;
  end $$`;

const SWITCH_READ_MODEL = `
  create function switch_read_model() returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    name text;
    since timestamptz;
  begin
    perform set_config('lock_timeout', '5s', true);
    -- Whoever applies events takes the positions first: from here on no batch is under way.
    lock table inbox_positions in exclusive mode;
    if (select migrations from rebuild_model.begun) <> (select count(*) from mikro_orm_migrations) then
      raise exception 'the tables were changed meanwhile' using errcode = 'object_not_in_prerequisite_state';
    end if;
    if exists (
      select from inbox_positions as here left join rebuild_model.inbox_positions as there using (stream, partition)
      where here.position > 0 and (there.position is null or (there.stream_created = here.stream_created and there.position < here.position))
    ) then
      raise exception 'the new model is behind the one in use' using errcode = 'object_not_in_prerequisite_state';
    end if;
    -- A reader may hold one table and wait for the next. That is a deadlock only if this waits as well, and PostgreSQL looks for
    -- one after a second: this gives up before that, so that no reader is ever the one who fails.
    perform set_config('lock_timeout', '100ms', true);
    since := clock_timestamp();
    foreach name in array rebuilt_tables() loop
      if clock_timestamp() > since + interval '600 milliseconds' then
        raise exception 'the tables are busy' using errcode = 'lock_not_available';
      end if;
      execute format('lock table %I in access exclusive mode', name);
    end loop;
    perform merge_parked();
    foreach name in array rebuilt_tables() loop
      execute format('drop table %I', name);
    end loop;
    drop table rebuild_model.begun, rebuild_model.parked_events;
    for name in select relname from pg_class where relnamespace = 'rebuild_model'::regnamespace and relkind in ('r', 'p') loop
      execute format('alter table rebuild_model.%I set schema public', name);
    end loop;
    drop schema rebuild_model;
  end $$`;
