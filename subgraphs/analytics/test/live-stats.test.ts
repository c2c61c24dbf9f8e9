import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connectNats, type NatsConnection } from '@ates/service-kit/nats';
import { natsUrl } from '../../../scripts/embedded-nats.ts';
import { startTestNats, TEST_NATS_PASSWORD } from '../../../scripts/test-nats.ts';
import { readDays, type DayStats } from '../src/day-stats.ts';
import { createLiveStats, LIVE_INTERVAL_MS } from '../src/live-stats.ts';
import { LOGGER, openModel, type TestModel } from './api-fixture.ts';

describe('Who watches the stats of the day', () => {
  let model: TestModel;
  let employee: string;
  const streams: AsyncIterator<any>[] = [];
  beforeAll(async () => {
    model = await openModel();
    employee = await model.hire('Ann');
  });
  afterAll(async () => {
    for (const stream of streams) await stream.return?.();
    await model?.close();
  });
  const watch = async (): Promise<AsyncIterator<any>> => {
    const stream = await model.watch('subscription { dayStatsChanged { day companyEarnings balances { edges { node { closing employee { name } } } } } }');
    streams.push(stream);
    return stream;
  };
  const next = async (stream: AsyncIterator<any>): Promise<any> => JSON.parse(JSON.stringify((await stream.next()).value)).data.dayStatsChanged;
  const until = async (stream: AsyncIterator<any>, isThere: (stats: any) => boolean): Promise<any> => {
    for (;;) {
      const stats = await next(stream);
      if (isThere(stats)) return stats;
    }
  };
  const charge = async (amount: number) => model.live.announce(await model.apply(model.entry(employee, { kind: 'FEE', amount: -amount, day: model.day })));

  test('gets them at once, and again when they have changed', async () => {
    const stream = await watch();
    expect(await next(stream)).toEqual({ day: model.day, companyEarnings: 0, balances: { edges: [] } });
    await charge(10_00);
    expect(await until(stream, ({ companyEarnings }) => companyEarnings !== 0)).toEqual({
      day: model.day,
      companyEarnings: 10_00,
      balances: { edges: [{ node: { closing: -10_00, employee: { name: 'Ann' } } }] },
    });
  });

  test('gets them at most three times a second however many events come, and the last ones in the end', async () => {
    const stream = await watch();
    const announcing = setInterval(() => model.live.announce([model.day]), 1);
    await next(stream);
    await next(stream);
    const since = performance.now();
    for (let count = 0; count < 4; count += 1) await next(stream);
    clearInterval(announcing);
    // Timers of Node may be a millisecond early.
    expect(performance.now() - since).toBeGreaterThan(4 * (LIVE_INTERVAL_MS - 10));
    await charge(5_00);
    await until(stream, ({ companyEarnings }) => companyEarnings === 15_00);
  });

  test('is behind by one value at most, and that is the latest', async () => {
    const slow = await watch();
    const quick = await watch();
    await next(slow);
    await charge(1_00);
    await until(quick, ({ companyEarnings }) => companyEarnings === 16_00);
    await charge(1_00);
    await until(quick, ({ companyEarnings }) => companyEarnings === 17_00);
    expect((await next(slow)).companyEarnings).toBe(17_00);
  });

  test('gets the new day once it has begun, though nothing happens on it', async () => {
    const stream = await watch();
    await next(stream);
    model.day = '2026-11-21';
    expect(await until(stream, ({ day }) => day === '2026-11-21')).toMatchObject({ companyEarnings: 0 });
  });

  test('hears of changes whichever replica they come to', async () => {
    const nats = await startTestNats();
    const connections: NatsConnection[] = [];
    const replica = async () => {
      const live = createLiveStats({ currentDay: () => Promise.resolve(model.day), read: async (day) => (await readDays(model.database.sql, [day]))[0] as DayStats, logger: LOGGER });
      const connection = await connectNats(natsUrl({ port: nats.port, user: 'analytics', password: TEST_NATS_PASSWORD }), 'analytics', LOGGER);
      connections.push(connection);
      live.connect(connection);
      await connection.flush();
      return live;
    };
    const [here, there] = [await replica(), await replica()];
    const stream = there.watch();
    const before = ((await stream.next()).value as DayStats).companyEarnings;
    here.announce(await model.apply(model.entry(employee, { kind: 'FEE', amount: -2_00, day: model.day })));
    expect(((await stream.next()).value as DayStats).companyEarnings).toBe(before + 2_00);
    here.stop();
    there.stop();
    expect(await stream.next()).toMatchObject({ done: true });
    for (const connection of connections) await connection.drain();
    await nats.stop();
  });
});
