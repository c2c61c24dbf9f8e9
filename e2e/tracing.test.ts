import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTraceCollector, type ReceivedSpan, type TraceCollector } from '../service-kit/test/trace-collector.ts';
import { startStack, until, type Stack } from './stack.ts';

const CREATE = 'mutation CreateTask($input: CreateTaskInput!) { createTask(input: $input) { id creator { email } } }';

describe('the traces of a running stack', () => {
  let collector: TraceCollector;
  let stack: Stack;

  beforeAll(async () => {
    collector = await startTraceCollector();
    stack = await startStack({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '100' } });
  }, 120_000);
  afterAll(async () => {
    await stack?.stop();
    await collector?.stop();
  }, 30_000);

  test('one mutation is followed from the gateway through the subgraphs and their SQL to all who take its events, under one id', async () => {
    const token = await stack.signIn('manager@ates.test');
    const title = 'Preen the parrot';
    const { data, errors } = await stack.gql(CREATE, { input: { title } }, token);
    expect(errors).toBeUndefined();
    expect(data).toMatchObject({ createTask: { creator: { email: 'manager@ates.test' } } });

    const { traceId } = await until('the gateway’s span arrives', 10_000, () => collector.spans.find((span) => span.service === 'gateway' && span.name === 'mutation CreateTask'));
    const spans = (): ReceivedSpan[] => collector.spans.filter((span) => span.traceId === traceId);
    const find = (service: string, fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> => until(`a span of ${service} arrives: ${String(fits)}`, 15_000, () => spans().find((span) => span.service === service && fits(span)));

    const root = await find('gateway', ({ kind }) => kind === 'server');
    expect(root).toMatchObject({ parentSpanId: undefined, isFailed: false, attributes: { 'graphql.operation.type': 'mutation', 'graphql.operation.name': 'CreateTask' } });
    const fetching = await find('gateway', ({ name }) => name === 'fetch tasks');
    expect(fetching).toMatchObject({ parentSpanId: root.spanId, kind: 'client' });
    const served = await find('tasks', ({ kind }) => kind === 'server');
    expect(served.parentSpanId).toBe(fetching.spanId);
    await find('users', ({ kind }) => kind === 'server');

    const recording = await find('tasks', ({ name }) => name === 'insert into outbox');
    expect(recording).toMatchObject({ parentSpanId: served.spanId, kind: 'client', attributes: { 'db.system.name': 'postgresql' } });
    await find('tasks', ({ name }) => name === 'commit');

    for (const service of ['accounting', 'analytics']) {
      const taken = await find(service, ({ name }) => name === 'process task.created.v2');
      expect(taken).toMatchObject({ kind: 'consumer', parentSpanId: served.spanId });
    }
    // What Accounting tells because of it goes on under the same id.
    await find('analytics', ({ name }) => name.startsWith('process task.priced'));
    expect(JSON.stringify(spans())).not.toContain(title);
  }, 60_000);

  test('every service tells how many spans it sent, and that it dropped none', async () => {
    const metrics = await (await fetch(stack.url.replace('/graphql', '/metrics'))).text();
    expect(metrics).toMatch(/^ates_trace_spans_sent_total\S* [1-9]/m);
    expect(metrics).toMatch(/^ates_trace_spans_dropped_total\S* 0$/m);
  });
});
