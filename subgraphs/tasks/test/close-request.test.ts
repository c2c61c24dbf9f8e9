import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { dayCloseRequestedV1 } from '@ates/shared-events/accounting-events';
import { newEvent } from '@ates/shared-events/event';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../../scripts/test-service.ts';
import { OCCURRENCE, TasksFixture } from './tasks-fixture.ts';

let market: TasksFixture;
beforeAll(async () => {
  market = await TasksFixture.open();
});
afterAll(() => market?.close());

test('a day that is to be closed ends at once, early, with its marker; what comes after counts for the next day; asked again, nothing happens', async () => {
  await market.employee();
  const task = await market.created();
  const businessDay: string = (await market.outboxOf(task.id)).at(-1)?.data.businessDay;
  const ask = (day: string) =>
    market.service.publish(Object.assign(newEvent(dayCloseRequestedV1, uuidv7(), { version: 1, businessDay: day, requestedBy: market.manager.id, requestedAt: OCCURRENCE.time.toISOString() }, OCCURRENCE), { sequence: '1' }));
  const markers = () => market.service.sql<{ data: any }>(`select data from outbox where type = 'tasks.day_ended' order by seq`);
  await ask(businessDay);
  await eventually(async () => (await markers()).length === 1);
  expect((await markers())[0]?.data).toMatchObject({ businessDay, lastTaskNumber: task.number, assignments: 1, completions: 0, deletions: 0 });
  const later = await market.created();
  expect((await market.outboxOf(later.id)).at(-1)?.data.businessDay > businessDay).toBe(true);
  // Neither a day that has ended nor one that has not begun.
  for (const day of [businessDay, '2999-01-01']) await ask(day);
  const applied = async () => (await market.service.sql(`select from inbox`)).length;
  await eventually(async () => (await applied()) >= 5);
  expect(await markers()).toHaveLength(1);
});
