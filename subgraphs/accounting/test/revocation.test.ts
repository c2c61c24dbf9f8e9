import { userCreatedV1 } from '@ates/shared-events/user-events';
import { newEvent } from '@ates/shared-events/event';
import { ensureStream } from '@ates/shared-events/streams';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { createClient, type Client } from 'graphql-ws';
import { v7 as uuidv7 } from 'uuid';
import { WebSocket } from 'ws';
import { eventually, startTestService, type GraphQLAnswer, type TestService, type TestUser } from '../../../scripts/test-service.ts';

/** "Within 2 s, everywhere": measured from the moment at which Users tells it. */
const REFUSED_WITHIN_MS = 2_000;
const OCCURRENCE = { time: new Date('2026-11-20T10:00:00Z'), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const BALANCE_CHANGED = 'subscription { balanceChanged { balance } }';

let accounting: TestService;
let socket: Client;
beforeAll(async () => {
  accounting = await startTestService('accounting');
  await ensureStream(await jetstreamManager(accounting.nats), 'users');
  const { secret, url } = accounting;
  class GatewaySocket extends WebSocket {
    constructor(address: string, protocols: string | string[]) {
      super(address, protocols, { headers: { 'x-gateway-secret': secret } });
    }
  }
  socket = createClient({ url: `${url.replace('http', 'ws')}/graphql`, webSocketImpl: GatewaySocket, retryAttempts: 0 });
});
afterAll(async () => {
  await socket?.dispose();
  await accounting?.stop();
});

let hired = 0;
async function hire(roles: ('EMPLOYEE' | 'ACCOUNTANT')[] = ['EMPLOYEE']): Promise<TestUser & { sessionId: string }> {
  const user = { id: uuidv7(), roles, sessionId: uuidv7() };
  const created = newEvent(userCreatedV1, user.id, { version: 1, name: 'Ann', email: `${user.id}@ates.test`, roles, status: 'ACTIVE' }, OCCURRENCE);
  await accounting.publish(Object.assign(created, { sequence: String((hired += 1)) }));
  await eventually(async () => (await accounting.gql('{ myAccount { id } }', {}, await accounting.token(user))).data?.['myAccount'] != null);
  return user;
}

const extensionsOf = ({ errors }: Pick<GraphQLAnswer, 'errors'>) => errors?.[0]?.extensions;
const myBalance = (token: string) => accounting.gql('{ myAccount { balance } }', {}, token);

/** A subscription on the one socket that carries those of all users, as the gateway's does. */
function subscribe(token: string) {
  const state = { errors: undefined as { message: string; extensions: { code: string; reason?: string } }[] | undefined, completed: false, unsubscribe: () => {} };
  state.unsubscribe = socket.subscribe(
    { query: BALANCE_CHANGED, extensions: { authorization: `Bearer ${token}` } },
    { next: () => {}, error: (errors) => void (state.errors = errors as never), complete: () => void (state.completed = true) },
  );
  return state;
}

/** Subscriptions are under way when a round trip on their socket has passed. */
async function underWay(token: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.subscribe({ query: '{ __typename }', extensions: { authorization: `Bearer ${token}` } }, { next: () => {}, error: reject, complete: resolve });
  });
}

