import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { textFrame } from './text-frame.ts';

let server: Server;
let client: WebSocket;
let socket: Socket;
beforeAll(async () => {
  server = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request: IncomingMessage, upgraded: Socket, head: Buffer) => {
    socket = upgraded;
    sockets.handleUpgrade(request, upgraded, head, () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(client, 'open');
});
afterAll(async () => {
  client.terminate();
  await new Promise((resolve) => server.close(resolve));
});

describe('A text frame', () => {
  test.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])('of %i bytes arrives as it is', async (length) => {
    const text = 'x'.repeat(length);
    const arrived = once(client, 'message');
    socket.write(textFrame(text));
    const [data, isBinary] = (await arrived) as [Buffer, boolean];
    expect([data.toString() === text, isBinary]).toEqual([true, false]);
  });

  test('holds characters of any width', async () => {
    const text = `${'é'.repeat(100)}🦜"\u0000${'語'.repeat(30_000)}`;
    const arrived = once(client, 'message');
    socket.write(textFrame(text));
    expect(((await arrived) as [Buffer])[0].toString()).toBe(text);
  });
});
