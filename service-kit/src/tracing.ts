import type { Attributes, Span } from '@opentelemetry/api';
import type { Logger } from './logger.ts';
import type { Registry } from './metrics.ts';
import { currentTrace, runInTrace, sampleNewTraces, type Trace } from './trace-context.ts';

export type { Attributes };

export type SpanKindName = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** A span that is kept and has not ended yet. */
export interface OpenSpan {
  /** What happens within the span belongs to this: run it in here, and send its `traceparent` on. */
  readonly trace: Trace;
  /** OpenTelemetry's own. */
  readonly span: Span;
}

export interface SpanStart {
  readonly kind: SpanKindName;
  readonly name: string;
  readonly attributes?: Attributes | undefined;
  /** Undefined: a trace of its own. */
  readonly parent: Trace | undefined;
  /** What it has to do with besides its parent. */
  readonly links?: readonly Trace[];
  /** In ms since 1970; default now. */
  readonly startedAt?: number;
}

/** Makes spans and sends them away. */
export interface Tracer {
  /** Undefined when the sampler does not want it. */
  start(span: SpanStart): OpenSpan | undefined;
  /** Says of a span that what it measured failed. */
  fail(span: Span, failure: string): void;
  /** Whether a trace that begins here is sampled. */
  isKept(traceId: string): boolean;
  /** Sends what is left, for at most a second. */
  stop(): Promise<void>;
}

export interface TracingOptions {
  /** The service's name in traces, where OTEL_SERVICE_NAME gives no other. */
  readonly service: string;
  readonly logger: Logger;
  /** Gets counters of spans that were sent and dropped. */
  readonly metrics: Registry;
}

let tracer: Tracer | undefined;

/**
 * Switches tracing on when OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) is set: spans go there by OTLP over HTTP, as
 * JSON. Without it nothing is loaded, and a span costs one look at a variable. Never fails: what is wrong with the settings is logged.
 * To be stopped last, so that the spans of everything else are sent.
 */
export async function startTracing(options: TracingOptions): Promise<{ stop(): Promise<void> }> {
  const { logger } = options;
  const endpoint = endpointOf(process.env);
  if (endpoint === undefined) return { stop: async () => {} };
  try {
    const { createTracer } = await import('./tracing-sdk.ts');
    const started = createTracer(options, endpoint);
    use(started);
    logger.info({ endpoint }, 'traces are sent');
    return {
      stop: async () => {
        if (tracer === started) use(undefined);
        await started.stop();
      },
    };
  } catch (error) {
    logger.error({ err: error }, 'no traces are sent: look at the OTEL_… variables');
    return { stop: async () => {} };
  }
}

function use(next: Tracer | undefined): void {
  tracer = next;
  sampleNewTraces(next?.isKept);
}

function endpointOf(environment: NodeJS.ProcessEnv): string | undefined {
  const isOff = environment['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none';
  const endpoint = environment['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']?.trim() || environment['OTEL_EXPORTER_OTLP_ENDPOINT']?.trim();
  return isOff || endpoint === '' ? undefined : endpoint;
}

/** Ask this first where attributes would have to be made for nothing. */
export function tracingIsOn(): boolean {
  return tracer !== undefined;
}

/**
 * Begins a span of the request or reaction under way, or of `parent`; end it with `endSpan`.
 * Undefined when tracing is off or the trace is not sampled: every function here takes that too.
 */
export function startSpan(kind: SpanKindName, name: string, attributes?: Attributes, parent: Trace | undefined = currentTrace()): OpenSpan | undefined {
  return tracer?.start({ kind, name, attributes, parent });
}

/** The same with all that a span can begin with. */
export function startSpanOf(start: SpanStart): OpenSpan | undefined {
  return tracer?.start(start);
}

/**
 * Ends a span.
 * @param failure a code or the name of an error when what it measured failed. Never a message: there may be a user's data in it
 */
export function endSpan(open: OpenSpan | undefined, failure?: string): void {
  if (open === undefined) return;
  if (failure !== undefined) tracer?.fail(open.span, failure);
  open.span.end();
}

/** Runs `work` in a span, which ends with it. Without tracing just runs it. */
export async function inSpan<Result>(kind: SpanKindName, name: string, attributes: Attributes, work: () => Promise<Result>): Promise<Result> {
  const open = startSpan(kind, name, attributes);
  if (open === undefined) return work();
  try {
    const result = await runInTrace(open.trace, work);
    endSpan(open);
    return result;
  } catch (error) {
    endSpan(open, failureOf(error));
    throw error;
  }
}

/** What a span tells of an error: its code (SQLSTATE, errno, the API's) or its name. */
export function failureOf(error: unknown): string {
  const { code, name } = (typeof error === 'object' && error !== null ? error : {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' ? name : 'Error';
}
