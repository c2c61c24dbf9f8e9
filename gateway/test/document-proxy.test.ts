import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type RequestListener } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { listen, type RunningHttpServer } from '@ates/service-kit/http-server';
import { createLogger } from '@ates/service-kit/logger';
import { createDoors, type DoorDeadlines, type Doors } from '../src/doors.ts';
import { eventually } from './support/eventually.ts';
import { startStack } from './support/stack.ts';

const TOKEN = 'Aa0-_'.repeat(16);
const FILE = 'loans-2026-11-20.csv';
const PATH = `/papers/${TOKEN}/${FILE}`;
const SECRET = 'the secret of archive';
const DOORS = [
  { path: 'papers', subgraph: 'archive', seconds: 300 },
  { path: 'maps', subgraph: 'atlas', seconds: 1_800 },
  { path: 'leaflets', subgraph: 'unguarded', seconds: 300 },
];
const TEXT = 'record,number\r\nOWNER,\r\n';

describe('The gateway’s route to documents', () => {
  let archive: RunningHttpServer;
  let gateway: RunningHttpServer;
  let doors: Doors;
  /** What the archive does, and what it was asked. */
  let answer: RequestListener;
  const asked: { method: string | undefined; url: string | undefined; headers: IncomingHttpHeaders }[] = [];
  const logs: string[] = [];

  async function start(deadlines?: DoorDeadlines, url = `http://127.0.0.1:${archive.port}/graphql`): Promise<void> {
    const logger = createLogger('gateway', 'debug', { write: (line) => void logs.push(line) });
    const endpoint = (name: string) => (url === '' ? undefined : { name, url, secret: name === 'unguarded' ? undefined : `the secret of ${name}` });
    doors = createDoors({ doors: DOORS, endpoint, logger, ...(deadlines && { deadlines }) });
    gateway = await listen((request, response) => void (doors.handle(request, response) || response.writeHead(404).end()), '127.0.0.1', 0);
  }
  beforeAll(async () => {
    archive = await listen(
      (request, response) => {
        asked.push({ method: request.method, url: request.url, headers: request.headers });
        answer(request, response);
      },
      '127.0.0.1',
      0,
    );
  });
  beforeEach(() => {
    asked.length = 0;
    logs.length = 0;
    answer = (_request, response) =>
      void response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': `attachment; filename="${FILE}"`, 'set-cookie': 'a=b', 'x-powered-by': 'parrots' }).end(TEXT);
  });
  afterEach(async () => {
    await gateway?.stop();
    await doors?.stop();
    // The link is a key: whatever happened, it is in no log.
    if (logs.join('').includes(TOKEN)) throw new Error('A link was logged');
  });
  afterAll(() => archive?.stop());

  const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${gateway.port}${path}`, init);
  const told = async (response: Response) => ({ status: response.status, ...((await response.json()) as { errors: { message: string; extensions: object }[] }).errors[0] });
  /** A path as it is, which fetch would tidy. */
  const raw = (path: string) =>
    new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(gateway.port, '127.0.0.1', () => void socket.write(`GET ${path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n`));
      socket.on('data', (chunk) => void (text += chunk.toString('latin1')));
      socket.on('error', reject);
      socket.on('end', () => resolve(text));
    });

  test('passes on the document and what it is, adds that nobody keeps it, and nothing else', async () => {
    await start();
    const response = await get(PATH);
    expect([response.status, await response.text()]).toEqual([200, TEXT]);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="${FILE}"`,
      'cache-control': 'private, no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'x-request-id': expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect([response.headers.get('set-cookie'), response.headers.get('x-powered-by')]).toEqual([null, null]);
  });

  test('asks the archive with the secret and the trace, and with nothing of the request but the link', async () => {
    await start();
    await get(`${PATH}?file=../../graphql`, { headers: { authorization: 'Bearer x', cookie: 'a=b', 'x-gateway-secret': 'guess', traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` } });
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'GET', url: PATH, headers: { 'x-gateway-secret': SECRET, traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` } });
    expect(Object.keys(asked[0]?.headers ?? {}).toSorted()).toEqual(['connection', 'host', 'traceparent', 'x-gateway-secret']);
  });

  test('asks the subgraph of each door with its own secret, and without one where there is none', async () => {
    await start();
    const paths = [`/maps/${TOKEN}/harbour.pdf`, `/leaflets/${TOKEN}/${FILE}`];
    for (const path of paths) expect((await get(path)).status).toBe(200);
    expect(asked.map(({ url, headers }) => [url, headers['x-gateway-secret']])).toEqual([[paths[0], 'the secret of atlas'], [paths[1], undefined]]);
    answer = (_request, response) => void response.writeHead(403).end();
    expect((await get(paths[0] ?? '')).status).toBe(500);
    expect(logs.join('')).toMatch(/"door":"maps".*a document could not be passed on/);
  });

  test('leaves what is behind none of the doors to others', async () => {
    await start();
    for (const path of ['/', '/graphql', `/letters/${TOKEN}/${FILE}`, `//papers/${TOKEN}/${FILE}`, '/papers']) expect((await get(path)).status).toBe(404);
    expect(asked).toEqual([]);
  });

  test('finds it beside the URL of GraphQL, wherever that is', async () => {
    await start(undefined, `http://127.0.0.1:${archive.port}/services/archive/graphql?version=1`);
    expect((await get(PATH)).status).toBe(200);
    expect(asked[0]?.url).toBe(`/services/archive${PATH}`);
  });

  test('answers HEAD without the document', async () => {
    await start();
    const response = await get(PATH, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'text/csv; charset=utf-8', '']);
    expect(asked[0]?.method).toBe('HEAD');
  });

  test.each([404, 410, 500, 503])('passes on a refusal with status %i', async (status) => {
    answer = (_request, response) => void response.writeHead(status, { 'content-type': 'application/json' }).end('{"errors":[{"message":"ask for a new link"}]}');
    await start();
    const response = await get(PATH);
    expect([response.status, response.headers.get('cache-control'), await response.json()]).toEqual([status, 'private, no-store', { errors: [{ message: 'ask for a new link' }] }]);
  });

  test.each([302, 403])('does not let its user pay for an answer %i, which says that the two are set up wrongly', async (status) => {
    answer = (_request, response) => void response.writeHead(status, { location: 'http://evil.test/', 'content-type': 'application/json' }).end('{"errors":[{"message":"a secret of the inside"}]}');
    await start();
    const response = await get(PATH, { redirect: 'manual' });
    expect(response.headers.get('location')).toBeNull();
    expect(await told(response)).toMatchObject({ status: 500, message: expect.stringMatching(/^Something went wrong on our side/), extensions: { code: 'INTERNAL' } });
    expect(logs.join('')).toContain(`HTTP ${status}`);
  });

  test.each([
    ['another path of the service', '/papers/../graphql'],
    ['dots, encoded', '/papers/%2e%2e/graphql'],
    ['slashes, encoded', `/papers/..%2f..%2fgraphql${'A'.repeat(60)}/${FILE}`],
    ['slashes in the file, encoded', `/papers/${TOKEN}/..%2F..%2Fmetrics`],
    ['a line end, encoded', `/papers/${TOKEN}%0d%0ahost:evil/${FILE}`],
    ['a line end after the file', `/papers/${TOKEN}/${FILE}%0a`],
    ['a null', `/papers/${TOKEN}%00/${FILE}`],
    ['a question mark, encoded', `/papers/${TOKEN}%3f/${FILE}`],
    ['a broken encoding', `/papers/${TOKEN}%E0%A4/${FILE}`],
    ['a token that is too short', `/papers/${TOKEN.slice(0, 39)}/${FILE}`],
    ['a token that is too long', `/papers/${'A'.repeat(201)}/${FILE}`],
    ['a file that begins with a dot', `/papers/${TOKEN}/.env`],
    ['a file with a name of more than 128 characters', `/papers/${TOKEN}/${'a'.repeat(129)}`],
    ['no file', `/papers/${TOKEN}`],
    ['more than a file', `${PATH}/../../../graphql`],
    ['an empty segment', `/papers//${TOKEN}/${FILE}`],
    ['backslashes', `/papers/${TOKEN}\\..\\..\\graphql/${FILE}`],
  ])('does not send on %s', async (_, path) => {
    await start();
    expect(await raw(path)).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(asked).toEqual([]);
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS'])('does not send on %s', async (method) => {
    await start();
    await get(PATH, { method });
    expect(asked).toEqual([]);
  });

  test('says what to do when the archive is down, without its address', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => closed.once('listening', resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    await start(undefined, `http://127.0.0.1:${port}/graphql`);
    const response = await get(PATH);
    expect(response.headers.get('content-disposition')).toBeNull();
    expect(await told(response)).toEqual({ status: 503, message: 'Documents cannot be had right now: open the link again in a few seconds, or ask for a new one', extensions: { code: 'SERVICE_UNAVAILABLE' } });
    expect(logs.join('')).toContain('ECONNREFUSED');
    expect(logs.join('')).not.toContain('127.0.0.1');
  });

  test('says the same while it does not know where the archive is', async () => {
    await start(undefined, '');
    expect(await told(await get(PATH))).toMatchObject({ status: 503, extensions: { code: 'SERVICE_UNAVAILABLE' } });
  });

  test('waits no longer than its deadline for an answer to begin', async () => {
    const cut = Promise.withResolvers<void>();
    answer = (request) => void request.on('close', () => cut.resolve());
    await start({ answerMs: 50, wholeMs: 60_000 });
    expect(await told(await get(PATH))).toMatchObject({ status: 503, extensions: { code: 'SERVICE_UNAVAILABLE' } });
    await cut.promise;
    expect(logs.join('')).toContain('no answer within 50 ms');
  });

  test('breaks off what has not been passed on whole by its deadline', async () => {
    const cut = Promise.withResolvers<void>();
    answer = (_request, response) => {
      response.on('close', () => cut.resolve());
      response.writeHead(200, { 'content-type': 'text/csv' }).write(TEXT);
    };
    await start({ answerMs: 10_000, wholeMs: 100 });
    const response = await get(PATH);
    await expect(response.text()).rejects.toThrow('terminated');
    await cut.promise;
    const log = await eventually('its log', () => logs[0]);
    expect(log).toMatch(/not taken whole within 100 ms.*a document ended before it was whole/);
  });

  test('breaks off when the archive does, so that half a document is not taken for a whole one', async () => {
    const begun = Promise.withResolvers<void>();
    answer = (request, response) => {
      response.writeHead(200, { 'content-type': 'text/csv' }).write(TEXT);
      void begun.promise.then(() => request.socket.destroy());
    };
    await start();
    const response = await get(PATH);
    begun.resolve();
    await expect(response.text()).rejects.toThrow('terminated');
    expect(await eventually('its log', () => logs[0])).toContain('a document ended before it was whole');
  });

  test('takes from the archive no more than its client takes, and stops when the client leaves', async () => {
    const CHUNK = Buffer.alloc(64 * 1024);
    const WHOLE_BYTES = 512 * 1024 * 1024;
    let written = 0;
    const left = Promise.withResolvers<void>();
    let held = 0;
    answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/csv' });
      const more = (): void => {
        while (written < WHOLE_BYTES) {
          written += CHUNK.length;
          if (!response.write(CHUNK)) {
            held += 1;
            return void response.once('drain', more);
          }
        }
        response.end();
      };
      response.once('close', () => left.resolve());
      more();
    };
    await start();
    const taken = await new Promise<IncomingMessage>((resolve, reject) => void httpRequest({ host: '127.0.0.1', port: gateway.port, path: PATH }, resolve).on('error', reject).end());
    taken.on('error', () => undefined);
    await eventually('the line being full', () => held > 0);
    taken.destroy();
    await left.promise;
    expect(written).toBeLessThan(WHOLE_BYTES / 4);
    expect(logs).toEqual([]);
  });
});

describe('A whole gateway', () => {
  test('serves its doors beside GraphQL', async () => {
    const stack = await startStack({}, { DOORS: 'papers=books:60' });
    const response = await fetch(stack.url.replace('/graphql', PATH));
    expect((await stack.query('{ whoami }')).status).toBe(200);
    await stack.stop();
    // Beside its GraphQL the library's books have nothing.
    expect([response.status, response.headers.get('referrer-policy')]).toEqual([404, 'no-referrer']);
  });
});
