import type { Guard } from './guard.ts';

const INBOX = 'shared-events/src/inbox.ts';
const APPLIER = 'shared-events/src/event-applier.ts';
const CONSUMER = 'shared-events/src/event-consumer.ts';
const POSITIONS = 'shared-events/src/inbox-positions.ts';
const LEASE = 'shared-events/src/partition-lease.ts';
const RELAY = 'shared-events/src/outbox-relay.ts';
const LEADER = 'shared-events/src/outbox-leader.ts';
const PUBLISHER = 'shared-events/src/stream-publisher.ts';
const RESYNC = 'shared-events/src/stream-resync.ts';

const PIPE_TEST = 'shared-events/test/pipe.test.ts';
const PARKED_TEST = 'shared-events/test/parked-events.test.ts';
const LOSS_TEST = 'shared-events/test/stream-loss.test.ts';
const REPLICAS_TEST = 'shared-events/test/replicas.test.ts';
const GUARDS_TEST = 'shared-events/test/guards.test.ts';
const INBOX_SPEC = 'shared-events/src/inbox.spec.ts';

/** What keeps a consumer from applying an event twice, too early, or never. */
export const CONSUMER_GUARDS: readonly Guard[] = [
  {
    name: 'inbox: ids that were known before are dropped',
    edits: [{ file: INBOX, find: 'new Set(arrival.stale)', replace: 'new Set<string>()' }],
    test: PIPE_TEST,
    named: 'whatever version it claims to be',
  },
  {
    name: 'inbox: an id twice in one batch counts once',
    edits: [{ file: INBOX, find: '!seen.has(id) && seen.add(id)', replace: '!seen.has(id)' }],
    test: GUARDS_TEST,
    named: 'twice in one batch',
  },
  {
    name: 'inbox: known ids are dropped one by one as well',
    edits: [{ file: INBOX, find: 'where event_id in (select event_id from fresh) and version >', replace: 'where version >' }],
    test: GUARDS_TEST,
    named: 'one by one',
  },
  {
    name: 'versions: one at or below the known one is dropped',
    edits: [{ file: INBOX, find: 'if (event.data.version <= reached) continue;', replace: '' }],
    test: INBOX_SPEC,
    named: 'at or below the known one',
  },
  {
    name: 'versions: one beyond a gap waits',
    edits: [{ file: INBOX, find: 'if (event.data.version > reached + 1) {', replace: 'if (event.data.version < 0) {' }],
    test: PIPE_TEST,
    named: 'overtook an earlier one',
  },
  {
    name: 'versions: one beyond a gap waits, one by one as well',
    edits: [{ file: INBOX, find: 'inbox_waiting.version = known.version + 1\n', replace: 'inbox_waiting.version > known.version\n' }],
    test: GUARDS_TEST,
    named: 'one by one',
  },
  {
    name: 'aggregates: two at one aggregate in the same moment',
    edits: [{ file: INBOX, find: 'if (arrival.raced > 0)', replace: 'if (arrival.raced < 0)' }],
    test: GUARDS_TEST,
    named: 'in the same moment',
  },
  {
    name: 'reading: a skipped message is noticed',
    edits: [{ file: 'shared-events/src/event-consumer.ts', find: 'await chain.add(message);', replace: '' }],
    test: GUARDS_TEST,
    named: 'messages that are skipped',
  },
  {
    name: 'positions: moved only in the stream that is read',
    edits: [{ file: INBOX, find: ' and stream_created = $10', replace: ' and $10::text is not null' }],
    test: GUARDS_TEST,
    named: 'a replica that only thinks',
  },
  {
    name: 'positions: moved only from where they were left',
    edits: [{ file: INBOX, find: ' and position = move."from" returning 1', replace: ' returning 1' }],
    test: GUARDS_TEST,
    named: 'a replica that only thinks',
  },
  {
    name: 'acknowledgement: positions move in the transaction of the effects',
    edits: [{ file: APPLIER, find: 'await inbox.admit(events, moves)', replace: 'await transaction((own) => own.inbox.admit(events, moves))' }],
    test: PARKED_TEST,
    named: 'a failure that may pass',
  },
  {
    name: 'failures: one that may pass is tried again',
    edits: [{ file: APPLIER, find: 'return SQLSTATE.test(code) ?', replace: 'return code === null && SQLSTATE.test(code) ?' }],
    test: PARKED_TEST,
    named: 'a failure that may pass',
  },
  {
    name: 'failures: one of the values themselves does not pass',
    edits: [{ file: APPLIER, find: "['22', '23', 'P0']", replace: '[] as string[]' }],
    test: GUARDS_TEST,
    named: 'refused by a constraint',
  },
  {
    name: 'parking: an event that can not be applied is parked',
    edits: [{ file: APPLIER, find: 'parked.park([letterOf(event, reasonOf(error))])', replace: 'parked.park([])' }],
    test: PARKED_TEST,
    named: 'a poison event is parked',
  },
  {
    name: 'parking: a message that can not be read is parked',
    edits: [{ file: APPLIER, find: 'unreadable.push({', replace: 'void ({' }],
    test: PARKED_TEST,
    named: 'can not be read',
  },
  {
    name: 'crash: what waits for nothing any more is applied at the start',
    edits: [{ file: POSITIONS, find: 'inbox_waiting.version = inbox_versions.version + 1', replace: 'inbox_waiting.version < 0' }],
    test: GUARDS_TEST,
    named: 'between two events',
  },
  {
    name: 'streams: another message at the position is noticed',
    edits: [{ file: CONSUMER, find: ' && read.id === messageId', replace: '' }],
    test: GUARDS_TEST,
    named: 'something else where a partition stands',
  },
  {
    name: 'streams: one made anew is read from its beginning',
    edits: [{ file: POSITIONS, find: 'known?.stream_created === now.created', replace: 'known !== null' }],
    test: LOSS_TEST,
    named: 'no longer is everything',
  },
  {
    name: 'positions: a rebuild of a quiet stream is noticed',
    edits: [{ file: POSITIONS, find: 'and inbox_positions.position <> left_at.position', replace: 'and false' }],
    test: GUARDS_TEST,
    named: 'while nothing flows',
  },
  {
    name: 'partitions: owned by one at a time',
    edits: [{ file: LEASE, find: 'pg_try_advisory_lock(hashtext($1), $2) as locked', replace: 'hashtext($1) is not null and $2::int is not null as locked' }],
    test: GUARDS_TEST,
    named: 'not taken before it is let go',
  },
];

