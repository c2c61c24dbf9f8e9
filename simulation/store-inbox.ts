import { readEvent, upcast, type PublishedAtesEvent } from '@ates/shared-events/catalog';
import { PositionLostError, sequenceEvents, type Inbox, type Move } from '@ates/shared-events/inbox';
import type { ParkedEvents, ParkedLetter, Verdict } from '@ates/shared-events/parked-events';
import type { InboxTables, Letter, Transaction } from './store.ts';

/** What `inboxIn` does in PostgreSQL, step by step as its statements do. */
export function simulatedInbox(transaction: Transaction, stream: string): Inbox {
  const { store } = transaction;
  /** Moves positions and remembers ids. @returns the ids that are new */
  const arrive = (tables: InboxTables, batch: readonly PublishedAtesEvent[], moves: readonly Move[]): Set<string> => {
    movePositions(tables, moves, transaction);
    // As if it had been told to a broker: nothing takes it back.
    if (store.isWithout('positions are saved before the effects')) movePositions(store.inbox(stream), moves, null);
    const fresh = new Set(batch.map(({ id }) => id).filter((id) => !tables.ids.has(id) || store.isWithout('ids are not checked')));
    for (const id of fresh) tables.ids.add(id);
    return fresh;
  };
  return {
    admit: async (batch, moves) => {
      const seen = versionsOf(store.inbox(stream), batch);
      const tables = await transaction.inbox(stream);
      const fresh = arrive(tables, batch, moves);
      const known = versionsOf(tables, batch);
      // Read before somebody else's commit, written after it.
      if ([...known].some(([aggregateId, version]) => seen.get(aggregateId) !== version)) throw new PositionLostError('Somebody else is applying events of the same aggregates');
      const taken = new Set<string>();
      const events = batch.filter(({ id }) => fresh.has(id) && (store.isWithout('ids are not checked') || (!taken.has(id) && taken.add(id))));
      if (store.isWithout('versions are not checked')) return events;
      return sequenced(tables, known, { batch, fresh: events, ...(store.isWithout('known ids count as new versions') && { isCareless: true }), forgets: store.isWithout('what comes too early is forgotten') });
    },
    hold: async (batch, moves) => {
      const tables = await transaction.inbox(stream);
      const fresh = arrive(tables, batch, moves);
      for (const event of batch) {
        if (!tables.versions.has(event.subject)) tables.versions.set(event.subject, 0);
        if (fresh.has(event.id) && event.data.version > (tables.versions.get(event.subject) ?? 0)) letWait(tables, event, false);
      }
    },
    takeNext: async (aggregateId) => {
      const tables = await transaction.inbox(stream);
      const waiting = [...(tables.waiting.get(aggregateId) ?? [])].sort(([one], [other]) => one - other);
      const known = tables.versions.get(aggregateId) ?? 0;
      const next = waiting.find(([version]) => version === known + 1 || store.isWithout('versions are not checked'));
      if (next === undefined) return undefined;
      waitNoMore(tables, aggregateId, next[0]);
      tables.versions.set(aggregateId, next[0]);
      return upcast(next[1]);
    },
  };
}

/** What `parkedIn` does in PostgreSQL. */
export function simulatedParking(transaction: Transaction, stream: string): ParkedEvents {
  const { store } = transaction;
  return {
    park: async (letters) => {
      if (letters.length === 0 || store.isWithout('nothing is parked')) return;
      const tables = await transaction.inbox(stream);
      for (const letter of letters) {
        const key = isUnread(letter) && store.isWithout('unread messages are told apart by their positions only') ? letter.messageKey.replace(/:\w*$/, '') : letter.messageKey;
        const known = tables.parked.get(key);
        if (known === undefined) tables.parked.set(key, { ...letter, id: (store.letters += 1), command: null, outcome: null, decision: 0 });
        else tables.parked.set(key, { ...known, reason: letter.reason, command: known.outcome === 'DISCARDED' ? 'DISCARD' : null, outcome: null });
        if (letter.aggregateId === null || letter.version === null) continue;
        waitNoMore(tables, letter.aggregateId, letter.version);
        if (store.isWithout('what is parked counts as applied')) tables.versions.set(letter.aggregateId, letter.version);
      }
    },
    putBack: async ({ id, command, aggregateId, version, message }) => {
      const tables = await transaction.inbox(stream);
      if (command === 'DISCARD') {
        if (aggregateId === null || version === null) return null;
        letItTakeItsTurn(tables, { discarded: true, subject: aggregateId, data: { version } } as unknown as PublishedAtesEvent);
        return aggregateId;
      }
      try {
        const event = readEvent(message);
        tables.ids.add(event.id);
        letItTakeItsTurn(tables, event);
        return event.subject;
      } catch (error) {
        changeLetter(tables, id, { reason: String(error), command: null });
        return null;
      }
    },
    settled: async (verdict) => {
      const { id, command } = verdict;
      const tables = await transaction.inbox(stream);
      const letter = [...tables.parked.values()].find((known) => known.id === id);
      const isThis = letter?.decision === verdict.decision || store.isWithout('a verdict counts as carried out, whichever was');
      if (isThis && letter?.command === command && letter.outcome === null) changeLetter(tables, id, { outcome: command === 'REPLAY' ? 'REPLAYED' : 'DISCARDED' });
    },
  };
}

