import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { PublishedAtesEvent } from './catalog.ts';
import { sequenceEvents } from './inbox.ts';

const event = (subject: string, version: number): PublishedAtesEvent => ({ id: `${subject}-${version}`, subject, data: { version } }) as unknown as PublishedAtesEvent;
const names = (events: readonly PublishedAtesEvent[]) => events.map(({ id }) => id);

describe('the order in which events take effect', () => {
  test('the next version of an aggregate is applied', () => {
    const { apply, versions } = sequenceEvents([event('a', 3)], [], new Map([['a', 2]]));
    expect(names(apply)).toEqual(['a-3']);
    expect(versions.get('a')).toBe(3);
  });

  test('a version at or below the known one is dropped', () => {
    const { apply, wait } = sequenceEvents([event('a', 1), event('a', 2)], [], new Map([['a', 2]]));
    expect([...apply, ...wait]).toEqual([]);
  });

  test('a version beyond a gap waits, and other aggregates do not wait for it', () => {
    const { apply, wait } = sequenceEvents([event('a', 2), event('b', 1)], [], new Map());
    expect(names(apply)).toEqual(['b-1']);
    expect(names(wait)).toEqual(['a-2']);
  });

  test('what fills a gap brings with it what waited', () => {
    const { apply, wait, versions } = sequenceEvents([event('a', 1)], [event('a', 2), event('a', 3), event('a', 5)], new Map());
    expect(names(apply)).toEqual(['a-1', 'a-2', 'a-3']);
    expect(wait).toEqual([]);
    expect(versions.get('a')).toBe(3);
  });

  test('however events are shuffled, doubled and cut into batches, each takes effect once, in its aggregate’s order', () => {
    const history = fc
      .record({ lengths: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }), extra: fc.array(fc.nat(), { maxLength: 10 }) })
      .chain(({ lengths, extra }) => {
        const events = lengths.flatMap((length, aggregate) => Array.from({ length }, (_, index) => event(`agg${aggregate}`, index + 1)));
        const delivered = [...events, ...extra.map((position) => events[position % events.length] as PublishedAtesEvent)];
        return fc.record({
          events: fc.constant(events),
          delivered: fc.shuffledSubarray(delivered, { minLength: delivered.length, maxLength: delivered.length }),
          batchLength: fc.integer({ min: 1, max: 8 }),
        });
      });
    fc.assert(
      fc.property(history, ({ events, delivered, batchLength }) => {
        const inbox = new Set<string>();
        const known = new Map<string, number>();
        let waiting: PublishedAtesEvent[] = [];
        const applied: PublishedAtesEvent[] = [];
        for (let start = 0; start < delivered.length; start += batchLength) {
          const fresh = delivered.slice(start, start + batchLength).filter(({ id }) => !inbox.has(id) && inbox.add(id));
          const { apply, wait, versions } = sequenceEvents(fresh, waiting, known);
          applied.push(...apply);
          waiting = [...waiting, ...wait].filter((held) => !apply.includes(held));
          for (const [aggregate, version] of versions) known.set(aggregate, version);
        }
        expect(waiting).toEqual([]);
        for (const [aggregate, inOrder] of Map.groupBy(applied, ({ subject }) => subject)) {
          expect(inOrder).toEqual(events.filter(({ subject }) => subject === aggregate));
        }
        expect(applied).toHaveLength(events.length);
      }),
      { numRuns: 1_000 },
    );
  });
});
