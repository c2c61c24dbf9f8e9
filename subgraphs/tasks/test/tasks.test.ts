import { newEvent } from '@ates/shared-events/event';
import { taskPricedV1 } from '@ates/shared-events/accounting-events';
import { cents } from '@ates/shared-events/cents';
import { userDeactivatedV1, userDeletedV1, userRoleChangedV1, type Role } from '@ates/shared-events/user-events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { eventually } from '../../../scripts/test-service.ts';
import { codeOf, COMPLETE, FIELDS, OCCURRENCE, SHUFFLE, TasksFixture } from './tasks-fixture.ts';

describe('Tasks', () => {
  let market: TasksFixture;
  beforeAll(async () => {
    market = await TasksFixture.open();
  });
  afterAll(() => market?.close());

  test('a task made before there is an employee belongs to nobody, and to the first employee as soon as they arrive', async () => {
    const orphan = await market.created({ title: '[POPUG-1] Wait for a popug' });
    expect(orphan).toMatchObject({ status: 'OPEN', assignee: null, ticket: 'POPUG-1', title: 'Wait for a popug', creator: { id: market.manager.id } });
    expect((await market.gql(SHUFFLE, {}, market.as(market.manager.id))).data['assignTasks'].assigned).toBe(0);
    const ann = { id: uuidv7(), roles: ['EMPLOYEE'] as Role[], name: 'Ann' };
    await market.arrives(ann);
    const assigned = await eventually(async () => {
      const { data } = await market.gql(`query ($id: ID!) { task(id: $id) { ${FIELDS} } }`, { id: orphan.id }, market.as(market.manager.id));
      return data['task'].assignee !== null && data['task'];
    });
    expect(assigned.assignee).toEqual({ id: ann.id, name: 'Ann' });
    expect(await market.outboxOf(orphan.id)).toEqual([
      { version: 1, dataschema: 'task.created.v2', data: expect.objectContaining({ ticket: 'POPUG-1', title: 'Wait for a popug', status: 'OPEN' }) },
      { version: 2, dataschema: 'task.assigned.v1', data: expect.objectContaining({ assignmentNumber: 1, assigneeId: ann.id, previousAssigneeId: null }) },
    ]);
  });

  describe('with employees', () => {
    const employees = Array.from({ length: 3 }, (_, index) => ({ id: uuidv7(), roles: (index === 0 ? ['EMPLOYEE', 'ACCOUNTANT'] : ['EMPLOYEE']) as Role[] }));
    beforeAll(async () => {
      for (const employee of employees) await market.arrives(employee);
    });
    const today = () => new Date().toISOString().slice(0, 10);
    const stranger = (assigneeId: string) => market.as(employees.find(({ id }) => id !== assigneeId)?.id as string);

    test('a new task has a random employee at once, never a manager, and its events tell it', async () => {
      const task = await market.created({ description: 'Twice a day' });
      expect(market.has(task.assignee.id)).toBe(true);
      expect(task.assignee.id).not.toBe(market.manager.id);
      const [first, second] = await market.outboxOf(task.id);
      expect(first?.data).toMatchObject({ version: 1, number: task.number, ticket: null, title: 'Feed the parrot', description: 'Twice a day', creatorId: market.manager.id });
      expect(second?.data).toMatchObject({ version: 2, assignmentNumber: 1, assigneeId: task.assignee.id, businessDay: today() });
    });

    test('task numbers are unique and increase', async () => {
      const [first, second] = [await market.created(), await market.created()];
      expect(second.number).toBeGreaterThan(first.number);
    });

    test('everybody signed in may create a task, nobody else', async () => {
      expect((await market.create({}, market.as(employees[1]?.id as string))).errors).toBeUndefined();
      expect(codeOf(await market.create({}, ''))).toBe('UNAUTHENTICATED');
    });

    test('a title with brackets inside is bad input and makes nothing', async () => {
      const before = await market.service.sql('select from tasks');
      expect(codeOf(await market.create({ title: 'Feed [the] parrot' }))).toBe('BAD_USER_INPUT');
      expect(await market.service.sql('select from tasks')).toHaveLength(before.length);
    });

    test('its assignee completes it, once', async () => {
      const task = await market.created();
      const { data } = await market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id));
      expect(data['completeTask']).toMatchObject({ status: 'DONE', completedAt: expect.any(String) });
      expect((await market.outboxOf(task.id)).at(-1)).toMatchObject({ version: 3, dataschema: 'task.completed.v1', data: { assigneeId: task.assignee.id, assignmentNumber: 1, businessDay: today() } });
      expect(codeOf(await market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id)))).toBe('CONFLICT');
      expect(await market.outboxOf(task.id)).toHaveLength(3);
    });

    test('completions at the same moment are one', async () => {
      const task = await market.created();
      // Somebody holds the row until all of them have come to it.
      const holder = new pg.Client({ connectionString: market.service.database.ownerUrl });
      await holder.connect();
      await holder.query('begin');
      await holder.query('select from task_holders where task_id = $1 for update', [task.id]);
      const completions = Array.from({ length: 5 }, () => market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id)));
      await eventually(async () => {
        const waiting = await market.service.sql('select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()');
        return waiting.length === completions.length;
      });
      await holder.query('commit');
      await holder.end();
      const codes = (await Promise.all(completions)).map(codeOf);
      expect(codes.filter((code) => code === undefined)).toHaveLength(1);
      expect(codes.filter((code) => code === 'CONFLICT')).toHaveLength(4);
      expect(await market.outboxOf(task.id)).toHaveLength(3);
    });

    test('nobody else completes it, not even who made it', async () => {
      const task = await market.created();
      expect(codeOf(await market.gql(COMPLETE, { id: task.id }, stranger(task.assignee.id)))).toBe('FORBIDDEN');
      expect(codeOf(await market.gql(COMPLETE, { id: task.id }, market.as(market.manager.id)))).toBe('FORBIDDEN');
      expect(await market.outboxOf(task.id)).toHaveLength(2);
    });

    test.each([['no id at all', 'popug'], ['an id that nothing has', uuidv7()]])('completing %s is not found', async (_what, id) => {
      expect(codeOf(await market.gql(COMPLETE, { id }, market.as(market.manager.id)))).toBe('NOT_FOUND');
      expect((await market.gql('query ($id: ID!) { task(id: $id) { id } }', { id }, market.as(market.manager.id))).data['task']).toBeNull();
    });

    test('creating twice under one key makes one task; another input under it is a conflict', async () => {
      const input = { title: 'Once', idempotencyKey: 'once' };
      const answers = await Promise.all(Array.from({ length: 5 }, () => market.create(input)));
      expect(new Set(answers.map(({ data }) => data['createTask'].id)).size).toBe(1);
      expect(codeOf(await market.create({ ...input, title: 'Twice' }))).toBe('CONFLICT');
      // Another user's key is another key.
      expect((await market.create(input, market.as(employees[1]?.id as string))).data['createTask'].id).not.toBe(answers[0]?.data['createTask'].id);
    });

    test('a shuffle assigns every open task anew, with an event and a row for each, once per key', async () => {
      const task = await market.created();
      const open = await market.service.sql<{ task_id: string; assignment_number: number }>(`select task_id, assignment_number from task_holders where status = 'OPEN'`);
      const shuffled = await market.gql(SHUFFLE, { key: 'monday' }, market.as(market.manager.id));
      expect(shuffled.data['assignTasks'].assigned).toBe(open.length);
      expect((await market.gql(SHUFFLE, { key: 'monday' }, market.as(market.manager.id))).data).toEqual(shuffled.data);
      const after = await market.service.sql<{ task_id: string; assignment_number: number }>(`select task_id, assignment_number from task_holders where status = 'OPEN'`);
      for (const { task_id, assignment_number } of open) expect(after).toContainEqual({ task_id, assignment_number: assignment_number + 1 });
      const events = await market.outboxOf(task.id);
      expect(events.at(-1)?.data).toMatchObject({ version: 3, assignmentNumber: 2, previousAssigneeId: task.assignee.id });
      expect(await market.service.sql('select from assignments where task_id = $1', [task.id])).toHaveLength(2);
    });

    test('only managers and admins shuffle', async () => {
      const versions = () => market.service.sql('select task_id, version from task_holders order by task_id');
      const before = await versions();
      for (const employee of employees) expect(codeOf(await market.gql(SHUFFLE, {}, market.as(employee.id)))).toBe('FORBIDDEN');
      expect(codeOf(await market.gql(SHUFFLE, {}, ''))).toBe('UNAUTHENTICATED');
      expect(await versions()).toEqual(before);
    });

    test('a completion that races shuffles either wins or is refused: no task is both done and assigned after', async () => {
      const made = await Promise.all(Array.from({ length: 10 }, () => market.created()));
      const completions = made.map((task) => market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id)));
      const shuffles = Array.from({ length: 4 }, () => market.gql(SHUFFLE, {}, market.as(market.manager.id)));
      const answers = await Promise.all(completions);
      await Promise.all(shuffles);
      for (const [index, task] of made.entries()) {
        const history = (await market.outboxOf(task.id)).map(({ dataschema }) => dataschema);
        const completed = codeOf(answers[index] as never) === undefined;
        expect(history.filter((event) => event === 'task.completed.v1')).toHaveLength(completed ? 1 : 0);
        if (completed) expect(history.at(-1)).toBe('task.completed.v1');
        else expect(codeOf(answers[index] as never)).toBe('FORBIDDEN');
      }
    });

    test('the open tasks of whoever is deactivated, or gets no tasks any more, go to others at once, each with its event; whoever is deleted is nobody', async () => {
      const state = (name: string, roles: Role[]) => ({ name, email: `${name}@ates.test`, roles });
      const leave = async (user: { id: string }, event: ReturnType<typeof newEvent>) => {
        await market.service.publish(Object.assign(event, { sequence: '9' }));
        await eventually(async () => (await market.service.sql('select from user_copies where user_id = $1 and not assignable', [user.id])).length === 1);
      };
      const leavers = [
        (id: string) => newEvent(userDeactivatedV1, id, { version: 2, ...state('leaver', ['EMPLOYEE']), status: 'DEACTIVATED' }, OCCURRENCE),
        (id: string) => newEvent(userRoleChangedV1, id, { version: 2, ...state('leaver', ['MANAGER']), status: 'ACTIVE', previousRoles: ['EMPLOYEE'] }, OCCURRENCE),
        (id: string) => newEvent(userDeletedV1, id, { version: 2, ...state('A popug who left', ['EMPLOYEE']), status: 'DELETED' }, OCCURRENCE),
      ];
      for (const leaving of leavers) {
        const leaver = { id: uuidv7(), roles: ['EMPLOYEE'] as Role[] };
        await market.arrives(leaver);
        const theirs = await eventually(async () => {
          const task = await market.created();
          return task.assignee.id === leaver.id && task;
        });
        await leave(leaver, leaving(leaver.id));
        const { assignee } = (await market.gql(`query ($id: ID!) { task(id: $id) { ${FIELDS} } }`, { id: theirs.id }, market.as(market.manager.id))).data['task'];
        expect(assignee.id).not.toBe(leaver.id);
        expect((await market.outboxOf(theirs.id)).at(-1)).toMatchObject({ dataschema: 'task.assigned.v1', data: { assignmentNumber: 2, assigneeId: assignee.id, previousAssigneeId: leaver.id } });
      }
      expect(await market.service.sql(`select from user_copies where name = 'A popug who left'`)).toHaveLength(1);
    });

    test('prices are copied when Accounting announces them', async () => {
      const task = await market.created();
      expect(task).toMatchObject({ fee: null, reward: null });
      const price = { version: 1, fee: cents(12_50), reward: cents(31_00), pricedAt: OCCURRENCE.time.toISOString() };
      await market.service.publish(Object.assign(newEvent(taskPricedV1, task.id, price, OCCURRENCE), { sequence: '1' }));
      await eventually(async () => (await market.gql('query ($id: ID!) { task(id: $id) { fee reward } }', { id: task.id }, market.as(market.manager.id))).data['task'].fee === 12_50);
    });

    test('everybody sees tasks, and by myTasks their own', async () => {
      const task = await market.created();
      const token = market.as(task.assignee.id);
      const shown = await market.gql('query ($f: TaskFilter) { tasks(filter: $f, first: 1) { edges { node { id } } pageInfo { hasNextPage } } }', { f: { creatorId: market.manager.id } }, token);
      expect(shown.data['tasks']).toEqual({ edges: [{ node: { id: task.id } }], pageInfo: { hasNextPage: true } });
      const mine = await market.gql('{ myTasks(status: OPEN, first: 100) { edges { node { id assignee { id } } } } }', {}, token);
      expect(mine.data['myTasks'].edges.map(({ node }: any) => node.id)).toContain(task.id);
      expect(mine.data['myTasks'].edges.every(({ node }: any) => node.assignee.id === task.assignee.id)).toBe(true);
    });

    test('lists and entities are closed to nobody', async () => {
      expect(codeOf(await market.gql('{ tasks { edges { cursor } } }', {}, ''))).toBe('UNAUTHENTICATED');
      const r = [{ __typename: 'Task', id: (await market.created()).id }];
      expect(codeOf(await market.gql('query ($r: [_Any!]!) { _entities(representations: $r) { ... on Task { title } } }', { r }, ''))).toBe('UNAUTHENTICATED');
    });

    test('a session of a second-class credential creates, reads and completes tasks, and does not shuffle them', async () => {
      const lowOf = (id: string, roles: readonly Role[]) => market.service.token({ id, roles, assurance: 'low' });
      const task = (await market.create({}, await lowOf(market.manager.id, market.manager.roles))).data['createTask'];
      const { data } = await market.gql(COMPLETE, { id: task.id }, await lowOf(task.assignee.id, ['EMPLOYEE']));
      expect(data['completeTask']).toMatchObject({ status: 'DONE' });
      const refused = await market.gql(SHUFFLE, {}, await lowOf(market.manager.id, market.manager.roles));
      expect(refused.errors?.[0]).toMatchObject({ message: expect.stringContaining('password'), extensions: { code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' } });
    });

    test('an error that nobody foresaw is masked behind a request id', async () => {
      await market.service.sql('alter table tasks rename to hidden_tasks');
      const answer = await market.gql('{ tasks { edges { cursor } } }', {}, market.as(market.manager.id));
      await market.service.sql('alter table hidden_tasks rename to tasks');
      expect(codeOf(answer)).toBe('INTERNAL');
      expect(answer.errors?.[0]?.message).toMatch(/report request [0-9a-f]{32}$/);
      expect(JSON.stringify(answer)).not.toMatch(/hidden_tasks|relation|select|stack/i);
    });
  });
});
