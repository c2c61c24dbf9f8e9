import { createServer } from 'node:http';
import { listen } from '../src/http-server.ts';

/** A span as it arrived. */
export interface ReceivedSpan {
  /** `service.name` of the process that made it. */
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: the root of its trace. */
  readonly parentSpanId: string | undefined;
  readonly kind: (typeof KINDS)[number];
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly isFailed: boolean;
  /** Trace ids. */
  readonly links: readonly string[];
  readonly durationMs: number;
}

export interface TraceCollector {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly url: string;
  /** Everything that has arrived. */
  readonly spans: ReceivedSpan[];
  stop(): Promise<void>;
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const FAILED = 2;

/** What OpenTelemetry's collector takes by OTLP over HTTP, as JSON. */
export async function startTraceCollector(): Promise<TraceCollector> {
  const spans: ReceivedSpan[] = [];
  const running = await listen(
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'POST' && request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString())));
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    },
    '127.0.0.1',
    0,
  );
  return { url: `http://127.0.0.1:${running.port}`, spans, stop: running.stop };
}

/** An address where nobody listens. */
export async function unusedUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

function spansOf(request: any): ReceivedSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }: any) => {
    const service = String(attributesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }: any) => spans.map((span: any) => received(span, service)));
  });
}

function received(span: any, service: string): ReceivedSpan {
  const { name, traceId, spanId } = span;
  return {
    service,
    name,
    traceId,
    spanId,
    parentSpanId: span.parentSpanId || undefined,
    kind: KINDS[span.kind] ?? 'unspecified',
    attributes: attributesOf(span.attributes),
    isFailed: span.status?.code === FAILED,
    links: (span.links ?? []).map((link: any) => link.traceId),
    durationMs: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
  };
}

function attributesOf(list: readonly { readonly key: string; readonly value: Readonly<Record<string, string | number>> }[] = []): Record<string, string | number> {
  return Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0] ?? '']));
}
