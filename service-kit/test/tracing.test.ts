import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildSchema, GraphQLError } from 'graphql';
import { createTestDatabase, type TestDatabase } from '../../scripts/test-service.ts';
import { openDatabase, sqlOf, type Database } from '../src/database.ts';
import { listen } from '../src/http-server.ts';
import { createLogger } from '../src/logger.ts';
import { createMetrics, type Registry } from '../src/metrics.ts';
import { createDocumentPreparation } from '../src/operations.ts';
import { createSubgraphEndpoint } from '../src/subgraph-endpoint.ts';
import { currentTrace, currentTraceparent, isSampled, runInTrace, traceOf } from '../src/trace-context.ts';
import { traceBatch } from '../src/tracing-batches.ts';
import { endFetchSpan, endOperationSpan, startFetchSpan, startOperationSpan, startSubscriptionEventSpan } from '../src/tracing-graphql.ts';
import { endSpan, inSpan, startSpan, startTracing, tracingIsOn } from '../src/tracing.ts';
import { startTraceCollector, unusedUrl, type ReceivedSpan, type TraceCollector } from './trace-collector.ts';

const TRACE_ID = '59647b583709902dc87168929ff812b5';
const CALLER = '00f067aa0ba902b7';
const SAMPLED = `00-${TRACE_ID}-${CALLER}-01`;
const UNSAMPLED = `00-${TRACE_ID}-${CALLER}-00`;
const work = async (): Promise<string> => 'done';

