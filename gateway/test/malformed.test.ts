import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WebSocket } from 'ws';
import { attack, badLines, leftBehind } from '../../chaos/gateway-attack.ts';
import { startProgram, type GatewayProgram } from '../../chaos/gateway-program.ts';
import { createTarget } from '../../chaos/gateway-target.ts';
import { eventually } from './support/eventually.ts';
import { openRawSocket } from './support/raw-socket.ts';

/** As npm run chaos:gateway sends them, which sends very many more. */
const REQUESTS = 1_500;
const SEED = 20_261_122;
const SUBSCRIPTION = 'subscription { ticked(every: 60000, times: 100) }';

let program: GatewayProgram;
let url: string;
beforeAll(async () => {
  program = await startProgram(['--max-socket-buffer-bytes', '65536']);
  url = `http://127.0.0.1:${program.port}/graphql`;
});
afterAll(() => program?.stop());

async function expectToServe(): Promise<void> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ tree(id: 7) { name picker { name } } }"}' });
  expect([answer.status, await answer.json()]).toEqual([200, { data: { tree: { name: 'tree 7', picker: { name: 'picker k1' } } } }]);
}

/** A connection on which all is written by hand. */
function rawConnection(): { readonly socket: Socket; received(): string; readonly closed: Promise<unknown> } {
  const socket = connect({ port: program.port, host: '127.0.0.1', allowHalfOpen: true });
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1'))).on('error', () => {});
  return { socket, received: () => received, closed: new Promise((resolve) => socket.once('close', resolve).once('end', resolve)) };
}

test(`A gateway that is sent ${REQUESTS} malformed requests answers each that can be, with no 5xx and nothing of its insides, and keeps nothing of them`, async () => {
  const target = createTarget(program.port);
  await attack({ target, seed: SEED, from: 0, to: REQUESTS, width: 32 });
  expect(target.findings).toEqual([]);
  expect(target.kinds.size).toBe(7);
  expect(await leftBehind(program)).toEqual([]);
  expect(badLines(program)).toEqual([]);
  expect(program.ended()).toBeUndefined();
  await expectToServe();
});

describe('A socket', () => {
  test('whose ping is nested ten thousand levels deep is closed, and no other', async () => {
    const [socket, other] = await Promise.all([openRawSocket(url, {}), openRawSocket(url, {})]);
    socket.send(`{"type":"ping","payload":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`);
    expect(await socket.closed).toEqual({ code: 4400, reason: 'The payload of ping is nested too deeply' });
    other.send({ type: 'ping', payload: { still: 'here' } });
    expect(await other.message({ type: 'pong' })).toEqual({ type: 'pong', payload: { still: 'here' } });
    other.socket.close();
  });

  test.each([
    ['pings', (socket: WebSocket) => socket.send(JSON.stringify({ type: 'ping', payload: { text: 'x'.repeat(30_000) } }))],
    ['operations that are refused', (socket: WebSocket) => socket.send(JSON.stringify({ type: 'subscribe', id: 'x'.repeat(30_000), payload: { query: '{ nothing }' } }))],
  ])('that sends %s and reads no answer is closed when too much waits', async (_what, send) => {
    const { socket, closed } = await openRawSocket(url, {});
    program.lines.length = 0;
    socket.pause();
    await eventually('the closing', () => {
      // The kernels of both sides hold some megabytes.
      for (let round = 0; round < 20; round += 1) send(socket);
      return program.lines.some((line) => line.includes('its client reads too slowly'));
    });
    socket.resume();
    expect(await closed).toEqual({ code: 1013, reason: expect.stringContaining('RATE_LIMITED') });
  });

  test('at a path where none is served is cut, also when its client does not close', async () => {
    const { socket, received, closed } = rawConnection();
    socket.write('GET /elsewhere HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n');
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 404 /);
    // What has been destroyed, and not only ended, resets whoever goes on writing.
    await eventually('the cut', () => socket.destroyed || (socket.write('x'), false));
  });
});

describe('A request', () => {
  test('whose client would go on with another protocol than WebSocket is answered by HTTP/1.1', async () => {
    const { socket, received, closed } = rawConnection();
    const body = '{"query":"{ __typename }"}';
    socket.write(`POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    await eventually('the answer', () => received().includes('{"data":{"__typename":"Query"}}'));
    socket.destroy();
    await closed;
  });

  test('by HEAD opens no stream: it would never be answered', async () => {
    const asked = await fetch(`${url}?query=${encodeURIComponent(SUBSCRIPTION)}`, { method: 'HEAD', headers: { accept: 'text/event-stream', 'apollo-require-preflight': '1' } });
    expect(asked.status).toBe(405);
    expect(await program.metric('gateway_subscriptions')).toBe(0);
  });

  test('whose body comes when its stream is closed begins nothing', async () => {
    const token = await (await fetch(`${url}/stream`, { method: 'PUT' })).text();
    const leaving = new AbortController();
    const headers = { 'x-graphql-event-stream-token': token };
    const stream = await fetch(`${url}/stream`, { headers: { ...headers, accept: 'text/event-stream' }, signal: leaving.signal });
    expect(stream.status).toBe(200);
    const body = JSON.stringify({ query: SUBSCRIPTION, extensions: { operationId: 'late' } });
    const { socket, received, closed } = rawConnection();
    socket.write(`POST /graphql/stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\nx-graphql-event-stream-token: ${token}\r\nexpect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n`);
    await eventually('the leave to send the body', () => received().includes('100 Continue'));
    leaving.abort();
    await eventually('the end of the stream', async () => (await fetch(`${url}/stream?token=${token}&operationId=none`, { method: 'DELETE' })).status === 404);
    socket.write(body);
    await closed;
    socket.destroy();
    expect(received()).toMatch(/HTTP\/1\.1 404 [^]*This stream is closed/);
    expect(await program.metric('gateway_subscriptions')).toBe(0);
  });
});
