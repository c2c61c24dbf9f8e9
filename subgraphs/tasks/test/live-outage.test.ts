import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import { connectNats, type NatsConnection } from '@ates/service-kit/nats';
import { newEvent } from '@ates/shared-events/event';
import { taskUpdatedV1 } from '@ates/shared-events/task-events';
import { v7 as uuidv7 } from 'uuid';
import { natsUrl, startNats, type RunningNats } from '../../../scripts/embedded-nats.ts';
import { chooseFreePorts } from '../../../scripts/free-ports.ts';
import { createLiveTasks } from '../src/live-tasks.ts';

const LOGGER = createLogger('test', 'silent');
const ACCOUNT = { user: 'test', password: 'test' };
const storeDir = mkdtempSync(join(tmpdir(), 'ates-test-live-'));
let server: RunningNats;
let connection: NatsConnection;
let port = 0;
beforeAll(async () => {
  [port = 0] = await chooseFreePorts(1);
  server = await startNats({ storeDir, port, ...ACCOUNT });
  connection = await connectNats(natsUrl({ port, ...ACCOUNT }), 'test', LOGGER);
});
afterAll(async () => {
  await connection?.close();
  await server?.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

test('whoever watched while the connection was down is told to look again, and hears everything after that', async () => {
  const live = createLiveTasks(LOGGER);
  live.connect(connection);
  const [ann, taskId] = [uuidv7(), uuidv7()];
  const updated = (version: number): string => {
    const moment = new Date().toISOString();
    const data = { version, number: 1, ticket: null, title: 'Feed the parrot', description: '', status: 'OPEN' as const, creatorId: ann, createdAt: moment, assigneeId: ann, updatedBy: ann, updatedAt: moment };
    return JSON.stringify({ ...newEvent(taskUpdatedV1, taskId, data, { time: new Date(), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' }), sequence: String(version) });
  };
  const watching = await live.watch(ann);
  connection.publish('ates.tasks.task.updated.v1.0', updated(1));
  expect(await watching.next()).toEqual({ value: { taskId, kind: 'UPDATED' }, done: false });
  const next = watching.next();
  process.kill(server.pid, 'SIGKILL');
  await server.stop();
  server = await startNats({ storeDir, port, ...ACCOUNT });
  await expect(next).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('reload myTasks') });
  const again = await live.watch(ann);
  connection.publish('ates.tasks.task.updated.v1.0', updated(2));
  expect(await again.next()).toEqual({ value: { taskId, kind: 'UPDATED' }, done: false });
  await again.return?.();
});