describe('tracing', () => {
  const environment = { ...process.env };
  let collector: TraceCollector;
  let metrics: Registry;
  let stop: (() => Promise<void>) | undefined;
  const logged: any[] = [];

  const start = async (settings: Record<string, string> = {}): Promise<void> => {
    Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...settings });
    metrics = createMetrics('test');
    const logger = createLogger('test', 'info', { write: (line) => void logged.push(JSON.parse(line)) });
    ({ stop } = await startTracing({ service: 'test', logger, metrics }));
  };
  /** What was sent, when everything has been. */
  const sent = async (): Promise<readonly ReceivedSpan[]> => {
    await stop?.();
    stop = undefined;
    return collector.spans;
  };
  const find = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
    const found = spans.filter((span) => span.name === name);
    expect(found.map((span) => span.name)).toEqual([name]);
    return found[0] as ReceivedSpan;
  };
  const count = async (metric: string): Promise<number> => Number(new RegExp(`^${metric}\\S* (\\d+)`, 'm').exec(await metrics.metrics())?.[1]);

  beforeAll(async () => {
    collector = await startTraceCollector();
  });
  afterAll(() => collector.stop());
  beforeEach(() => {
    collector.spans.length = 0;
    logged.length = 0;
  });
  afterEach(async () => {
    await stop?.();
    stop = undefined;
    for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
    Object.assign(process.env, environment);
  });

  describe('without a collector', () => {
    test.each<Record<string, string>>([
      { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
      { OTEL_SDK_DISABLED: 'true' },
      { OTEL_TRACES_EXPORTER: 'none' },
    ])('is off, and everything works: %j', async (settings) => {
      await start(settings);
      expect(tracingIsOn()).toBe(false);
      expect(startSpan('internal', 'x')).toBeUndefined();
      expect(startOperationSpan(traceOf(SAMPLED))).toBeUndefined();
      endSpan(undefined);
      expect(await inSpan('internal', 'x', {}, work)).toBe('done');
      expect(await traceBatch('STREAM', [], async () => ({ applied: [] }))).toEqual({ applied: [] });
      expect(await sent()).toEqual([]);
      expect(await metrics.metrics()).not.toContain('ates_trace_spans');
    });

    test.each([
      [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' }, 'is no URL'],
      [{ OTEL_TRACES_SAMPLER: 'sometimes' }, 'names no sampler'],
      [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, 'from 0 to 1'],
    ])('says what is wrong with the settings, and is off: %j', async (settings: Record<string, string>, reason) => {
      await start(settings);
      expect(tracingIsOn()).toBe(false);
      expect(logged).toMatchObject([{ level: 'error', err: { message: expect.stringContaining(reason) } }]);
    });
  });

  describe('of a request', () => {
    test('makes spans in spans, in the trace of the caller', async () => {
      await start({ OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' });
      await runInTrace(traceOf(SAMPLED), () =>
        inSpan('server', 'outer', { size: 3 }, async () => {
          expect(currentTrace()?.traceId).toBe(TRACE_ID);
          await inSpan('internal', 'inner', {}, work);
        }),
      );
      const spans = await sent();
      const outer = find(spans, 'outer');
      expect(outer).toMatchObject({ service: 'test', traceId: TRACE_ID, parentSpanId: CALLER, kind: 'server', attributes: { size: 3 }, isFailed: false });
      expect(find(spans, 'inner')).toMatchObject({ traceId: TRACE_ID, parentSpanId: outer.spanId });
      expect(await count('ates_trace_spans_sent_total')).toBe(2);
    });

    test('makes the first span of a trace that begins here its root, under the id that clients get', async () => {
      await start();
      const trace = traceOf(undefined);
      const operation = startOperationSpan(trace, { type: 'query', name: 'Tasks' }, performance.now() - 5_000);
      const fetching = startFetchSpan('tasks', operation?.trace ?? trace);
      expect(fetching?.trace.traceparent).toBe(`00-${trace.traceId}-${fetching?.span.spanContext().spanId}-01`);
      endFetchSpan(fetching, 'SERVICE_UNAVAILABLE', 503);
      endSpan(startSubscriptionEventSpan('Balance', operation?.trace ?? trace));
      endOperationSpan(operation, [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
      const spans = await sent();
      const root = find(spans, 'query Tasks');
      expect(root.durationMs).toBeGreaterThan(4_999);
      expect(root.durationMs).toBeLessThan(6_000);
      expect(root).toMatchObject({ traceId: trace.traceId, parentSpanId: undefined, isFailed: true });
      expect(root.attributes).toMatchObject({ 'graphql.operation.name': 'Tasks', 'graphql.operation.type': 'query', 'error.type': 'SERVICE_UNAVAILABLE' });
      expect(find(spans, 'fetch tasks')).toMatchObject({ parentSpanId: root.spanId, kind: 'client', isFailed: true, attributes: { 'http.response.status_code': 503 } });
      expect(find(spans, 'subscription Balance event')).toMatchObject({ parentSpanId: root.spanId });
    });

    test('tells of an error its code or name, never its message', async () => {
      await start();
      const failing = inSpan('internal', 'failing', {}, () => Promise.reject(new TypeError('ann@ates.test is no number')));
      await expect(failing).rejects.toThrow(TypeError);
      const span = find(await sent(), 'failing');
      expect(span).toMatchObject({ isFailed: true, attributes: { 'error.type': 'TypeError' } });
      expect(JSON.stringify(span)).not.toContain('ann@');
    });

    test('costs nothing in a trace that is not sampled, and tells the next one that it is not', async () => {
      await start();
      await runInTrace(traceOf(UNSAMPLED), async () => {
        expect(startSpan('client', 'x')).toBeUndefined();
        expect(await inSpan('internal', 'x', {}, async () => currentTraceparent())).toBe(UNSAMPLED);
      });
      expect(await sent()).toEqual([]);
    });

    test('samples what begins here as OTEL_TRACES_SAMPLER says', async () => {
      await start({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' });
      const traces = Array.from({ length: 400 }, () => traceOf(undefined));
      for (const trace of traces) endSpan(startSpan('internal', 'x', undefined, trace));
      const sampled = traces.filter(({ traceparent }) => isSampled(traceparent));
      expect(sampled.length).toBeGreaterThan(100);
      expect(sampled.length).toBeLessThan(300);
      expect((await sent()).map(({ traceId }) => traceId)).toEqual(sampled.map(({ traceId }) => traceId));
    });
  });

  describe('of a subgraph', () => {
    const schema = buildSchema('type Query { name: String, secret: String }');
    const logger = createLogger('test', 'silent');
    const ask = async (body: object): Promise<void> => {
      const authenticator = { authenticate: async () => null } as never;
      const refused = new GraphQLError('No', { extensions: { code: 'FORBIDDEN' } });
      const rootValue = { secret: () => Promise.reject(refused) };
      Object.assign(schema.getQueryType()?.getFields()['secret'] ?? {}, { resolve: rootValue.secret });
      const server = await listen(createSubgraphEndpoint({ schema, prepare: createDocumentPreparation(schema), authenticator, createContext: () => ({}), logger }), '127.0.0.1', 0);
      await fetch(`http://127.0.0.1:${server.port}`, { method: 'POST', headers: { traceparent: SAMPLED }, body: JSON.stringify(body) });
      await server.stop();
    };

    test('makes a span of each request, named after its operation, as part of the gateway’s trace', async () => {
      await start();
      await ask({ query: 'query Mine { name }', operationName: 'Mine' });
      expect(find(await sent(), 'query Mine')).toMatchObject({ traceId: TRACE_ID, parentSpanId: CALLER, kind: 'server', isFailed: false });
    });

    test('tells a refusal by its code, which is no failure of the service', async () => {
      await start();
      await ask({ query: '{ secret }' });
      expect(find(await sent(), 'query')).toMatchObject({ isFailed: false, attributes: { 'error.type': 'FORBIDDEN', 'graphql.errors': 1 } });
    });
  });

  describe('of statements', () => {
    let testDatabase: TestDatabase;
    let database: Database;

    beforeAll(async () => {
      testDatabase = await createTestDatabase('traced');
      database = await openDatabase({ url: testDatabase.url, ownerUrl: null, entities: [], migrations: [], logger: createLogger('test', 'silent'), connectionsMax: 2 });
    });
    afterAll(async () => {
      await database?.close();
      await testDatabase?.drop();
    });

    test('makes a span of each, with its text and without its values, in the trace that it is of', async () => {
      await start();
      const statements = async (value: string): Promise<void> => {
        await database.sql(`select $1::text as plain`, [value]);
        await database.sqlTransaction(async (sql) => {
          await sql.later('select $1::text as later', [value]);
          await sql('select $1::text as inside', [value]);
        });
        await database.transaction((_em, sql) => sql('select $1::text as entities', [value]));
        await sqlOf(database.fork())('select $1::text as forked', [value]);
      };
      const traces = Array.from({ length: 8 }, () => traceOf(undefined));
      await Promise.all(traces.map((trace) => runInTrace(trace, () => inSpan('internal', 'work', {}, () => statements('secret')))));
      const spans = await sent();
      expect(JSON.stringify(spans)).not.toContain('secret');
      for (const { traceId } of traces) {
        const mine = spans.filter((span) => span.traceId === traceId);
        const parent = find(mine, 'work');
        const told = mine.filter(({ parentSpanId }) => parentSpanId === parent.spanId);
        const [beginning, ...texts] = ['begin', ...['plain', 'later', 'inside', 'entities', 'forked'].map((name) => `select $1::text as ${name}`)];
        expect(told.map(({ attributes }) => attributes['db.query.text'])).toEqual(expect.arrayContaining(texts));
        expect(told.filter(({ name }) => name === beginning || name === 'commit')).toHaveLength(4);
        expect(told.every(({ kind, attributes }) => kind === 'client' && attributes['db.system.name'] === 'postgresql')).toBe(true);
      }
    });

    test('tells how one failed by its SQLSTATE, and the connection goes on', async () => {
      await start();
      await inSpan('internal', 'work', {}, async () => {
        await expect(database.sql('select * from nothing_there')).rejects.toThrow('does not exist');
        expect(await database.sql('select 1 as one')).toEqual([{ one: 1 }]);
      });
      expect(find(await sent(), 'select from nothing_there')).toMatchObject({ isFailed: true, attributes: { 'error.type': '42P01' } });
    });

    test('makes none outside of a request or reaction', async () => {
      await start();
      await database.sql('select 1');
      expect(await sent()).toEqual([]);
    });
  });

  describe('of events', () => {
    const event = (id: string, traceparent: string) => ({ id, dataschema: 'task.created.v2', traceparent });
    const OTHER = `00-${'ab'.repeat(16)}-${CALLER}-01`;

    test('gives each event that was applied a span in its own trace, and the batch one with links to them', async () => {
      await start();
      const events = [event('skipped', UNSAMPLED), event('one', SAMPLED), event('two', OTHER), event('known', SAMPLED)];
      await traceBatch('ates-tasks', events, () => inSpan('internal', 'reaction', {}, async () => ({ applied: events.slice(0, 3) })));
      const spans = await sent();
      const batch = find(spans, 'process batch of ates-tasks');
      expect(batch).toMatchObject({ traceId: TRACE_ID, kind: 'consumer', links: ['ab'.repeat(16)], attributes: { 'messaging.batch.message_count': 4 } });
      expect(find(spans, 'reaction')).toMatchObject({ parentSpanId: batch.spanId });
      const told = spans.filter(({ name }) => name === 'process task.created.v2');
      expect(told).toMatchObject([
        { traceId: TRACE_ID, parentSpanId: CALLER, kind: 'consumer', attributes: { 'messaging.message.id': 'one', 'messaging.destination.name': 'ates-tasks' } },
        { traceId: 'ab'.repeat(16), parentSpanId: CALLER, links: [TRACE_ID], attributes: { 'messaging.message.id': 'two' } },
      ]);
    });

    test('tells of a batch that failed, and of none of its events', async () => {
      await start();
      const failing = traceBatch('ates-tasks', [event('one', SAMPLED)], () => Promise.reject(Object.assign(new Error('no'), { code: '40P01' })));
      await expect(failing).rejects.toThrow('no');
      expect(await sent()).toMatchObject([{ name: 'process batch of ates-tasks', isFailed: true, attributes: { 'error.type': '40P01' } }]);
    });

    test('tells of a hundred and some events of a batch at most', async () => {
      await start();
      const events = Array.from({ length: 1_500 }, (_, index) => event(`event ${index}`, SAMPLED));
      await traceBatch('ates-tasks', events, async () => ({ applied: events }));
      expect((await sent()).length).toBe(129);
    });
  });

  describe('whose collector is away', () => {
    test('drops what does not fit its queue and what can not be sent, counts it, says so once, and stops in time', async () => {
      await start({ OTEL_EXPORTER_OTLP_ENDPOINT: await unusedUrl(), OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_EXPORTER_OTLP_TIMEOUT: '200' });
      for (let index = 0; index < 1_000; index++) endSpan(startSpan('internal', 'x', undefined, traceOf(SAMPLED)));
      expect(await count('ates_trace_spans_dropped_total')).toBe(900);
      const stoppedAt = performance.now();
      await sent();
      expect(performance.now() - stoppedAt).toBeLessThan(1_500);
      expect(await count('ates_trace_spans_dropped_total')).toBe(1_000);
      expect(await count('ates_trace_spans_sent_total')).toBe(0);
      expect(logged.filter(({ level }) => level === 'warn')).toHaveLength(1);
      expect(tracingIsOn()).toBe(false);
    });
  });
});
