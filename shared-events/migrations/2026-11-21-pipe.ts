// The second step of the pipe's tables: the outbox in partitions and with stream positions of its own; the inbox with its positions.

/** A producer's tables. */
export const OUTBOX_IN_PARTITIONS = [
  'create table outbox_before as select * from outbox',
  'drop table outbox',
  'create sequence outbox_seq as bigint',
  // Partitioned by month through its ids, which are UUIDv7: the month's first moment is the first 48 bits of its bound.
  `create table outbox (
    id uuid primary key,
    -- Drawn while the aggregate is locked: within one aggregate the order of commits.
    seq bigint not null default nextval('outbox_seq'),
    aggregate_id uuid not null,
    version integer not null check (version >= 1),
    type text not null,
    dataschema text not null,
    occurred_at timestamptz not null,
    traceparent text not null,
    data json not null,
    -- The event's position in the stream, given before it is published.
    stream_seq bigint
  ) partition by range (id)`,
  'create index outbox_unpublished on outbox (seq) where stream_seq is null',
  'create index outbox_positions on outbox (stream_seq)',
  // For ids that no month has; nothing of it is ever dropped.
  'create table outbox_others partition of outbox default',
  // The last version of each aggregate: the outbox's own keys can't span its partitions.
  'create table outbox_versions (aggregate_id uuid primary key, version integer not null)',
  `create function refuse_version(aggregate uuid, before integer, after integer) returns void language plpgsql as $$
  begin
    raise exception 'aggregate % can not go from version % to %: lock it before you record its events', aggregate, before, after
      using errcode = 'unique_violation', constraint = 'outbox_versions_are_consecutive';
  end $$`,
  // Up to which position the stream is known to hold the outbox, and which stream.
  `create table outbox_relay (
    single boolean primary key default true check (single),
    published bigint not null default 0,
    stream_created text,
    -- Whether the relay waits to be woken. While it works nobody needs to: NOTIFY makes commits wait for each other.
    rests boolean not null default true
  )`,
  `create function month_bound(month timestamp) returns uuid language sql immutable as $$
    select rpad(lpad(to_hex((extract(epoch from month) * 1000)::bigint), 12, '0'), 32, '0')::uuid
  $$`,
  // As the owner: makes the partitions of this month and the three after it, and drops those that ended more than keep_days ago,
  // unless they hold an event that the stream is not known to have.
  `create function keep_outbox(keep_days integer) returns void language plpgsql security definer set search_path = public, pg_temp as $$
  declare
    month timestamp;
    partition text;
    needed boolean;
  begin
    perform set_config('lock_timeout', '1s', true);
    perform pg_advisory_xact_lock(hashtext('keep_outbox'));
    for month in select generate_series(date_trunc('month', now() at time zone 'UTC'), now() at time zone 'UTC' + interval '3 months', interval '1 month') loop
      partition := 'outbox_' || to_char(month, 'YYYY_MM');
      if to_regclass(partition) is null then
        execute format('create table %I (like outbox including defaults including constraints)', partition);
        execute format('alter table outbox attach partition %I for values from (%L) to (%L)',
          partition, month_bound(month), month_bound(month + interval '1 month'));
      end if;
    end loop;
    for partition in
      select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
      where inhparent = 'outbox'::regclass and relname ~ '^outbox_\\d{4}_\\d\\d$'
        and to_date(right(relname, 7), 'YYYY_MM') + interval '1 month' < (now() at time zone 'UTC') - make_interval(days => keep_days)
    loop
      execute format('select exists (select from %I where stream_seq is null or stream_seq > (select published from outbox_relay))', partition) into needed;
      if not needed then
        execute format('drop table %I', partition);
      end if;
    end loop;
  end $$`,
  'select keep_outbox(90)',
  `insert into outbox (id, seq, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, stream_seq)
    select id, seq, aggregate_id, version, type, dataschema, occurred_at, traceparent, data, stream_seq from outbox_before`,
  'insert into outbox_versions select aggregate_id, max(version) from outbox group by aggregate_id',
  `insert into outbox_relay (published) select coalesce(max(stream_seq), 0) from outbox`,
  `select setval('outbox_seq', (select coalesce(max(seq), 0) + 1 from outbox), false)`,
  'drop table outbox_before',
] as const;

/** A consumer's tables. */
export const INBOX_WITH_POSITIONS = [
  // How far each partition of each stream has been applied; it moves in the transaction of the effects.
  `create table inbox_positions (
    stream text not null,
    partition smallint not null,
    position bigint not null default 0,
    -- What the message there is called, and which stream it is: told apart from one that was made anew.
    message_id text not null default '',
    stream_created text,
    primary key (stream, partition)
  )`,
  // Events that can't be read or applied, until somebody decides. Later ones of their aggregate are in inbox_waiting.
  `create table parked_events (
    id integer generated always as identity primary key,
    source text not null,
    -- The event's id, or its place in the stream when it has none.
    message_key text not null,
    aggregate_id uuid,
    version integer,
    dataschema text,
    reason text not null,
    message text not null,
    parked_at timestamptz not null default now(),
    command text check (command in ('REPLAY', 'DISCARD')),
    why text,
    decisions integer not null default 0,
    outcome text check (outcome in ('REPLAYED', 'DISCARDED')),
    settled_at timestamptz,
    unique (source, message_key),
    check ((outcome is null) = (settled_at is null))
  )`,
  'create index parked_events_open on parked_events (source, id) where outcome is null',
  `insert into parked_events (source, message_key, reason, message, parked_at)
    select '/' || lower(stream), stream || ':' || stream_seq, reason, message, parked_at from dead_letters`,
  'drop table dead_letters',
] as const;
