import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';

const BOOKS_WITH_REVIEWS = '{ books { title reviews { stars } } whoami }';

describe('A subgraph that is down', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  });
  afterAll(() => stack.stop());

  test('costs its own fields, at their paths, and nothing else; and is used again when it is back', async () => {
    await stack.subgraphs.readers.stop();
    const answer = await stack.query('{ book(id: "b1") { title reviews { stars by: reader { id email } } } me { id } }');
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ book: { title: 'The Parrot', reviews: [{ stars: 5, by: { id: 'r1', email: null } }] }, me: null });
    expect(answer.errors?.map(({ path, extensions }) => [path, extensions['code']])).toEqual([
      [['me'], 'SERVICE_UNAVAILABLE'],
      [['book', 'reviews', 0, 'by', 'email'], 'SERVICE_UNAVAILABLE'],
    ]);
    expect(answer.text).not.toMatch(/127\.0\.0\.1|ECONN|readers|serviceName|stack/);
    expect(stack.logs.findLast(({ msg }) => msg === 'an operation failed')).toMatchObject({ level: 'warn', fetchFailures: expect.arrayContaining([expect.stringMatching(/^readers: /)]) });

    await stack.subgraphs.readers.start();
    expect((await stack.query('{ me { id name } }')).data).toEqual({ me: { id: 'ann', name: 'name of ann' } });
  });

  test('costs a path for each entity of a list', async () => {
    await stack.subgraphs.reviews.stop();
    const answer = await stack.query('{ books { title rating } }');
    await stack.subgraphs.reviews.start();
    expect(answer.data.books.map((book: unknown) => book)).toEqual([
      { title: 'The Parrot', rating: null },
      { title: 'The Beak', rating: null },
      { title: 'The Perch', rating: null },
    ]);
    expect(answer.errors?.map(({ path }) => path)).toEqual([['books', 0, 'rating'], ['books', 1, 'rating'], ['books', 2, 'rating']]);
  });

  test('does not make the gateway unready, and is shown', async () => {
    const readyz = stack.url.replace('/graphql', '/readyz');
    const seen = async () => {
      const answer = await fetch(readyz);
      return { status: answer.status, report: (await answer.json()) as { ready: boolean; checks: Record<string, string> } };
    };
    expect(await seen()).toEqual({
      status: 200,
      report: { ready: true, checks: { revocations: 'ok', supergraph: 'ok', 'subgraphs seen ready': 'ok', 'subgraph books': 'ok', 'subgraph reviews': 'ok', 'subgraph readers': 'ok' } },
    });
    await stack.subgraphs.readers.stop();
    const down = await eventually('the subgraph being shown as down', async () => {
      const now = await seen();
      return now.report.checks['subgraph readers'] === 'ok' ? undefined : now;
    });
    await stack.subgraphs.readers.start();
    expect(down).toMatchObject({ status: 200, report: { ready: true, checks: { 'subgraph readers': 'does not answer (ECONNREFUSED)' } } });
  });

  test('has its fetches counted', async () => {
    const metrics = await (await fetch(stack.url.replace('/graphql', '/metrics'))).text();
    const counted = (name: string, labels: Record<string, string>) =>
      metrics.split('\n').filter((line) => line.startsWith(`${name}{`) && Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)));
    expect(counted('gateway_subgraph_fetch_seconds_count', { subgraph: 'readers', outcome: 'SERVICE_UNAVAILABLE' })).toHaveLength(1);
    expect(counted('gateway_operations_total', { kind: 'query', outcome: 'SERVICE_UNAVAILABLE' })).toHaveLength(1);
  });
});

