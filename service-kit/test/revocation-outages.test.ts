import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { natsUrl } from '../../scripts/embedded-nats.ts';
import { startTestNats, TEST_NATS_PASSWORD } from '../../scripts/test-nats.ts';
import { eventually } from '../../scripts/test-service.ts';
import { connectNats, watchConnection } from '../src/nats.ts';
import { ann, silent, startRevocations, SUBJECT, table } from './revocations-fixture.ts';

/** In which several heartbeats would have been said. */
const SILENCE_MS = 200;

let house: Awaited<ReturnType<typeof startRevocations>>;
beforeAll(async () => {
  house = await startRevocations();
});
afterEach(() => house.stopAll());
afterAll(() => house?.stop());

test('garbage among the messages harms nobody, nor does a message that a stream delivers there', async () => {
  const operator = await connectNats(house.server.url, 'operator', silent);
  house.onStop(() => operator.close());
  const told = table();
  house.announce(told);
  const feed = house.follow();
  await eventually(() => feed.isCurrent());
  for (const garbage of ['popug', 'null', '[]', '{}', '{"after":1}', '{"after":2,"last":1,"keys":[],"entries":[]}', '{"after":0,"last":1,"keys":[],"entries":[{}]}', '{"after":0,"last":0,"keys":[1],"entries":[]}']) {
    operator.publish(SUBJECT, garbage);
    operator.publish(`${SUBJECT}.since`, garbage);
  }
  const manager = await jetstreamManager(operator);
  await manager.streams.add({ name: 'TASKS', subjects: ['ates.tasks.>'] });
  await jetstream(operator).publish('ates.tasks.forged', JSON.stringify({ at: '', keys: [], after: 0, last: 0, entries: [{ seq: 1, sessionId: 's1' }] }));
  const accounting = await house.connectAs('accounting');
  house.onStop(() => accounting.close());
  await (await jetstreamManager(accounting)).consumers.add('TASKS', { name: 'accounting-0', ack_policy: AckPolicy.None });
  accounting.publish('$JS.API.CONSUMER.MSG.NEXT.TASKS.accounting-0', '{"batch":1,"no_wait":true}', { reply: SUBJECT });
  await eventually(async () => (await manager.consumers.info('TASKS', 'accounting-0')).delivered.consumer_seq === 1);
  told.revoke({ sessionId: 's2' });
  await eventually(() => feed.isRevoked({ ...ann, sessionId: 's2' }));
  expect(feed.isRevoked(ann)).toBe(false);
  expect(feed.isCurrent()).toBe(true);
});

test('a feed waits for Users without a sound, and is current soon after it came', async () => {
  const feed = house.follow();
  await house.gateway.flush();
  expect(feed.isCurrent()).toBe(false);
  expect(feed.ageMs()).toBe(Number.POSITIVE_INFINITY);
  expect(feed.isRevoked(ann)).toBe(false);
  house.announce(table());
  await eventually(() => feed.isCurrent(), 3_000);
});

test('a feed waits for NATS, asks after a restart of NATS for what it missed, and gives up when it is told to', async () => {
  const own = await startTestNats();
  const sender = await house.connectAs('users', own.port);
  const told = table();
  house.announce(told, { nats: sender });
  await own.stop();
  const connecting = house.connectAs('gateway', own.port);
  const feed = house.follow({ nats: connecting });
  const second = await startTestNats(own.port);
  await eventually(() => feed.isCurrent());
  let lost = false;
  watchConnection(sender, (isConnected) => void (lost = !isConnected));
  await second.stop();
  await eventually(() => lost);
  told.revoke({ sessionId: 's1' });
  const asked = told.asked.length;
  await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
  // Nothing is said without a connection: it would be lost, and the next message would leave a gap.
  expect(told.asked).toHaveLength(asked);
  const third = await startTestNats(own.port);
  await eventually(() => feed.isRevoked(ann));
  await eventually(() => feed.isCurrent());
  await Promise.all([sender.close(), connecting.then((nats) => nats.close())]);
  await third.stop();

  const giveUp = new AbortController();
  const never = connectNats(natsUrl({ port: own.port, user: 'gateway', password: TEST_NATS_PASSWORD }), 'gateway', silent, giveUp.signal);
  giveUp.abort();
  await expect(never).rejects.toThrow();
});

test('a feed that had lost its connection is not current before Users has answered what was missed', async () => {
  const own = await startTestNats();
  const [sender, hearing] = await Promise.all([house.connectAs('users', own.port), house.connectAs('gateway', own.port)]);
  const announcer = house.announce(table(), { nats: sender });
  const feed = house.follow({ nats: hearing, staleAfterMs: 60_000 });
  await eventually(() => feed.isCurrent());
  await announcer.stop();
  await own.stop();
  const second = await startTestNats(own.port);
  await eventually(() => !feed.isCurrent());
  house.announce(table(), { nats: sender });
  await eventually(() => feed.isCurrent());
  await Promise.all([sender.close(), hearing.close()]);
  await second.stop();
});
