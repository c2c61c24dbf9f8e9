import { describe, expect, test } from '@jest/globals';
import { createEventStream, StreamFailure, type EventSink } from './event-stream.ts';

interface Source {
  readonly sink: EventSink<number, string>;
  readonly stream: AsyncIterableIterator<string>;
  readonly stops: () => number;
}

/** A stream of numbers as words; `complete` may be replaced. */
async function startStream(complete: (event: number) => Promise<string> = async (event) => `#${event}`, waitingMax = 10, atOnceMax = 2): Promise<Source> {
  let opened: EventSink<number, string> | undefined;
  let stops = 0;
  const stream = createEventStream<number, string, string>({
    open: (sink) => {
      opened = sink;
      return () => {
        stops += 1;
      };
    },
    complete,
    atOnceMax,
    waitingMax,
    overflow: () => 'too fast',
  });
  await Promise.resolve();
  return { sink: opened as EventSink<number, string>, stream, stops: () => stops };
}

describe('A stream of events', () => {
  test('delivers what came before its reader asked, and what comes after', async () => {
    const { sink, stream } = await startStream();
    sink.event(1);
    expect(await stream.next()).toEqual({ done: false, value: '#1' });
    const later = stream.next();
    sink.event(2);
    expect(await later).toEqual({ done: false, value: '#2' });
  });

  test('keeps the order when a later event is completed first', async () => {
    const gates = new Map<number, () => void>();
    const { sink, stream } = await startStream((event) => new Promise((resolve) => gates.set(event, () => resolve(`#${event}`))));
    sink.event(1);
    sink.event(2);
    gates.get(2)?.();
    gates.get(1)?.();
    expect([(await stream.next()).value, (await stream.next()).value]).toEqual(['#1', '#2']);
  });

  test('completes no more events at once than it may', async () => {
    const begun: number[] = [];
    const { sink } = await startStream((event) => {
      begun.push(event);
      return new Promise(() => {});
    });
    for (const event of [1, 2, 3, 4]) sink.event(event);
    expect(begun).toEqual([1, 2]);
  });

  test('completes no event more after its reader left', async () => {
    const begun: number[] = [];
    const gate = Promise.withResolvers<string>();
    const { sink, stream } = await startStream((event) => {
      begun.push(event);
      return gate.promise;
    });
    for (const event of [1, 2, 3, 4]) sink.event(event);
    await stream.return?.();
    gate.resolve('late');
    await gate.promise;
    await Promise.resolve();
    expect(begun).toEqual([1, 2]);
  });

  test('stops its source once, whoever ends it', async () => {
    const { sink, stream, stops } = await startStream();
    sink.end();
    sink.fail('late');
    await stream.return?.();
    expect(stops()).toBe(1);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('lets go of a reader that waits when it is returned', async () => {
    const { stream, stops } = await startStream();
    const waiting = stream.next();
    await stream.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(stops()).toBe(1);
  });

  test('that is returned before it was opened opens nothing', async () => {
    let opened = 0;
    const stream = createEventStream({
      open: () => {
        opened += 1;
        return () => {};
      },
      complete: async (event: number) => event,
      atOnceMax: 1,
      waitingMax: 1,
      overflow: () => 'too fast',
    });
    await stream.return?.();
    await Promise.resolve();
    expect(opened).toBe(0);
  });

  test('fails after what came before the failure', async () => {
    const { sink, stream } = await startStream();
    sink.event(1);
    sink.fail('broken');
    sink.event(2);
    expect((await stream.next()).value).toBe('#1');
    await expect(stream.next()).rejects.toEqual(expect.objectContaining({ failure: 'broken' }));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test('fails when more events wait than may', async () => {
    const { sink, stream, stops } = await startStream(async (event) => `#${event}`, 2);
    for (const event of [1, 2, 3]) sink.event(event);
    expect(stops()).toBe(1);
    expect([(await stream.next()).value, (await stream.next()).value]).toEqual(['#1', '#2']);
    await expect(stream.next()).rejects.toBeInstanceOf(StreamFailure);
  });
});
