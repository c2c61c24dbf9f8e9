/**
 * The outbox of a producer; part of its first migration. `seq` is drawn while the aggregate's row is locked, so within
 * one aggregate its order is the order of commits; between aggregates a higher one may become visible first, which
 * is why readers ask for unpublished rows and never for rows above a position.
 */
export const OUTBOX_TABLE = [
  `create table outbox (
    seq bigint generated always as identity primary key,
    id uuid not null unique,
    aggregate_id uuid not null,
    version integer not null check (version >= 1),
    type text not null,
    dataschema text not null,
    occurred_at timestamptz not null,
    traceparent text not null,
    data json not null,
    published_at timestamptz,
    stream_seq bigint,
    unique (aggregate_id, version)
  )`,
  'create index outbox_unpublished on outbox (seq) where published_at is null',
] as const;

/** The tables that a consumer needs; part of its first migration. */
export const INBOX_TABLES = [
  'create table inbox (event_id uuid primary key, received_at timestamptz not null default now())',
  // How far each aggregate of another service has been applied here.
  `create table inbox_versions (
    source text not null, aggregate_id uuid not null, version integer not null,
    primary key (source, aggregate_id)
  )`,
  // Events that came before one of their aggregate's earlier events.
  `create table inbox_waiting (
    source text not null, aggregate_id uuid not null, version integer not null, event json not null,
    primary key (source, aggregate_id, version)
  )`,
  // Messages that can't be read, with the reason; nothing else waits for them.
  `create table dead_letters (
    stream text not null, stream_seq bigint not null, reason text not null, message text not null,
    parked_at timestamptz not null default now(),
    primary key (stream, stream_seq)
  )`,
] as const;
