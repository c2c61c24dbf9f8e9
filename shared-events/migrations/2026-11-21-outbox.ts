/** The third step of the outbox: less to write for an event, which 100,000 at a time make plain. */
export const OUTBOX_LEANER = [
  // What is not published yet has no position to be found by.
  'drop index outbox_positions',
  'create index outbox_positions on outbox (stream_seq) where stream_seq is not null',
  // By how much the last statement moved the version: what it has to have been moved by is known without counting events again.
  'alter table outbox_versions add column steps integer not null default 1',
  // Room in each page for the next version of its rows, which then need no entry in the index.
  'alter table outbox_versions set (fillfactor = 50)',
] as const;
