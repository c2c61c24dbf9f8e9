import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** What ties a request, the events it causes and their effects together: a W3C trace context. */
export interface Trace {
  /** 32 lower-case hex digits; also the request id that clients get with an error. */
  readonly traceId: string;
  /** `00-<traceId>-<parent id>-<flags>`, as sent to the next process and written into events. */
  readonly traceparent: string;
}

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const storage = new AsyncLocalStorage<Trace>();

/** The trace named by a `traceparent` header or event attribute, or a new one when there is none that can be read. */
export function traceOf(traceparent: string | undefined): Trace {
  const traceId = traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
  if (traceId !== undefined && traceparent !== undefined) return { traceId, traceparent };
  const created = randomBytes(16).toString('hex');
  return { traceId: created, traceparent: `00-${created}-${randomBytes(8).toString('hex')}-01` };
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
