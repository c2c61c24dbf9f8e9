import { performance } from 'node:perf_hooks';
import type { Trace } from './trace-context.ts';
import { endSpan, startSpan, startSpanOf, type OpenSpan } from './tracing.ts';

/** What is asked for, as the document has it. */
export interface TracedOperation {
  readonly type: string;
  readonly name: string | null | undefined;
}

interface Failure {
  readonly extensions?: { readonly [name: string]: unknown } | undefined;
}

/** What is the service's fault rather than the caller's. */
const FAULTS: ReadonlySet<string> = new Set(['INTERNAL', 'SERVICE_UNAVAILABLE']);

/**
 * Begins the span of an operation. Undefined where `startSpan` gives it.
 * @param operation once it is read; else `nameOperationSpan` says later what it is
 * @param startedAt when it came, of `performance.now()`; default now
 */
export function startOperationSpan(trace: Trace, operation?: TracedOperation, startedAt?: number): OpenSpan | undefined {
  const open = startSpanOf({ kind: 'server', name: 'GraphQL', parent: trace, ...(startedAt !== undefined && { startedAt: performance.timeOrigin + startedAt }) });
  if (operation !== undefined) nameOperationSpan(open, operation);
  return open;
}

/** Names its span after an operation: `query Tasks`. */
export function nameOperationSpan(open: OpenSpan | undefined, { type, name }: TracedOperation): void {
  if (open === undefined) return;
  const isNamed = typeof name === 'string' && name !== '';
  open.span.updateName(isNamed ? `${type} ${name}` : type).setAttribute('graphql.operation.type', type);
  if (isNamed) open.span.setAttribute('graphql.operation.name', name);
}

/** Ends it with what the operation was answered: the first error's code, which makes the span a failed one when it is a fault of ours. */
export function endOperationSpan(open: OpenSpan | undefined, errors: readonly Failure[] | undefined): void {
  if (open === undefined) return;
  const [first] = errors ?? [];
  if (first === undefined) return endSpan(open);
  const code = first.extensions?.['code'];
  const outcome = typeof code === 'string' ? code : 'INTERNAL';
  open.span.setAttribute('graphql.errors', errors?.length ?? 0);
  if (FAULTS.has(outcome)) return endSpan(open, outcome);
  open.span.setAttribute('error.type', outcome);
  endSpan(open);
}

/** Begins the span of a request to a subgraph. Its `trace.traceparent` is what the subgraph is to get. */
export function startFetchSpan(subgraph: string, trace: Trace): OpenSpan | undefined {
  return startSpan('client', `fetch ${subgraph}`, { 'ates.subgraph': subgraph }, trace);
}

/**
 * Ends it.
 * @param failure why the answer, or that there is none, is no use: a code
 * @param status HTTP's, where there is an answer
 */
export function endFetchSpan(open: OpenSpan | undefined, failure?: string, status?: number): void {
  if (open === undefined) return;
  if (status !== undefined) open.span.setAttribute('http.response.status_code', status);
  endSpan(open, failure);
}

/** Begins the span of one event of a subscription, completed for its client; end it with `endOperationSpan`. */
export function startSubscriptionEventSpan(name: string | null | undefined, trace: Trace): OpenSpan | undefined {
  const isNamed = typeof name === 'string' && name !== '';
  return startSpanOf({
    kind: 'internal',
    name: isNamed ? `subscription ${name} event` : 'subscription event',
    attributes: { 'graphql.operation.type': 'subscription', ...(isNamed && { 'graphql.operation.name': name }) },
    parent: trace,
  });
}
