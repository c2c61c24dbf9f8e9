import { performance } from 'node:perf_hooks';
import { isSampled, runInTrace, traceOf, type Trace } from './trace-context.ts';
import { endSpan, failureOf, startSpanOf, tracingIsOn, type Attributes, type OpenSpan } from './tracing.ts';

/** What is told of a message that is processed. */
export interface TracedMessage {
  readonly id: string;
  /** Its kind; part of the span's name. */
  readonly dataschema: string;
  readonly traceparent: string;
}

/** Messages of one batch that get spans of their own, and links: a batch of thousands must not push out all other spans. */
const TRACED_MAX = 128;

/**
 * Runs `work`, which processes a batch and says which messages it `applied`. The batch has a span, in the trace of its first sampled message
 * and with links to the others; what is done inside is in it. Each message that was applied gets a consumer span in its own trace, as long as the
 * batch: so a trace goes on from who sent a message to everybody who took it. Messages of unsampled traces cost nothing.
 * @param source where the messages are from: the stream's name
 */
export async function traceBatch<Result extends { readonly applied: readonly TracedMessage[] }>(source: string, messages: readonly TracedMessage[], work: () => Promise<Result>): Promise<Result> {
  if (!tracingIsOn()) return work();
  const startedAt = performance.timeOrigin + performance.now();
  const batch = startBatch(source, messages);
  try {
    const result = await (batch === undefined ? work() : runInTrace(batch.trace, work));
    tellApplied(source, result.applied, { batch: batch?.trace, startedAt });
    endSpan(batch);
    return result;
  } catch (error) {
    endSpan(batch, failureOf(error));
    throw error;
  }
}

function startBatch(source: string, messages: readonly TracedMessage[]): OpenSpan | undefined {
  const [first, ...others] = sampledOf(messages);
  if (first === undefined) return undefined;
  const parent = traceOf(first.traceparent);
  const links = others.map(({ traceparent }) => traceOf(traceparent)).filter(({ traceId }) => traceId !== parent.traceId);
  return startSpanOf({ kind: 'consumer', name: `process batch of ${source}`, attributes: { ...attributesOf(source), 'messaging.batch.message_count': messages.length }, parent, links });
}

function tellApplied(source: string, applied: readonly TracedMessage[], { batch, startedAt }: { readonly batch: Trace | undefined; readonly startedAt: number }): void {
  for (const { id, dataschema, traceparent } of sampledOf(applied)) {
    const attributes = { ...attributesOf(source), 'messaging.message.id': id };
    endSpan(startSpanOf({ kind: 'consumer', name: `process ${dataschema}`, attributes, parent: traceOf(traceparent), links: batch === undefined ? [] : [batch], startedAt }));
  }
}

function sampledOf(messages: readonly TracedMessage[]): readonly TracedMessage[] {
  const sampled: TracedMessage[] = [];
  for (const message of messages) {
    if (sampled.length === TRACED_MAX) break;
    if (isSampled(message.traceparent)) sampled.push(message);
  }
  return sampled;
}

function attributesOf(source: string): Attributes {
  return { 'messaging.system': 'nats', 'messaging.operation.type': 'process', 'messaging.destination.name': source };
}