describe('A user whose rights changed', () => {
  test('is refused within 2 s over HTTP; a newer token and other users are not', async () => {
    const [ann, bob] = [await hire(), await hire()];
    const [old, newer, others] = await Promise.all([accounting.token(ann), accounting.token({ ...ann, version: 2 }), accounting.token(bob)]);
    expect((await myBalance(old)).data).toEqual({ myAccount: { balance: 0 } });
    accounting.revoke({ userId: ann.id, belowVersion: 2 });
    const refused = await eventually(async () => {
      const answer = await myBalance(old);
      return answer.status === 401 ? answer : null;
    }, REFUSED_WITHIN_MS);
    expect(extensionsOf(refused)).toEqual({ code: 'UNAUTHENTICATED', reason: 'REVOKED' });
    expect(refused.errors?.[0]?.message).toMatch(/refreshSession.*login/);
    for (const token of [newer, others]) expect((await myBalance(token)).data).toEqual({ myAccount: { balance: 0 } });
  });

  test('is refused on sockets, for what begins and for what runs; the others on the socket go on', async () => {
    const [ann, bob] = [await hire(), await hire()];
    const [annToken, bobToken] = await Promise.all([accounting.token(ann), accounting.token(bob)]);
    const [watching, others] = [subscribe(annToken), subscribe(bobToken)];
    await underWay(bobToken);
    accounting.revoke({ userId: ann.id, belowVersion: 2 });
    await eventually(() => watching.errors, REFUSED_WITHIN_MS);
    expect(watching.errors).toEqual([{ message: expect.stringContaining('rights have changed'), extensions: { code: 'UNAUTHENTICATED', reason: 'REVOKED' } }]);
    const again = subscribe(annToken);
    await eventually(() => again.errors);
    expect(again.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    await underWay(bobToken);
    expect(others).toMatchObject({ errors: undefined, completed: false });
    others.unsubscribe();
  });
});

test('an ended session is refused, another one of the same user is not', async () => {
  const ann = await hire();
  const [ended, other] = await Promise.all([accounting.token(ann), accounting.token({ ...ann, sessionId: uuidv7() })]);
  const [watching, goingOn] = [subscribe(ended), subscribe(other)];
  await underWay(other);
  accounting.revoke({ sessionId: ann.sessionId });
  await eventually(() => watching.errors, REFUSED_WITHIN_MS);
  expect((await myBalance(ended)).status).toBe(401);
  expect((await myBalance(other)).status).toBe(200);
  expect(goingOn.errors).toBeUndefined();
  goingOn.unsubscribe();
});

test('a subscription ends when its token expires, with the code that says so', async () => {
  const watching = subscribe(await accounting.token({ ...(await hire()), expiresInSeconds: 2 }));
  await eventually(() => watching.errors, 4_000);
  expect(watching.errors).toEqual([{ message: expect.stringContaining('expired'), extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a session that was opened by a second-class credential reads its own account and watches it, and has nothing that a role gives', async () => {
  const [accountant, ann] = [await hire(['ACCOUNTANT']), await hire()];
  const [low, full] = await Promise.all([accounting.token({ ...accountant, assurance: 'low' }), accounting.token(accountant)]);
  expect((await myBalance(low)).data).toEqual({ myAccount: { balance: 0 } });
  const watching = subscribe(low);
  await underWay(low);
  expect(watching.errors).toBeUndefined();
  watching.unsubscribe();
  const annsAccount = (await accounting.gql('{ myAccount { id } }', {}, await accounting.token(ann))).data['myAccount'];
  for (const query of [`{ account(id: "${annsAccount.id}") { balance } }`, '{ accounts { edges { node { id } } } }', '{ companyEarnings }']) {
    const refused = await accounting.gql(query, {}, low);
    expect(extensionsOf(refused)).toEqual({ code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' });
    expect((await accounting.gql(query, {}, full)).errors).toBeUndefined();
  }
  const employee = await accounting.gql(`{ account(id: "${annsAccount.id}") { balance } }`, {}, await accounting.token({ ...(await hire()), assurance: 'low' }));
  expect(extensionsOf(employee)).toEqual({ code: 'FORBIDDEN' });
});

test('a token of no version of its user is refused', async () => {
  const answer = await myBalance(await accounting.token({ ...(await hire()), version: 1.5 }));
  expect(answer.status).toBe(401);
});

// The last one: from here on nothing is told any more.
test('while revocations are not heard, what needs a role is refused for the time being; own reads go on, and so do refusals', async () => {
  const [accountant, ann, gone] = [await hire(['ACCOUNTANT']), await hire(), await hire()];
  const [accountantToken, annToken, goneToken] = await Promise.all([accounting.token(accountant), accounting.token(ann), accounting.token(gone)]);
  const annsAccount = (await accounting.gql('{ myAccount { id } }', {}, annToken)).data['myAccount'];
  accounting.revoke({ userId: gone.id, belowVersion: 2 });
  await eventually(async () => (await myBalance(goneToken)).status === 401, REFUSED_WITHIN_MS);
  await accounting.revocations?.stop();
  const unchecked = await eventually(async () => {
    const answer = await accounting.gql('{ accounts { edges { node { id } } } }', {}, accountantToken);
    return answer.errors === undefined ? null : answer;
  }, 8_000);
  expect(unchecked.errors?.[0]).toMatchObject({ message: "Whether your rights still hold can't be checked right now: try again in a few seconds", extensions: { code: 'SERVICE_UNAVAILABLE', reason: 'RIGHTS_UNCHECKED' } });
  const other = await accounting.gql(`{ account(id: "${annsAccount.id}") { balance } }`, {}, accountantToken);
  expect(extensionsOf(other)).toEqual({ code: 'SERVICE_UNAVAILABLE', reason: 'RIGHTS_UNCHECKED' });
  expect(extensionsOf(await accounting.gql('{ accounts { edges { node { id } } } }', {}, annToken))).toEqual({ code: 'FORBIDDEN' });
  for (const token of [annToken, accountantToken]) expect((await myBalance(token)).data).toEqual({ myAccount: { balance: 0 } });
  expect((await myBalance(goneToken)).status).toBe(401);
  const readiness = await fetch(`${accounting.url}/readyz`);
  expect(readiness.status).toBe(200);
  expect(await readiness.json()).toMatchObject({ checks: { revocations: 'are not heard: whatever needs a role is refused' } });
});