/** What keeps a stream a copy of its outbox. */
export const PRODUCER_GUARDS: readonly Guard[] = [
  {
    name: 'outbox: versions go on by one',
    edits: [{ file: 'shared-events/src/outbox.ts', find: 'where after - before <> steps', replace: 'where after - before <> steps and false' }],
    test: PIPE_TEST,
    named: 'without gaps or repetitions',
  },
  {
    name: 'relay: one leads',
    edits: [{ file: RELAY, find: 'pg_try_advisory_lock($1) as leads', replace: '$1::int is not null as leads' }],
    test: REPLICAS_TEST,
    named: 'one leads',
  },
  {
    name: 'fence: a message is published with the position it expects',
    edits: [{ file: PUBLISHER, find: "expectations.set('Nats-Expected-Last-Sequence', String(after + place));", replace: '' }],
    test: GUARDS_TEST,
    named: 'not published at another position',
  },
  {
    name: 'fence: the acknowledged position is the expected one',
    edits: [{ file: PUBLISHER, find: 'if (seq !== after + place + 1) return fail', replace: 'if (seq === -1) return fail' }],
    test: GUARDS_TEST,
    named: 'acknowledged at another position',
  },
  {
    name: 'resync: the outbox takes the positions that the stream has',
    edits: [{ file: RESYNC, find: 'where outbox.id = agreed.id and', replace: 'where false and outbox.id = agreed.id and' }],
    test: LOSS_TEST,
    named: 'found in the stream by their ids',
  },
  {
    name: 'resync: messages whose answers were lost are looked for',
    edits: [{ file: RESYNC, find: 'const tail = position > published ?', replace: 'const tail = position < 0 ?' }],
    test: LOSS_TEST,
    named: 'found in the stream by their ids',
  },
  {
    name: 'resync: a stream that changed behind an idle relay is noticed',
    edits: [{ file: RESYNC, find: 'if (info?.created === left.created && last === left.position) return;', replace: 'if (info?.created !== left.position) return;' }],
    test: LOSS_TEST,
    named: 'a stream that was deleted is made anew',
  },
  {
    name: 'room: a stream that is full is not published to',
    edits: [{ file: LEADER, find: 'if (size > this.#room) throw', replace: 'if (size < 0) throw' }],
    test: LOSS_TEST,
    named: 'a full stream refuses',
  },
  {
    name: 'retention: a month with unpublished events is kept',
    edits: [{ file: 'shared-events/migrations/2026-11-21-pipe.ts', find: 'if not needed then', replace: 'if true then' }],
    test: LOSS_TEST,
    named: 'drops months that ended long ago',
  },
];
