import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { natsIsReady, prepareNats, startNats } from './embedded-nats.ts';

const user = 'tests';
const password = 'seed-and_nut';
let storeDir: string;

beforeAll(() => {
  storeDir = mkdtempSync(join(tmpdir(), 'ates-nats-'));
});

afterAll(() => rmSync(storeDir, { recursive: true, force: true }));

test('takes a free port, keeps its streams over a stop and lets in who has the password only', async () => {
  const first = await startNats({ storeDir, port: 0, user, password });
  const { port } = first;
  const client = await connect({ servers: `127.0.0.1:${port}`, user, pass: password });
  await (await jetstreamManager(client)).streams.add({ name: 'NUTS', subjects: ['nuts.>'] });
  await jetstream(client).publish('nuts.1', 'almond');
  await client.close();
  expect(await natsIsReady(first.url)).toBe(true);
  expect(await natsIsReady(first.url.replace(password, 'wrong'))).toBe(false);
  await expect(connect({ servers: `127.0.0.1:${port}`, reconnect: false })).rejects.toThrow();
  await first.stop();
  expect(await natsIsReady(first.url)).toBe(false);

  const second = await startNats({ storeDir, port: 0, user, password });
  const again = await connect({ servers: `127.0.0.1:${second.port}`, user, pass: password });
  expect((await (await jetstreamManager(again)).streams.info('NUTS')).state.messages).toBe(1);
  await again.close();
  await second.stop();
});

test('its configuration holds the passwords, so only its owner reads it, and bounds what it stores', () => {
  prepareNats({ storeDir, port: 4222, user, password, maxStoreBytes: 1_000_000 });
  const file = join(storeDir, 'nats-server.conf');
  expect(statSync(file).mode & 0o077).toBe(0);
  expect(readFileSync(file, 'utf8')).toMatch(/listen: "127\.0\.0\.1:4222"[^]*max_file_store: 1000000/);
});

test('says what to do when the program is missing or the password would not fit into a URL', () => {
  expect(() => prepareNats({ storeDir, port: 4222, user, password, program: '/no/nats-server' })).toThrow('NATS_SERVER_BIN');
  expect(() => prepareNats({ storeDir, port: 4222, user, password: 'a@b' })).toThrow('letters, digits');
  expect(() => prepareNats({ storeDir, port: 4222, user, password, otherUsers: [{ name: 'other', password: '$PATH' }] })).toThrow('letters, digits');
});
