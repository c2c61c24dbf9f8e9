import { setTimeout as delay } from 'node:timers/promises';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace as traces, type Context } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, defaultResource, resourceAttributesEnvDetector, resourceFromAttributes, serviceInstanceIdDetector, serviceNameEnvDetector } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import { createSpanReport, type SpanReport } from './span-report.ts';
import { isSampled, type Trace } from './trace-context.ts';
import type { SpanStart, Tracer, TracingOptions } from './tracing.ts';

const KINDS = { internal: SpanKind.INTERNAL, server: SpanKind.SERVER, client: SpanKind.CLIENT, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER } as const;
/** Spans that wait to be sent or are being sent; more are dropped. */
const QUEUE_MAX_SPANS = 2_048;
const ATTRIBUTE_MAX_CHARACTERS = 4_096;
const STOP_MAX_MS = 1_000;
/** `ExportResultCode.SUCCESS` of @opentelemetry/core. */
const EXPORTED = 0;

/**
 * OpenTelemetry's SDK as a tracer of its own: nothing of it is made global, so no library makes spans that nobody asked for.
 * A collector that is slow or away costs at most the memory of the queue; what finds no room there is counted and dropped.
 * @param endpoint as configured; the exporter reads it, its headers, timeout and compression, from the environment itself
 * @throws when settings can't be used
 */
export function createTracer({ service, logger, metrics }: TracingOptions, endpoint: string): Tracer {
  if (!URL.canParse(endpoint)) throw new Error(`The endpoint ${endpoint} is no URL: give one like http://localhost:4318`);
  const { sampler, followsParent } = samplerFrom(process.env);
  const report = createSpanReport({ metrics, logger, endpoint });
  // The id of a trace that begins here is there before its first span.
  const random = new RandomIdGenerator();
  let rootTraceId: string | undefined;
  const provider = new TracerProvider({
    sampler,
    idGenerator: { generateTraceId: () => rootTraceId ?? random.generateTraceId(), generateSpanId: () => random.generateSpanId() },
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': service }))
      .merge(detectResources({ detectors: [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector] })),
    spanLimits: { attributeValueLengthLimit: ATTRIBUTE_MAX_CHARACTERS },
    spanProcessors: [boundedProcessor(new OTLPTraceExporter(), report)],
  });
  const tracer = provider.getTracer('ates');

  const start = ({ kind, name, attributes, parent, links, startedAt }: SpanStart): ReturnType<Tracer['start']> => {
    if (parent !== undefined && followsParent && !isSampled(parent.traceparent)) return undefined;
    rootTraceId = parent?.isNew === true ? parent.traceId : undefined;
    const options = {
      kind: KINDS[kind],
      ...(attributes !== undefined && { attributes }),
      ...(links !== undefined && { links: links.map((link) => ({ context: spanContextOf(link, true) })) }),
      ...(startedAt !== undefined && { startTime: startedAt }),
    };
    const span = tracer.startSpan(name, options, contextOf(parent, kind));
    if (!span.isRecording()) return undefined;
    const { traceId, spanId } = span.spanContext();
    return { span, trace: { traceId, traceparent: `00-${traceId}-${spanId}-01`, isNew: false } };
  };
  return {
    start,
    fail: (span, failure) => void span.setAttribute('error.type', failure).setStatus({ code: SpanStatusCode.ERROR }),
    isKept: (traceId) => sampler.shouldSample(ROOT_CONTEXT, traceId, '', SpanKind.INTERNAL, {}, []).decision === SamplingDecision.RECORD_AND_SAMPLED,
    stop: async () => {
      await Promise.race([provider.shutdown().catch(report.failed), delay(STOP_MAX_MS, undefined, { ref: false })]);
    },
  };
}

function contextOf(parent: Trace | undefined, kind: SpanStart['kind']): Context {
  if (parent === undefined || parent.isNew === true) return ROOT_CONTEXT;
  return traces.setSpanContext(ROOT_CONTEXT, spanContextOf(parent, kind === 'server' || kind === 'consumer'));
}

function spanContextOf({ traceId, traceparent }: Trace, isRemote: boolean): { traceId: string; spanId: string; traceFlags: number; isRemote: boolean } {
  return { traceId, spanId: traceparent.slice(36, 52), traceFlags: Number(isSampled(traceparent)), isRemote };
}

/** The samplers that OpenTelemetry names for OTEL_TRACES_SAMPLER, with the same default. */
function samplerFrom(environment: NodeJS.ProcessEnv): { readonly sampler: Sampler; readonly followsParent: boolean } {
  const name = environment['OTEL_TRACES_SAMPLER']?.trim() || 'parentbased_always_on';
  const followsParent = name.startsWith('parentbased_');
  const root = rootSampler(name.replace('parentbased_', ''), environment['OTEL_TRACES_SAMPLER_ARG']?.trim() || '1');
  return { sampler: followsParent ? new ParentBasedSampler({ root }) : root, followsParent };
}

function rootSampler(name: string, argument: string): Sampler {
  if (name === 'always_on') return new AlwaysOnSampler();
  if (name === 'always_off') return new AlwaysOffSampler();
  const ratio = Number(argument);
  if (name !== 'traceidratio') throw new Error(`OTEL_TRACES_SAMPLER names no sampler that is known here: use always_on, always_off or traceidratio, each also with parentbased_ before it`);
  if (!(ratio >= 0 && ratio <= 1)) throw new Error(`OTEL_TRACES_SAMPLER_ARG is ${argument}: give the share of traces to keep, from 0 to 1`);
  return new TraceIdRatioBasedSampler(ratio);
}

/** OpenTelemetry's batches, with a count of every span that does not arrive. */
function boundedProcessor(exporter: SpanExporter, report: SpanReport): SpanProcessor {
  const setting = (name: string, byDefault: number): number => Number(process.env[name]) || byDefault;
  const maxQueueSize = setting('OTEL_BSP_MAX_QUEUE_SIZE', QUEUE_MAX_SPANS);
  let waiting = 0;
  const counted: SpanExporter = {
    export: (spans, done) => {
      const settle: typeof done = (result) => {
        waiting -= spans.length;
        if (result.code === EXPORTED) report.sent(spans.length);
        else report.dropped(spans.length, result.error);
        done(result);
      };
      try {
        exporter.export(spans, settle);
      } catch (error) {
        waiting -= spans.length;
        report.dropped(spans.length, error);
        throw error;
      }
    },
    shutdown: () => exporter.shutdown(),
  };
  const batches = new BatchSpanProcessor({
    exporter: counted,
    maxQueueSize,
    maxExportBatchSize: setting('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', Math.min(512, maxQueueSize)),
    scheduledDelayMillis: setting('OTEL_BSP_SCHEDULE_DELAY', 5_000),
    exportTimeoutMillis: setting('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
  });
  return {
    onStart: () => {},
    onEnd: (span) => {
      if (waiting >= maxQueueSize) return report.dropped(1, undefined);
      waiting += 1;
      batches.onEnd(span);
    },
    forceFlush: () => batches.forceFlush(),
    shutdown: () => batches.shutdown(),
  };
}
