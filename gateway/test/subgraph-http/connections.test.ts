import type { Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { answered, ask, never, poolTo, serve } from './asking.ts';
import { answerOf } from './raw-server.ts';

describe('Connections', () => {
  test('are at most so many, each with one request at a time, and requests get them in the order in which they came', async () => {
    const held: Socket[] = [];
    const server = await serve((socket) => void held.push(socket));
    const pool = poolTo(server.url, { connections: 2 });
    const outcomes = ['1', '2', '3', '4', '5', '6'].map((body) => ask(pool, { body }));
    for (let count = 2; count <= 6; count += 2) {
      await eventually('two requests', () => server.requests.length === count);
      for (const socket of held.splice(0)) socket.write(answerOf('{}'));
    }
    await Promise.all(outcomes);
    expect(server.sockets).toHaveLength(2);
    expect(server.requests.map(({ text }) => text.slice(-1)).join('')).toMatch(/^(12|21)(34|43)(56|65)$/);
  });

  test('are waited for by at most 10,000 requests', async () => {
    const server = await serve(() => {});
    const pool = poolTo(server.url, { connections: 1 });
    const outcomes = Array.from({ length: 10_001 }, () => ask(pool));
    expect(await outcomes.at(-1)).toEqual({ problem: 'more than 10000 requests wait for a connection' });
    pool.destroy();
    expect(await outcomes[0]).toEqual({ problem: 'the connections are closed' });
    expect(await outcomes[5_000]).toEqual({ problem: 'the connections are closed' });
  });

  test('are used again from the one used last', async () => {
    const held: Socket[] = [];
    const server = await serve((socket) => void held.push(socket));
    const pool = poolTo(server.url);
    const both = [ask(pool), ask(pool)];
    await eventually('two requests', () => held.length === 2);
    held[1]?.write(answerOf('{}'));
    await Promise.race(both);
    held[0]?.write(answerOf('{}'));
    await Promise.all(both);
    // It rests until its socket was heard again.
    for (let turn = 0; turn < 3; turn += 1) await setImmediate();
    const third = ask(pool);
    await eventually('a third request', () => held.length === 3);
    expect(held[2]).toBe(held[0]);
    held[2]?.write(answerOf('{}'));
    expect(await third).toEqual(answered('{}'));
  });

  test.each([
    ['that is more than the answer', (socket: Socket) => socket.write(`${answerOf('1')}${answerOf('of nobody')}`)],
    ['after HTTP/1.0', (socket: Socket) => socket.write('HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\n1')],
    ['after "connection: close"', (socket: Socket) => socket.write(answerOf('1', 'connection: close'))],
    ['that the server keeps for a second', (socket: Socket) => socket.write(answerOf('1', 'keep-alive: timeout=1'))],
  ])('are not used again %s', async (_what, first) => {
    const server = await serve((socket, _text, count) => (count === 1 ? first(socket) : socket.write(answerOf('2'))));
    const pool = poolTo(server.url);
    expect(await ask(pool)).toEqual(answered('1'));
    expect(await ask(pool)).toEqual(answered('2'));
    expect(server.sockets).toHaveLength(2);
    await eventually('the end of the first connection', () => server.sockets[0]?.destroyed);
  });

  test('carry nothing for a server that speaks first', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}')));
    let first = true;
    server.onConnection((socket) => {
      if (first) socket.write(answerOf('of nobody'));
      first = false;
    });
    expect(await ask(poolTo(server.url))).toEqual(answered('{}'));
    expect(server.requests.map(({ connection }) => connection)).toEqual([1]);
  });

  test('end when something comes that nobody asked for', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}')));
    const pool = poolTo(server.url);
    await ask(pool);
    server.sockets[0]?.write(answerOf('of nobody'));
    await eventually('the end of the connection', () => server.sockets[0]?.destroyed);
    expect(await ask(pool)).toEqual(answered('{}'));
    expect(server.sockets).toHaveLength(2);
  });

  test('carry nothing more when something was sent on them that was not heard yet', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}')));
    const pool = poolTo(server.url);
    await ask(pool);
    await new Promise<void>((resolve) => server.sockets[0]?.write(answerOf('of nobody'), () => resolve()));
    expect(await ask(pool)).toEqual(answered('{}'));
    expect(server.sockets).toHaveLength(2);
  });

  test('end a second before the server ends them', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}', 'keep-alive: timeout=2')));
    const pool = poolTo(server.url);
    await ask(pool);
    await ask(pool);
    expect(server.sockets).toHaveLength(1);
    await eventually('the end of the connection', () => server.sockets[0]?.destroyed);
  });
});

