import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../scripts/test-service.ts';
import { createLogger } from '../src/logger.ts';
import { createMetrics } from '../src/metrics.ts';
import { registerRevocations } from '../src/revocations.ts';
import { ann, startRevocations, SUBJECT, table } from './revocations-fixture.ts';

let house: Awaited<ReturnType<typeof startRevocations>>;
beforeAll(async () => {
  house = await startRevocations();
});
afterEach(() => house.stopAll());
afterAll(() => house?.stop());

function recording() {
  const lines: string[] = [];
  return { lines, logger: createLogger('test', 'info', { write: (line) => void lines.push((JSON.parse(line) as { msg: string }).msg) }) };
}

/** Says something as Users, by hand. */
function say(message: object): void {
  house.users.publish(SUBJECT, JSON.stringify({ at: new Date().toISOString(), keys: ['k1'], entries: [], ...message }));
}

test('what was revoked before the start is known as soon as the feed is current', async () => {
  const told = table();
  told.revoke({ userId: 'ann', belowVersion: 4 });
  house.announce(told);
  const feed = house.follow();
  expect(feed.isCurrent()).toBe(false);
  await eventually(() => feed.isCurrent());
  expect(feed.isRevoked(ann)).toBe(true);
  expect(feed.isRevoked({ ...ann, userVersion: 4 })).toBe(false);
});

test('a revocation is heard at once, not at the next heartbeat, and listeners are told once', async () => {
  const told = table();
  const announcer = house.announce(told, { intervalMs: 60_000 });
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  let calls = 0;
  const stopListening = feed.onRevoked(() => void (calls += 1));
  told.revoke({ sessionId: 's1' });
  announcer.announceNow();
  await eventually(() => feed.isRevoked(ann), 1_000);
  expect(calls).toBe(1);
  announcer.announceNow();
  await house.users.flush();
  await house.gateway.flush();
  stopListening();
  told.revoke({ sessionId: 's2' });
  announcer.announceNow();
  await eventually(() => feed.isRevoked({ ...ann, sessionId: 's2' }), 1_000);
  expect(calls).toBe(1);
});

test('heartbeats keep the feed current; without them it is not, and what is known stays known', async () => {
  const told = table();
  told.revoke({ sessionId: 's1' });
  const announcer = house.announce(told);
  const feed = house.follow({ staleAfterMs: 400 });
  await eventually(() => feed.isCurrent());
  // 16 heartbeats take twice the time after which silence counts.
  const heartbeats = told.asked.length + 16;
  await eventually(() => told.asked.length >= heartbeats);
  expect(feed.isCurrent()).toBe(true);
  await announcer.stop();
  await eventually(() => !feed.isCurrent(), 1_000);
  expect(feed.isRevoked(ann)).toBe(true);
  told.revoke({ sessionId: 's2' });
  house.announce(told);
  await eventually(() => feed.isCurrent());
  expect(feed.isRevoked({ ...ann, sessionId: 's2' })).toBe(true);
});

test('a read that fails means silence, is logged once, and so is its end', async () => {
  const { lines, logger } = recording();
  const told = table();
  house.announce(told, { logger, intervalMs: 20 });
  const feed = house.follow({ staleAfterMs: 200 });
  await eventually(() => feed.isCurrent());
  told.failing = true;
  await eventually(() => !feed.isCurrent());
  told.failing = false;
  await eventually(() => feed.isCurrent());
  expect(lines.filter((line) => line.startsWith('revocations cannot be told'))).toHaveLength(1);
  expect(lines.filter((line) => line.startsWith('revocations are told again'))).toHaveLength(1);
});

test('a feed that becomes stale says so in the log, once, and when it is current again', async () => {
  const { lines, logger } = recording();
  const announcer = house.announce(table());
  const feed = house.follow({ logger, staleAfterMs: 1_500 });
  await eventually(() => lines.includes('revocations are heard: roles are current'));
  await announcer.stop();
  await eventually(() => lines.some((line) => line.startsWith('revocations are not heard')));
  house.announce(table());
  await eventually(() => lines.length === 3);
  expect(lines[2]).toBe(lines[0]);
  await eventually(() => feed.isCurrent());
});