/** What `dueVerdicts` finds. */
export function simulatedVerdicts(tables: InboxTables): Verdict[] {
  return [...tables.parked.values()]
    .flatMap(({ command, outcome, ...letter }) => (command === null || outcome !== null ? [] : [{ ...letter, command }]))
    .sort((one, other) => one.id - other.id);
}

/** A letter that was parked unread has its place in the stream for a key. */
export function isUnread({ messageKey }: ParkedLetter): boolean {
  return messageKey.includes(':');
}

export function changeLetter(tables: InboxTables, id: number, change: Partial<Letter>): void {
  for (const [key, letter] of tables.parked) if (letter.id === id) tables.parked.set(key, { ...letter, ...change });
}

/** @param by whose batch it is; null when whatever is there is overwritten */
function movePositions({ positions }: InboxTables, moves: readonly Move[], by: Transaction | null): void {
  for (const { partition, from, to, messageId } of moves) {
    const known = positions.get(partition);
    const isLeft = known?.position === from && (known.created === by?.created || by?.store.isWithout('positions are moved in whichever stream'));
    if (by !== null && !isLeft && !by.store.isWithout('positions are moved from anywhere')) throw new PositionLostError('The positions are not where they were left');
    positions.set(partition, { position: to, messageId, created: known?.created ?? null });
  }
}

function versionsOf({ versions }: InboxTables, batch: readonly PublishedAtesEvent[]): Map<string, number> {
  return new Map(batch.map(({ subject }) => [subject, versions.get(subject) ?? 0]));
}

interface Arrived {
  readonly batch: readonly PublishedAtesEvent[];
  readonly fresh: readonly PublishedAtesEvent[];
  /** Whether an aggregate's versions go on by those that were known before as well. */
  readonly isCareless?: boolean;
  readonly forgets: boolean;
}

/** `ARRIVE` writes the versions that simply go on; `settle` writes the rest. */
function sequenced(tables: InboxTables, known: ReadonlyMap<string, number>, { batch, fresh, isCareless = false, forgets }: Arrived): readonly PublishedAtesEvent[] {
  const simple = new Set<string>();
  const byAggregate = Map.groupBy(isCareless ? batch : fresh, ({ subject }) => subject);
  for (const [aggregateId, own] of byAggregate) {
    const versions = own.map(({ data }) => data.version);
    const first = (known.get(aggregateId) ?? 0) + 1;
    if (new Set(versions).size !== versions.length || Math.min(...versions) !== first || Math.max(...versions) !== first + versions.length - 1) continue;
    simple.add(aggregateId);
    tables.versions.set(aggregateId, Math.max(...versions));
  }
  const waited = [...known.keys()].flatMap((aggregateId) => [...(tables.waiting.get(aggregateId)?.values() ?? [])].map(upcast));
  const { apply, wait, versions } = sequenceEvents(fresh, waited, known);
  for (const [aggregateId, version] of versions) if (!simple.has(aggregateId) || tables.waiting.has(aggregateId)) tables.versions.set(aggregateId, version);
  for (const { subject, data } of apply) waitNoMore(tables, subject, data.version);
  if (!forgets) for (const event of wait) letWait(tables, event, false);
  return apply;
}

function letItTakeItsTurn(tables: InboxTables, event: PublishedAtesEvent): void {
  const known = tables.versions.get(event.subject) ?? 0;
  tables.versions.set(event.subject, known);
  if (event.data.version > known) letWait(tables, event, true);
}

function letWait({ waiting }: InboxTables, event: PublishedAtesEvent, replaces: boolean): void {
  const before = waiting.get(event.subject);
  if (before?.has(event.data.version) && !replaces) return;
  waiting.set(event.subject, new Map([...(before ?? []), [event.data.version, event]]));
}

function waitNoMore({ waiting }: InboxTables, aggregateId: string, version: number): void {
  const left = [...(waiting.get(aggregateId) ?? [])].filter(([held]) => held !== version);
  if (left.length === 0) waiting.delete(aggregateId);
  else waiting.set(aggregateId, new Map(left));
}