describe('A lost connection', () => {
  const lose = (socket: Socket) => socket.destroy();
  const reset = (socket: Socket) => socket.resetAndDestroy();
  test.each([['ended', lose], ['reset', reset]])('that was kept alive and is %s before the answer is replaced, once', async (_how, end) => {
    const server = await serve((socket, _text, count) => (count === 1 ? socket.write(answerOf('1')) : count === 2 ? end(socket) : socket.write(answerOf('3'))));
    const pool = poolTo(server.url);
    await ask(pool);
    expect(await ask(pool, { body: 'twice' })).toEqual(answered('3'));
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 0, 1]);
    expect(server.requests[2]?.text).toBe(server.requests[1]?.text);
  });

  test.each([
    ['a request that may change something', false, (count: number) => count > 1, 2],
    ['a request that lost its new connection', true, (count: number) => count > 0, 1],
  ])('is not replaced for %s', async (_what, retryOnce, loses, requestCount) => {
    const server = await serve((socket, _text, count) => (loses(count) ? lose(socket) : socket.write(answerOf('1'))));
    const pool = poolTo(server.url);
    if (requestCount === 2) await ask(pool);
    expect(await ask(pool, { retryOnce })).toEqual({ problem: 'no answer (the connection was closed)' });
    expect(server.requests).toHaveLength(requestCount);
  });

  test('is not replaced twice', async () => {
    const held: Socket[] = [];
    const server = await serve((socket, text, count) => (count <= 2 ? void held.push(socket) : text.endsWith('lost') ? lose(socket) : void socket.write(answerOf('{}'))));
    const pool = poolTo(server.url, { connections: 2 });
    const both = [ask(pool), ask(pool)];
    await eventually('two connections', () => held.length === 2);
    for (const socket of held) socket.write(answerOf('{}'));
    await Promise.all(both);
    expect(await ask(pool, { body: 'lost' })).toEqual({ problem: 'no answer (the connection was closed)' });
    expect(server.requests).toHaveLength(4);
  });

  test.each(['H', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{', 'HTTP/1.1 100 Continue\r\n\r\n'])('is not replaced when the answer had begun: %j', async (begun) => {
    const server = await serve((socket, _text, count) => (count === 1 ? socket.write(answerOf('1')) : socket.end(begun)));
    const pool = poolTo(server.url);
    await ask(pool);
    expect(await ask(pool)).toEqual({ problem: 'no answer (the connection was closed)' });
    expect(server.requests).toHaveLength(2);
  });
});

describe('Who waits no longer', () => {
  test('past the deadline is told so, and the connection ends', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\n'));
    const pool = poolTo(server.url, { connections: 1 });
    const outcomes = await Promise.all([ask(pool, { deadlineMs: 50 }), ask(pool, { deadlineMs: 50 })]);
    expect(outcomes).toEqual([{ problem: 'no answer within the deadline' }, { problem: 'no answer within the deadline' }]);
    await eventually('the end of the connections', () => server.sockets.every(({ destroyed }) => destroyed));
  });

  test('ends the connection, and what waited for it goes on over another', async () => {
    const server = await serve((socket, text) => void (text.endsWith('answer') && socket.write(answerOf('{}'))));
    const pool = poolTo(server.url, { connections: 1 });
    const cancellation = never();
    const [first, waiting, second] = [ask(pool, { cancellation }), ask(pool, { cancellation }), ask(pool, { body: 'answer' })];
    await eventually('the request', () => server.requests.length === 1);
    cancellation.isCancelled = true;
    for (const fetch of cancellation.running) fetch.abort();
    const outcomes = await Promise.all([first, waiting, second, ask(pool, { cancellation })]);
    const nobody = { problem: 'nobody waits for the answer any more' };
    expect(outcomes).toEqual([nobody, nobody, answered('{}'), nobody]);
    expect(server.requests).toHaveLength(2);
    expect(server.sockets[0]?.destroyed).toBe(true);
    expect(cancellation.running.size).toBe(0);
  });
});

describe('A closed pool', () => {
  test('lets what is under way finish, and takes nothing new', async () => {
    const held: Socket[] = [];
    const server = await serve((socket) => void held.push(socket));
    const pool = poolTo(server.url, { connections: 1 });
    const outcomes = [ask(pool), ask(pool)];
    await eventually('a request', () => held.length === 1);
    const closed = pool.close();
    expect(await ask(pool)).toEqual({ problem: 'the connections are closed' });
    held[0]?.write(answerOf('1'));
    await eventually('the other request', () => held.length === 2);
    held[1]?.write(answerOf('2'));
    expect(await Promise.all(outcomes)).toEqual([answered('1'), answered('2')]);
    await closed;
    await eventually('the end of the connection', () => server.sockets[0]?.destroyed);
  });

  test('waits so long and no longer', async () => {
    const server = await serve(() => {});
    const pool = poolTo(server.url);
    const outcome = ask(pool);
    await eventually('a request', () => server.requests.length === 1);
    await pool.close(20);
    expect(await outcome).toEqual({ problem: 'the connections are closed' });
  });

  test('has nothing to wait for when nothing is under way', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}')));
    const pool = poolTo(server.url);
    await ask(pool);
    await pool.close();
    await eventually('the end of the connection', () => server.sockets[0]?.destroyed);
    await poolTo(server.url).close();
  });
});
