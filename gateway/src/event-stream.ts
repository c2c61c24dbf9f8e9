/** The stream ended because of something its reader has to be told. */
export class StreamFailure<Failure> extends Error {
  override readonly name = 'StreamFailure';
  readonly failure: Failure;

  constructor(failure: Failure) {
    super('the stream failed');
    this.failure = failure;
  }
}

/** What a source of events tells; nothing after `fail` or `end`. */
export interface EventSink<Event, Failure> {
  event(event: Event): void;
  /** The reader gets what came before, then a StreamFailure. */
  fail(failure: Failure): void;
  end(): void;
}

export interface EventStreamOptions<Event, Result, Failure> {
  /** Starts the source; returns how to stop it, which is called once, whoever ends the stream. */
  readonly open: (sink: EventSink<Event, Failure>) => () => void;
  /** Makes of an event what is delivered; several run at once, results keep the order of events. Must not reject. */
  readonly complete: (event: Event) => Promise<Result>;
  readonly atOnceMax: number;
  /** Events not yet delivered; one more ends the stream with `overflow()`. */
  readonly waitingMax: number;
  readonly overflow: () => Failure;
}

interface Slot<Event, Result> {
  readonly event: Event;
  result: Promise<Result> | undefined;
}

/** Events in order, at most `atOnceMax` of which are being completed at a time. */
function createPipeline<Event, Result>({ complete, atOnceMax }: Pick<EventStreamOptions<Event, Result, never>, 'complete' | 'atOnceMax'>) {
  const slots: Slot<Event, Result>[] = [];
  let running = 0;
  const startWaiting = (): void => {
    for (const slot of slots) {
      if (running >= atOnceMax) return;
      if (slot.result !== undefined) continue;
      running += 1;
      slot.result = complete(slot.event).finally(() => {
        running -= 1;
        startWaiting();
      });
    }
  };
  return {
    size: () => slots.length,
    add: (event: Event) => {
      slots.push({ event, result: undefined });
      startWaiting();
    },
    /** The result of the oldest event, undefined when there is none. */
    oldest: () => slots[0]?.result,
    removeOldest: () => void slots.shift(),
    /** Completes nothing more: nobody is left to read it. */
    clear: () => {
      slots.length = 0;
    },
  };
}

/**
 * Delivers the results of a source's events in the order of the events, to one reader that asks for one at a time.
 * Bounded: a source that is faster than its reader ends the stream with a failure instead of filling the memory.
 * Unlike an async generator, `return()` takes effect at once, also while the reader waits for the next event.
 */
export function createEventStream<Event, Result, Failure>(options: EventStreamOptions<Event, Result, Failure>): AsyncIterableIterator<Result> {
  const { waitingMax, overflow } = options;
  const pipeline = createPipeline(options);
  let closed = false;
  let ended: { readonly failure: StreamFailure<Failure> | null } | undefined;
  let wake: () => void = () => {};

  const end = (failure: StreamFailure<Failure> | null): void => {
    ended ??= { failure };
    stop();
    wake();
  };
  const sink: EventSink<Event, Failure> = {
    event: (event) => {
      if (ended !== undefined || closed) return;
      if (pipeline.size() >= waitingMax) return end(new StreamFailure(overflow()));
      pipeline.add(event);
      wake();
    },
    fail: (failure) => end(new StreamFailure(failure)),
    end: () => end(null),
  };
  const stop = stopOnce(() => options.open(sink));

  const next = async (): Promise<IteratorResult<Result>> => {
    for (;;) {
      if (closed) return { done: true, value: undefined };
      const oldest = pipeline.oldest();
      if (oldest !== undefined) {
        const value = await oldest;
        pipeline.removeOldest();
        return closed ? { done: true, value: undefined } : { done: false, value };
      }
      if (ended !== undefined) {
        closed = true;
        if (ended.failure !== null) throw ended.failure;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const close = async (): Promise<IteratorResult<Result>> => {
    closed = true;
    pipeline.clear();
    stop();
    wake();
    return { done: true, value: undefined };
  };
  return {
    next,
    return: close,
    throw: close,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Opens in the next microtask; the returned function stops what was opened, once, also before or while it is opened. */
function stopOnce(open: () => () => void): () => void {
  let stopped = false;
  let undo: (() => void) | undefined;
  queueMicrotask(() => {
    if (stopped) return;
    undo = open();
    // A source may report its end while it is being opened: there was nothing to undo then, now there is.
    if (stopped) undo();
  });
  return () => {
    if (stopped) return;
    stopped = true;
    undo?.();
  };
}