test('a gap is asked for, and what is heard beyond it counts at once', async () => {
  const told = table();
  for (const sessionId of ['s0', 's1', 's2']) told.revoke({ sessionId });
  const known = table();
  known.revoke({ sessionId: 's0' });
  const answering = house.announce(known, { intervalMs: 60_000 });
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  await answering.stop();
  say({ after: 2, last: 3, entries: [{ seq: 3, sessionId: 's2' }] });
  await eventually(() => feed.isRevoked({ ...ann, sessionId: 's2' }));
  expect(feed.isCurrent()).toBe(false);
  expect(feed.isRevoked(ann)).toBe(false);
  house.announce(told);
  await eventually(() => feed.isCurrent());
  expect(told.asked).toContain(1);
  expect(feed.isRevoked(ann)).toBe(true);
});

test('an answer in several parts is asked for to its end', async () => {
  const told = table();
  for (let number = 0; number < 25; number++) told.revoke({ sessionId: `s${number}` });
  const announcer = house.announce(told, { intervalMs: 60_000 });
  await eventually(() => told.asked.length === 1);
  told.pageMax = 10;
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  expect(told.asked).toEqual([0, 0, 10, 20]);
  for (let number = 0; number < 25; number++) expect(feed.isRevoked({ ...ann, sessionId: `s${number}` })).toBe(true);
  for (let number = 25; number < 60; number++) told.revoke({ sessionId: `s${number}` });
  announcer.announceNow();
  await eventually(() => feed.isRevoked({ ...ann, sessionId: 's59' }));
  for (let number = 25; number < 60; number++) expect(feed.isRevoked({ ...ann, sessionId: `s${number}` })).toBe(true);
  expect(feed.isCurrent()).toBe(true);
});

test('several senders that tell the same do no harm', async () => {
  const told = table();
  const other = await house.connectAs('users');
  house.onStop(() => other.close());
  const announcers = [house.announce(told), house.announce(told, { nats: other })];
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  for (let number = 0; number < 40; number++) {
    told.revoke({ sessionId: `s${number}` });
    announcers[number % 2]?.announceNow();
    await eventually(() => feed.isRevoked({ ...ann, sessionId: `s${number}` }), 1_000);
    expect(feed.isCurrent()).toBe(true);
  }
});

test('a database that was restored begins with smaller numbers, and is followed from there', async () => {
  const before = table();
  for (let number = 0; number < 50; number++) before.revoke({ sessionId: `s${number}` });
  const announcer = house.announce(before);
  const feed = house.follow({ staleAfterMs: 500 });
  await eventually(() => feed.isCurrent());
  await announcer.stop();
  await eventually(() => !feed.isCurrent());
  const restored = table();
  for (let number = 0; number < 40; number++) restored.revoke({ sessionId: `s${number}` });
  house.announce(restored);
  await eventually(() => feed.isCurrent());
  expect(feed.isRevoked({ ...ann, sessionId: 's49' })).toBe(true);
  restored.revoke({ userId: 'ann', belowVersion: 9 });
  await eventually(() => feed.isRevoked({ ...ann, sessionId: 'new' }));
  expect(feed.isCurrent()).toBe(true);
});

test('a key that was withdrawn refuses what it signed, and lets pass what another signed', async () => {
  const told = table(['k1', 'k2']);
  house.announce(told);
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  expect(feed.isRevoked(ann)).toBe(false);
  told.keys = ['k2'];
  await eventually(() => feed.isRevoked(ann), 2_000);
  expect(feed.isRevoked({ ...ann, keyId: 'k2' })).toBe(false);
});

test('Prometheus is shown the age and the refusals by reason', async () => {
  const told = table();
  told.revoke({ sessionId: 's1' });
  house.announce(told);
  const feed = house.follow();
  const registry = createMetrics('test');
  registerRevocations(registry, feed);
  await eventually(() => feed.isCurrent());
  feed.isRevoked(ann);
  feed.isRevoked({ ...ann, sessionId: 's2' });
  feed.isRevoked({ ...ann, sessionId: 's2', keyId: 'k9' });
  const shown = await registry.metrics();
  expect(shown).toMatch(/^ates_revocations_age_seconds\{service="test"\} 0(\.\d+)?$/m);
  for (const [reason, count] of [['session', 1], ['key', 1], ['user', 0]]) expect(shown).toContain(`ates_revocations_refusals_total{reason="${reason}",service="test"} ${count}`);
});
