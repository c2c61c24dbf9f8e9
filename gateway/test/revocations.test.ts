import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { WebSocket } from 'ws';
import { eventually } from './support/eventually.ts';
import { startStack, type Stack } from './support/stack.ts';
import { subscribe } from './support/subscriber.ts';

/** "Within 2 s, everywhere": measured from the moment at which Users tells it. */
const REFUSED_WITHIN_MS = 2_000;
const REVOKED = { code: 'UNAUTHENTICATED', reason: 'REVOKED' };

let stack: Stack;
afterEach(() => stack?.stop());

/** An open socket of a user, as a browser has one. */
async function openSocket(authorization: string): Promise<{ socket: WebSocket; closed: Promise<{ code: number; reason: string; afterMs: number }> }> {
  const socket = new WebSocket(stack.url.replace('http', 'ws'), 'graphql-transport-ws');
  const openedAt = performance.now();
  const closed = once(socket, 'close').then(([code, reason]) => ({ code: code as number, reason: String(reason), afterMs: performance.now() - openedAt }));
  await once(socket, 'open');
  const acknowledged = once(socket, 'message');
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } }));
  await acknowledged;
  return { socket, closed };
}

describe('A user who was revoked', () => {
  let ann: string;
  let bob: string;
  beforeEach(async () => {
    stack = await startStack();
    [ann, bob] = await Promise.all([stack.issuer.bearer(), stack.issuer.bearer({ userId: 'bob' })]);
  });

  test('is refused over HTTP within 2 s, also with a token that was good before; a newer token and others are not', async () => {
    for (const authorization of [ann, bob]) expect((await stack.query('{ whoami }', { authorization })).status).toBe(200);
    const revokedAt = performance.now();
    stack.revocations.revoke({ userId: 'ann', belowVersion: 2 });
    const refused = await eventually('the refusal', async () => {
      const answer = await stack.query('{ whoami }', { authorization: ann });
      return answer.status === 401 && answer;
    });
    expect(performance.now() - revokedAt).toBeLessThan(REFUSED_WITHIN_MS);
    expect(refused).toMatchObject({ errors: [{ message: expect.stringMatching(/refreshSession.*login/), extensions: REVOKED }] });
    for (const authorization of [bob, await stack.issuer.bearer({ version: 2 })]) expect((await stack.query('{ whoami }', { authorization })).status).toBe(200);
  });

  test('loses all sockets within 2 s, with 4403 and a reason; sockets of others stay, and nobody opens one with that token', async () => {
    const [first, second, others] = await Promise.all([openSocket(ann), openSocket(ann), openSocket(bob)]);
    const revokedAt = performance.now();
    stack.revocations.revoke({ userId: 'ann', belowVersion: 2 });
    for (const { closed } of [first, second]) expect(await closed).toMatchObject({ code: 4403, reason: expect.stringMatching(/^UNAUTHENTICATED: This session was ended, or your rights have changed/) });
    expect(performance.now() - revokedAt).toBeLessThan(REFUSED_WITHIN_MS);
    const again = new WebSocket(stack.url.replace('http', 'ws'), 'graphql-transport-ws');
    await once(again, 'open');
    again.send(JSON.stringify({ type: 'connection_init', payload: { authorization: ann } }));
    expect(await once(again, 'close')).toMatchObject([4403, expect.anything()]);
    expect(others.socket.readyState).toBe(WebSocket.OPEN);
    others.socket.close();
  });

  test('loses the subscriptions at the subgraphs with the socket; those of others go on', async () => {
    const [annClient, bobClient] = await Promise.all([stack.socketClient({ authorization: ann }), stack.socketClient({ authorization: bob })]);
    const [watching, others] = [subscribe(annClient, { query: 'subscription { counted }' }), subscribe(bobClient, { query: 'subscription { counted }' })];
    const { events } = stack.subgraphs.reviews;
    await eventually('both subscriptions', () => events.listenerCount('counted') === 2);
    stack.revocations.revoke({ userId: 'ann', belowVersion: 2 });
    await watching.failure();
    await eventually('one subscription less', () => events.listenerCount('counted') === 1);
    events.emit('counted', 7);
    expect(await others.result(1)).toEqual({ data: { counted: 7 } });
    expect(watching.results).toEqual([]);
  });

  test('is refused in one session only when that was ended, and everywhere when the key is withdrawn', async () => {
    const other = await stack.issuer.bearer({ sessionId: 'other' });
    const { closed } = await openSocket(ann);
    stack.revocations.revoke({ sessionId: 'session-of-ann' });
    expect(await closed).toMatchObject({ code: 4403 });
    expect((await stack.query('{ whoami }', { authorization: ann })).errors?.[0]?.extensions).toEqual(REVOKED);
    expect((await stack.query('{ whoami }', { authorization: other })).status).toBe(200);
    stack.revocations.useKeys(['another-key']);
    const refused = await eventually('the refusal of the key', async () => {
      const answer = await stack.query('{ whoami }', { authorization: other });
      return answer.status === 401 && answer;
    });
    expect(refused.errors?.[0]?.extensions).toEqual(REVOKED);
  });

  test.each([
    ['no version of its user', { version: null }],
    ['half a version', { version: 1.5 }],
  ])('is not known by a token of %s: that is malformed', async (_what, claims) => {
    const answer = await stack.query('{ whoami }', { authorization: await stack.issuer.bearer(claims) });
    expect(answer).toMatchObject({ status: 401, errors: [{ message: expect.stringContaining('not valid') }] });
  });
});

test('while revocations are not heard, what needs a role is refused for the time being, the rest goes on', async () => {
  stack = await startStack();
  const librarian = await stack.issuer.bearer({ roles: ['LIBRARIAN'] });
  expect((await stack.query('{ librarian }', { authorization: librarian })).data).toEqual({ librarian: 'ann' });
  await stack.revocations.stop();
  const refused = await eventually('the refusal', async () => {
    const answer = await stack.query('{ librarian whoami }', { authorization: librarian });
    return answer.errors !== undefined && answer;
  });
  expect(refused.errors).toMatchObject([{ path: ['librarian'], extensions: { code: 'SERVICE_UNAVAILABLE', reason: 'RIGHTS_UNCHECKED' } }]);
  expect(refused.data).toEqual({ librarian: null, whoami: 'ann' });
});

test('a gateway without NATS starts, is ready and serves; it shows that it does not hear revocations, and stops', async () => {
  // Nothing listens there.
  stack = await startStack({}, { NATS_URL: 'nats://gateway:password@127.0.0.1:1' });
  expect((await stack.query('{ whoami }')).data).toEqual({ whoami: 'ann' });
  const { closed, socket } = await openSocket(await stack.issuer.bearer());
  const readiness = await fetch(stack.url.replace('/graphql', '/readyz'));
  expect(readiness.status).toBe(200);
  expect(await readiness.json()).toMatchObject({ ready: true, checks: { revocations: 'are not heard: whatever needs a role is refused' } });
  const metrics = await (await fetch(stack.url.replace('/graphql', '/metrics'))).text();
  expect(metrics).toMatch(/^ates_revocations_age_seconds\{service="gateway"\} \+Inf$/m);
  socket.close();
  await closed;
  await stack.stopGateway();
});
