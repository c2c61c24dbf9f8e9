import { AsyncLocalStorage } from 'node:async_hooks';
import { randomFillSync } from 'node:crypto';

/** What ties a request, the events it causes and their effects together: a W3C trace context. */
export interface Trace {
  /** 32 lower-case hex digits; also the request id that clients get with an error. */
  readonly traceId: string;
  /** `00-<traceId>-<parent id>-<flags>`, as sent to the next process and written into events. */
  readonly traceparent: string;
  /** Whether the trace begins here: the parent that it names is nobody, and its first span is its root. */
  readonly isNew?: boolean;
}

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Where the last digit of the flags is, whose lowest bit says "sampled". */
const FLAGS_END = 54;
const storage = new AsyncLocalStorage<Trace>();
let sampler: ((traceId: string) => boolean) | undefined;

/** The trace named by a `traceparent` header or event attribute, or a new one when there is none that can be read. */
export function traceOf(traceparent: string | undefined): Trace {
  const traceId = traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
  if (traceId !== undefined && traceparent !== undefined) return { traceId, traceparent, isNew: false };
  const created = randomHex(16);
  const flags = sampler === undefined || sampler(created) ? '01' : '00';
  return { traceId: created, traceparent: `00-${created}-${randomHex(8)}-${flags}`, isNew: true };
}

/** Whether spans of what a well-formed `traceparent` names are to be kept. */
export function isSampled(traceparent: string): boolean {
  const digit = traceparent.charCodeAt(FLAGS_END);
  // '1' … '9' are odd as their digits are, 'a' … 'f' the other way round.
  return (digit & 1) === (digit < 58 ? 1 : 0) && digit > 0;
}

/** Lets `isKept` decide which of the traces that begin here are sampled; undefined: all of them. */
export function sampleNewTraces(isKept: ((traceId: string) => boolean) | undefined): void {
  sampler = isKept;
}

/** A call for each id would cost more than most of what a request does besides. */
const RANDOM_POOL_BYTES = 4_096;
const randomPool = Buffer.alloc(RANDOM_POOL_BYTES);
let randomUsed = RANDOM_POOL_BYTES;

function randomHex(bytes: number): string {
  if (randomUsed + bytes > RANDOM_POOL_BYTES) {
    randomFillSync(randomPool);
    randomUsed = 0;
  }
  randomUsed += bytes;
  return randomPool.toString('hex', randomUsed - bytes, randomUsed);
}

/** Runs `work` so that logs and events made inside belong to `trace`. */
export function runInTrace<Result>(trace: Trace, work: () => Result): Result {
  return storage.run(trace, work);
}

/** The trace of the request or reaction under way, if any. */
export function currentTrace(): Trace | undefined {
  return storage.getStore();
}

/** The `traceparent` for what happens now: that of the request or reaction under way, else a new one. */
export function currentTraceparent(): string {
  return (currentTrace() ?? traceOf(undefined)).traceparent;
}
