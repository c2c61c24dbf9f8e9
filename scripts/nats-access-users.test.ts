import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { AuthorizationError, connect, type Msg, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { connectNats } from '../service-kit/src/nats.ts';
import { natsUrl, type RunningNats, startNats } from './embedded-nats.ts';
import { OPERATOR, serviceUsers } from './nats-access.ts';

let server: RunningNats;
const storeDir = mkdtempSync(join(tmpdir(), 'ates-nats-answers-'));
const passwordOf = (user: string): string => `of-${user}`;

beforeAll(async () => {
  server = await startNats({ storeDir, port: 0, user: OPERATOR, password: passwordOf(OPERATOR), otherUsers: serviceUsers(passwordOf) });
});

afterAll(async () => {
  await server?.stop();
  rmSync(storeDir, { recursive: true, force: true });
});

const connectAs = (user: string): Promise<NatsConnection> => connectNats(natsUrl({ port: server.port, user, password: passwordOf(user) }), user, pino({ enabled: false }));

test('users answers where a question wants it, once, and nobody who did not ask', async () => {
  const [users, asking] = await Promise.all([connectAs('users'), connectAs('tasks')]);
  const refused: string[] = [];
  void (async () => {
    for await (const status of users.status()) if (status.type === 'error' && status.error instanceof PermissionViolationError) refused.push(status.error.subject);
  })();
  const answers: string[] = [];
  asking.subscribe('_INBOX_tasks.answers', { callback: (_error, message) => void answers.push(message.string()) });
  const questions: Msg[] = [];
  users.subscribe('live.users.revocations.since', { callback: (_error, message) => void questions.push(message) });
  await Promise.all([asking.flush(), users.flush()]);
  users.publish('_INBOX_tasks.answers', 'unasked');
  await users.flush();
  asking.publish('live.users.revocations.since', '', { reply: '_INBOX_tasks.answers' });
  await asking.flush();
  await users.flush();
  expect(questions).toHaveLength(1);
  for (const answer of ['first', 'second']) questions[0]?.respond(answer);
  await users.flush();
  await asking.flush();
  await turn();
  expect(answers).toEqual(['first']);
  expect(refused).toEqual(['_INBOX_tasks.answers', '_INBOX_tasks.answers']);
  await Promise.all([users.close(), asking.close()]);
});

test.each([
  ['nobody', {}],
  ['an unknown user', { user: 'mail', pass: passwordOf('mail') }],
  ['a user without a password', { user: 'users' }],
  ['a wrong password', { user: 'users', pass: 'wrong' }],
  ["another user's password", { user: 'users', pass: passwordOf('tasks') }],
  ["a service's password for the operator", { user: OPERATOR, pass: passwordOf('users') }],
])('%s is not let in', async (_who, credentials) => {
  await expect(connect({ servers: `127.0.0.1:${server.port}`, reconnect: false, ...credentials })).rejects.toThrow(AuthorizationError);
});
