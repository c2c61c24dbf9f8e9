import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import type { HttpAnswer } from '../src/http-post.ts';
import { answered, ask, cleanUps, poolTo, serve } from './subgraph-http/asking.ts';
import { answerOf } from './subgraph-http/raw-server.ts';
import { createSelfSigned } from './subgraph-http/self-signed.ts';
import { eventually } from './support/eventually.ts';

describe('A post', () => {
  test('reaches an HTTP server whole, and its answer comes back', async () => {
    const server = createHttpServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { host, 'x-name': name, 'content-length': length, 'content-type': type } = request.headers;
        response.statusCode = 201;
        const told = JSON.stringify({ method: request.method, url: request.url, host, name, length, type, body: Buffer.concat(chunks).toString() });
        // In chunks, and then with a length.
        if (request.headers['x-chunks'] === 'yes') response.write(told.slice(0, 10));
        response.end(request.headers['x-chunks'] === 'yes' ? told.slice(10) : told);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUps.push(() => server.close());
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pool = poolTo(`http://${host}/graph?x=1`);
    for (const [body, length] of [['{"a":1}', '7'], ['{"a":"é😀"}', '14'], ['', '0'], ['é'.repeat(200_000), '400000']] as const) {
      for (const chunks of ['yes', 'no']) {
        const outcome = await ask(pool, { body, headers: ['x-name', 'Zoë', 'x-chunks', chunks] });
        expect(outcome).toHaveProperty('status', 201);
        expect(JSON.parse((outcome as HttpAnswer).body)).toEqual({ method: 'POST', url: '/graph?x=1', host, name: 'Zoë', length, type: 'application/json', body });
      }
    }
  });

  test('is one write, and the next one goes over the same connection', async () => {
    const server = await serve((socket, text) => socket.write(answerOf(text.slice(-1))));
    const pool = poolTo(server.url);
    for (const body of ['1', '2', '3']) expect(await ask(pool, { body })).toEqual(answered(body));
    expect(server.sockets).toHaveLength(1);
  });

  test('whose header would end its line is not sent, and its value is not told', async () => {
    const server = await serve((socket) => socket.write(answerOf('{}')));
    expect(await ask(poolTo(server.url), { headers: ['authorization', 'secret\r\nx: y'] })).toEqual({ problem: 'the header authorization has a character that no header may have' });
    expect(server.sockets).toHaveLength(0);
  });

  test('fails without the address where nobody listens', async () => {
    const server = await serve(() => {});
    await server.stop();
    cleanUps.pop();
    expect(await Promise.all(Array.from({ length: 10 }, () => ask(poolTo(server.url))))).toEqual(Array.from({ length: 10 }, () => ({ problem: 'no answer (ECONNREFUSED)' })));
    const pool = poolTo(server.url);
    expect(await Promise.all(Array.from({ length: 10 }, () => ask(pool)))).toEqual(Array.from({ length: 10 }, () => ({ problem: 'no answer (ECONNREFUSED)' })));
  });

  test('fails when the answer breaks a rule, and the connection ends', async () => {
    const server = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}'));
    expect(await ask(poolTo(server.url))).toEqual({ problem: 'the answer tells its length twice' });
    await eventually('the end of the connection', () => server.sockets[0]?.destroyed);
    expect(server.requests).toHaveLength(1);
  });

  test('takes an answer that ends with its connection', async () => {
    const server = await serve((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n{}'));
    expect(await ask(poolTo(server.url))).toEqual(answered('{}'));
  });

  test('takes an answer that comes before it is written, and the connection ends', async () => {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => {}));
      socket.once('data', () => {
        socket.pause();
        socket.write(answerOf('too large', 'connection: keep-alive'));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanUps.push(() => server.close());
    const pool = poolTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`);
    expect(await ask(pool, { body: 'x'.repeat(15_000_000) })).toEqual(answered('too large'));
    sockets[0]?.resume();
    await eventually('the end of the connection', () => sockets[0]?.destroyed);
    expect(sockets).toHaveLength(1);
  });
});

describe('Over TLS', () => {
  const { cert, key } = createSelfSigned('localhost');
  const startSecure = async (onConnection: (socket: Socket, secure: (socket: Socket) => void) => void = (socket, secure) => secure(socket)) => {
    const seen: { servername: unknown; protocol: unknown; body: string }[] = [];
    const secure = createHttpsServer({ cert, key, ALPNProtocols: ['h2', 'http/1.1'] }, (request, response) => {
      const { servername, alpnProtocol } = request.socket as TLSSocket & { servername?: unknown };
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        seen.push({ servername, protocol: alpnProtocol, body });
        response.end(`"${'é'.repeat(100_000)}"`);
      });
    });
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => {}));
      onConnection(socket, (accepted) => secure.emit('connection', accepted));
    });
    server.listen(0);
    await once(server, 'listening');
    cleanUps.push(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return { port: (server.address() as AddressInfo).port, seen, sockets };
  };

  test('a server is asked for by name, verified, and spoken to in HTTP/1.1 over connections that are kept', async () => {
    const { port, seen, sockets } = await startSecure();
    const pool = poolTo(`https://localhost:${port}/graphql`, { ca: cert });
    for (const body of ['1', 'é']) expect(await ask(pool, { body })).toEqual(answered(`"${'é'.repeat(100_000)}"`));
    expect(seen).toEqual(['1', 'é'].map((body) => ({ servername: 'localhost', protocol: 'http/1.1', body })));
    expect(sockets.size).toBe(1);
  });

  test('a server that nobody vouches for, or for another name, is told nothing', async () => {
    const { port, seen } = await startSecure();
    expect(await ask(poolTo(`https://localhost:${port}/graphql`))).toEqual({ problem: 'no answer (DEPTH_ZERO_SELF_SIGNED_CERT)' });
    expect(await ask(poolTo(`https://127.0.0.1:${port}/graphql`, { ca: cert }))).toEqual({ problem: 'no answer (ERR_TLS_CERT_ALTNAME_INVALID)' });
    expect(seen).toEqual([]);
  });

  test('a connection that could not be opened is replaced once, also for what changes something', async () => {
    let refused = 1;
    const { port, seen } = await startSecure((socket, secure) => (refused-- > 0 ? socket.destroy() : secure(socket)));
    const pool = poolTo(`https://localhost:${port}/graphql`, { ca: cert });
    expect(await ask(pool, { retryOnce: false })).toHaveProperty('status', 200);
    expect(seen).toHaveLength(1);
  });

  test('a connection is given up when it is not open after two seconds', async () => {
    const { port } = await startSecure(() => {});
    expect(await ask(poolTo(`https://localhost:${port}/graphql`, { ca: cert }))).toEqual({ problem: 'no connection within 2000 ms' });
  });
});
