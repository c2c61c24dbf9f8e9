import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newEvent } from '@ates/shared-events/event';
import { taskAssignedV1 } from '@ates/shared-events/task-events';
import { userDeactivatedV1 } from '@ates/shared-events/user-events';
import { eventually } from '../../../scripts/test-service.ts';
import { ASSIGN, COMPLETE, DELETE, OCCURRENCE, SHUFFLE, TasksFixture, UPDATE, type TestPopug } from './tasks-fixture.ts';

describe('whoever watches their tasks', () => {
  let market: TasksFixture;
  let ann: TestPopug;
  let bob: TestPopug;
  beforeAll(async () => {
    market = await TasksFixture.open();
    ann = await market.employee('Ann');
    bob = await market.employee('Bob');
  });
  afterAll(() => market?.close());

  /** Watches, and knows that it has begun: a change of a task of theirs has arrived. */
  const watch = async (popug: TestPopug) => {
    const watching = await market.watch(popug.id);
    const task = await taskOf(popug);
    await eventually(async () => {
      await market.gql(UPDATE, { id: task.id, input: { description: crypto.randomUUID() } });
      return watching.changes.length > 0;
    });
    await eventually(async () => (await market.service.sql('select from outbox where stream_seq is null')).length === 0);
    return { ...watching, of: (id: string) => watching.changes.filter((change) => change.task.id === id).map(({ kind }) => kind) };
  };
  const taskOf = async ({ id }: TestPopug) => {
    const task = await market.created();
    if (task.assignee.id !== id) await market.gql(ASSIGN, { id: task.id, assigneeId: id });
    return task;
  };

  test('hears of what is assigned to them, updated, completed, taken away and deleted, in order, and of nothing else', async () => {
    const [anns, bobs] = [await watch(ann), await watch(bob)];
    const [done, moved, deleted, own] = [await taskOf(ann), await taskOf(ann), await taskOf(ann), await taskOf(bob)];
    await market.gql(UPDATE, { id: done.id, input: { title: 'Feed it well' } });
    await market.gql(COMPLETE, { id: done.id }, market.as(ann.id));
    await market.gql(ASSIGN, { id: moved.id, assigneeId: bob.id });
    await market.gql(DELETE, { id: deleted.id });
    await market.gql(COMPLETE, { id: own.id }, market.as(bob.id));
    await eventually(() => bobs.of(own.id).includes('COMPLETED') && anns.of(deleted.id).includes('DELETED'));
    expect(anns.of(done.id)).toEqual(['ASSIGNED', 'UPDATED', 'COMPLETED']);
    expect(anns.of(moved.id)).toEqual(['ASSIGNED', 'UNASSIGNED']);
    expect(anns.of(deleted.id)).toEqual(['ASSIGNED', 'DELETED']);
    expect(anns.of(own.id).filter((kind) => kind !== 'ASSIGNED' && kind !== 'UNASSIGNED')).toEqual([]);
    expect(bobs.of(moved.id).at(-1)).toBe('ASSIGNED');
    expect(bobs.of(deleted.id)).not.toContain('DELETED');
    expect(anns.changes.find((change) => change.task.id === done.id && change.kind === 'COMPLETED')?.task).toMatchObject({ title: 'Feed it well', status: 'DONE', assignee: { id: ann.id } });
    anns.stop();
    bobs.stop();
  });

  test('hears of a shuffle: of each task that comes, stays or goes, once', async () => {
    const anns = await watch(ann);
    const made = await Promise.all(Array.from({ length: 20 }, () => taskOf(ann)));
    await eventually(() => made.every(({ id }) => anns.of(id).at(-1) === 'ASSIGNED'));
    const before = anns.changes.length;
    await market.gql(SHUFFLE);
    await eventually(() => made.every(({ id }) => anns.changes.slice(before).some((change) => change.task.id === id)));
    for (const { id } of made) {
      const { assignee } = await market.task(id);
      const heard = anns.changes.slice(before).filter((change) => change.task.id === id);
      expect(heard.map(({ kind }) => kind)).toEqual([assignee.id === ann.id ? 'ASSIGNED' : 'UNASSIGNED']);
    }
    anns.stop();
  });

  test('hears that their tasks go to others when they are deactivated', async () => {
    const leaver = await market.employee('Leaver');
    const watching = await watch(leaver);
    const task = await taskOf(leaver);
    const state = { version: 2, name: 'Leaver', email: 'leaver@ates.test', roles: ['EMPLOYEE' as const], status: 'DEACTIVATED' as const };
    await market.service.publish(Object.assign(newEvent(userDeactivatedV1, leaver.id, state, OCCURRENCE), { sequence: '9' }));
    await eventually(() => watching.of(task.id).at(-1) === 'UNASSIGNED');
    watching.stop();
  });

  test('hears of an event once, however often it is published, and is not disturbed by what is no event', async () => {
    const anns = await watch(ann);
    const task = await taskOf(ann);
    await eventually(() => anns.of(task.id).length > 0);
    const heard = anns.of(task.id).length;
    const data = { version: 9, assignmentNumber: 9, assigneeId: ann.id, previousAssigneeId: null, businessDay: '2026-11-20', assignedAt: OCCURRENCE.time.toISOString() };
    const repeated = JSON.stringify({ ...newEvent(taskAssignedV1, task.id, data, OCCURRENCE), sequence: '9' });
    // As a relay publishes again what it does not know to have arrived.
    for (const text of [repeated, 'no event', repeated, repeated]) market.service.nats.publish('ates.tasks.task.assigned.v1.0', text);
    const last = await taskOf(ann);
    await eventually(() => anns.of(last.id).at(-1) === 'ASSIGNED');
    expect(anns.of(task.id)).toHaveLength(heard + 1);
    anns.stop();
  });

  test('nobody watches without being signed in', async () => {
    const nobody = await market.watch('nobody who has arrived');
    await eventually(() => nobody.errors.length > 0);
    expect(nobody.errors[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });
});