describe('A subgraph that answers badly', () => {
  let stack: Stack | undefined;
  let stopSubgraph: (() => Promise<void>) | undefined;
  afterEach(async () => {
    await stack?.stop();
    await stopSubgraph?.();
  });

  /** The library with reviews served by `answer`. */
  async function withReviews(answer: RequestListener, environment: Record<string, string> = {}): Promise<Stack> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stopSubgraph = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    stack = await startStack({ reviews: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql` }, environment);
    return stack;
  }

  test.each<[string, RequestListener, string]>([
    ['with HTML and a 502', (_, response) => response.writeHead(502).end('<html>nginx at http://10.0.0.7</html>'), 'SERVICE_UNAVAILABLE'],
    ['with text and a 200', (_, response) => response.end('hello from http://10.0.0.7'), 'INTERNAL'],
    ['with JSON that is no GraphQL', (_, response) => response.end('{"hello":"10.0.0.7"}'), 'INTERNAL'],
    ['with errors that are none', (_, response) => response.end('{"errors":["10.0.0.7"]}'), 'INTERNAL'],
    ['with an error of no known code', (_, response) => response.end('{"errors":[{"message":"10.0.0.7","extensions":{"code":"ELASTIC"}}]}'), 'INTERNAL'],
    ['with an error without a code', (_, response) => response.end('{"errors":[{"message":"10.0.0.7"}]}'), 'INTERNAL'],
    ['by hanging up', (request) => request.destroy(), 'SERVICE_UNAVAILABLE'],
    ['by hanging up in the middle', (_, response) => response.write('{"data":', () => response.destroy()), 'SERVICE_UNAVAILABLE'],
    ['with a refusal of the secret', (_, response) => response.writeHead(403).end('{"errors":[{"message":"10.0.0.7","extensions":{"code":"FORBIDDEN","reason":"NOT_THE_GATEWAY"}}]}'), 'INTERNAL'],
    ['with entities that are none', (_, response) => response.end('{"data":{"_entities":"10.0.0.7"}}'), 'INTERNAL'],
  ])('%s costs its own fields and leaks nothing', async (_what, answer, code) => {
    const { query } = await withReviews(answer);
    const result = await query(BOOKS_WITH_REVIEWS);
    expect(result.status).toBe(200);
    expect(result.errors?.length).toBeGreaterThan(0);
    expect(new Set(result.errors?.map(({ extensions }) => extensions['code']))).toEqual(new Set([code]));
    expect(result.text).not.toMatch(/10\.0\.0\.7|nginx|hello|serviceName|stack|Expected/);
  });

  test('too late costs its own fields when its time is over, and the next answer is taken', async () => {
    let waits = 1;
    const { query, logs } = await withReviews(
      (request, response) => {
        if (request.method === 'POST' && waits > 0) waits -= 1;
        else response.end('{"data":{"_entities":[{"rating":3.5}]}}');
      },
      { SUBGRAPH_TIMEOUT_MS: '250' },
    );
    const startedAt = performance.now();
    const late = await query('{ book(id: "b1") { title rating } }');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(250);
    expect(late.data).toEqual({ book: { title: 'The Parrot', rating: null } });
    expect(late.errors).toMatchObject([{ path: ['book', 'rating'], extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
    expect(logs.findLast(({ msg }) => msg === 'an operation failed')).toMatchObject({ fetchFailures: ['reviews: no answer within the deadline'] });
    expect((await query('{ book(id: "b1") { rating } }')).data).toEqual({ book: { rating: 3.5 } });
  });

  test('with more than 16 MiB costs its own fields', async () => {
    const { query } = await withReviews((_, response) => response.end(`{"data":{"_entities":[{"rating":1}]},"extensions":"${'x'.repeat(17 * 1024 * 1024)}"}`));
    expect((await query('{ book(id: "b1") { rating } }')).errors).toMatchObject([{ path: ['book', 'rating'], extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
  });

  test('with a refusal of the whole request keeps its code and message, at the fields’ paths', async () => {
    const { query } = await withReviews((_, response) => response.writeHead(401).end('{"errors":[{"message":"Sign in again","extensions":{"code":"UNAUTHENTICATED","stacktrace":["at 10.0.0.7"],"serviceName":"x"}}]}'));
    const result = await query('{ book(id: "b1") { title rating } }');
    expect(result.data).toEqual({ book: { title: 'The Parrot', rating: null } });
    expect(result.errors).toEqual([{ message: 'Sign in again', path: ['book', 'rating'], extensions: { code: 'UNAUTHENTICATED' } }]);
  });

  test('with null where the schema allows none gives the field an error', async () => {
    const { query } = await withReviews((_, response) => response.end('{"data":{"_entities":[{"reviews":null}]}}'));
    const result = await query('{ book(id: "b1") { title reviews { stars } } whoami }');
    expect(result.data).toEqual({ book: null, whoami: 'ann' });
    expect(result.errors).toEqual([{ message: expect.any(String), path: ['book', 'reviews'], extensions: { code: 'INTERNAL', requestId: expect.any(String) } }]);
    expect(result.text).not.toContain('valueCompletion');
  });

  test('once because a kept connection ended is asked again, when it was a query', async () => {
    let asked = 0;
    const { query } = await withReviews((request, response) => {
      asked += 1;
      if (asked === 1) request.socket.destroy();
      else response.end('{"data":{"_entities":[{"rating":3.5}]}}');
    });
    const result = await query('{ book(id: "b1") { rating } }');
    expect(result.data).toEqual({ book: { rating: 3.5 } });
    expect(asked).toBe(2);
  });
});
