import { isDiscarded } from '@ates/shared-events/parked-events';
import type { PublishedAtesEvent } from '@ates/shared-events/catalog';
import { expectedTotals, totalsOf } from './effects.ts';
import type { World } from './history.ts';
import type { InboxTables, Store } from './store.ts';

/** What an operator did without. */
export type Discarded = ReadonlySet<string>;

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function placeOf({ source, subject, version }: { readonly source: string; readonly subject: string; readonly version: number }): string {
  return `${source} ${subject} ${version}`;
}

/** Whether what a commit has left is right. Asked at each commit, of what came since the one before. */
export class SafetyChecks {
  #checked = 0;
  #seen = new Set<string>();
  #reached = new Map<string, number>();
  readonly #discarded: Discarded;

  constructor(discarded: Discarded) {
    this.#discarded = discarded;
  }

  /** Everything begins again, as after a rebuild. */
  forget(): void {
    this.#checked = 0;
    this.#seen = new Set();
    this.#reached = new Map();
  }

  /** @throws Violation */
  check({ effects }: Store): void {
    for (; this.#checked < effects.applied.length; this.#checked++) this.#checkOne(effects.applied[this.#checked] as PublishedAtesEvent);
    if (effects.entrySum !== 0) throw new Violation(`The ledger's entries come to ${effects.entrySum}`);
    const balances = [...effects.accounts.values()].reduce((sum, { balance }) => sum + balance, 0);
    if (balances + effects.company.balance !== 0) throw new Violation("The ledger's balances do not come to zero");
  }

  #checkOne(event: PublishedAtesEvent): void {
    const { id, source, subject, data } = event;
    if (isDiscarded(event)) throw new Violation(`${subject} v${data.version} was discarded and applied`);
    if (this.#seen.has(id)) throw new Violation(`${event.dataschema} v${data.version} of ${subject} took effect twice`);
    this.#seen.add(id);
    const aggregate = `${source} ${subject}`;
    const reached = this.#reached.get(aggregate) ?? 0;
    if (data.version <= reached) throw new Violation(`${subject} went from v${reached} to v${data.version}`);
    for (let missing = reached + 1; missing < data.version; missing++) {
      if (!this.#discarded.has(placeOf({ source, subject, version: missing }))) throw new Violation(`v${data.version} of ${subject} took effect before v${missing}`);
    }
    this.#reached.set(aggregate, data.version);
  }
}

/** Whether everything has come to its end, once nothing disturbs it. @throws Violation */
export function checkLiveness(store: Store, world: World, discarded: Discarded): void {
  const times = new Map<string, number>();
  for (const { id } of store.effects.applied) times.set(id, (times.get(id) ?? 0) + 1);
  const due: PublishedAtesEvent[] = [];
  for (const { stream, producer, happenings } of world.histories) {
    const tables = store.inbox(stream);
    const open = openPlaces(tables);
    for (const { id, aggregateId, version, event } of happenings) {
      const what = `v${version} of ${aggregateId} in ${stream}`;
      const isDue = event !== null && !isDoneWithout(discarded, { source: `/${producer}`, subject: aggregateId, version }) && !isHeld(open, aggregateId, version);
      if ((times.get(id) ?? 0) > (event === null ? 0 : 1)) throw new Violation(`${what} took effect ${times.get(id)} times`);
      if (isDue && times.get(id) === undefined) throw new Violation(`${what} never took effect`);
      if (times.has(id) && event !== null) due.push(event);
      if (!open.get(aggregateId)?.has(version) || event === null || world.poison.has(id)) continue;
      throw new Violation(`${what} is parked, for no reason`);
    }
  }
  compare(expectedTotals(due), totalsOf(store.effects));
}

function openPlaces({ parked }: InboxTables): Map<string, Set<number>> {
  const open = new Map<string, Set<number>>();
  for (const { aggregateId, version, outcome } of parked.values()) {
    if (outcome === null && aggregateId !== null && version !== null) open.set(aggregateId, (open.get(aggregateId) ?? new Set()).add(version));
  }
  return open;
}

function isHeld(open: ReadonlyMap<string, ReadonlySet<number>>, aggregateId: string, version: number): boolean {
  return [...(open.get(aggregateId) ?? [])].some((parked) => parked <= version);
}

function isDoneWithout(discarded: Discarded, place: Parameters<typeof placeOf>[0]): boolean {
  return discarded.has(placeOf(place));
}

function compare(expected: Record<string, number>, actual: Record<string, number>): void {
  const [should, does] = [JSON.stringify(expected), JSON.stringify(actual)];
  if (should !== does) throw new Violation(`The events come to ${should}, the service has ${does}`);
}
