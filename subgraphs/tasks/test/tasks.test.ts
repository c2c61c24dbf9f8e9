import { jetstreamManager } from '@nats-io/jetstream';
import { ensureStream } from '@ates/shared-events/streams';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newEvent } from '@ates/shared-events/event';
import { taskPricedV1 } from '@ates/shared-events/accounting-events';
import { cents } from '@ates/shared-events/cents';
import { userCreatedV1, userDeactivatedV1, userDeletedV1, userRoleChangedV1, type Role } from '@ates/shared-events/user-events';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { eventually, startTestService, type TestService } from '../../../scripts/test-service.ts';

const OCCURRENCE = { time: new Date(), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const FIELDS = 'id number ticket title description status assignee { id name } creator { id name } createdAt completedAt fee reward';
const CREATE = `mutation ($input: CreateTaskInput!) { createTask(input: $input) { ${FIELDS} } }`;
const COMPLETE = `mutation ($id: ID!) { completeTask(id: $id) { ${FIELDS} } }`;
const SHUFFLE = 'mutation ($key: String) { assignTasks(idempotencyKey: $key) { assigned } }';

describe('Tasks', () => {
  let tasks: TestService;
  const tokens = new Map<string, string>();
  const manager = { id: uuidv7(), roles: ['MANAGER'] as Role[] };

  const userArrives = async (user: { id: string; roles: readonly Role[]; name?: string }): Promise<void> => {
    const state = { version: 1, name: user.name ?? 'Ann', email: `${user.id}@ates.test`, roles: [...user.roles], status: 'ACTIVE' as const };
    await tasks.publish(Object.assign(newEvent(userCreatedV1, user.id, state, OCCURRENCE), { sequence: '1' }));
    tokens.set(user.id, await tasks.token(user));
    await eventually(async () => (await tasks.sql('select from user_copies where user_id = $1', [user.id])).length === 1);
  };
  const as = (userId: string): string => tokens.get(userId) as string;
  const create = async (fields: object = {}, token = as(manager.id)) => tasks.gql(CREATE, { input: { title: 'Feed the parrot', ...fields } }, token);
  const created = async (fields: object = {}) => (await create(fields)).data['createTask'];
  const codeOf = (answer: { errors?: readonly { extensions: { code: string } }[] }) => answer.errors?.[0]?.extensions.code;
  const outboxOf = (taskId: string) => tasks.sql<{ version: number; dataschema: string; data: any }>('select version, dataschema, data from outbox where aggregate_id = $1 order by seq', [taskId]);

  beforeAll(async () => {
    tasks = await startTestService('tasks');
    // The streams of Users and Accounting, which are not running here.
    const streams = await jetstreamManager(tasks.nats);
    await ensureStream(streams, 'users');
    await ensureStream(streams, 'accounting');
    await userArrives(manager);
  });
  afterAll(() => tasks?.stop());

  test('a task made before there is an employee belongs to nobody, and to the first employee as soon as they arrive', async () => {
    const orphan = await created({ title: '[POPUG-1] Wait for a popug' });
    expect(orphan).toMatchObject({ status: 'OPEN', assignee: null, ticket: 'POPUG-1', title: 'Wait for a popug', creator: { id: manager.id } });
    expect((await tasks.gql(SHUFFLE, {}, as(manager.id))).data['assignTasks'].assigned).toBe(0);
    const ann = { id: uuidv7(), roles: ['EMPLOYEE'] as Role[], name: 'Ann' };
    await userArrives(ann);
    const assigned = await eventually(async () => {
      const { data } = await tasks.gql(`query ($id: ID!) { task(id: $id) { ${FIELDS} } }`, { id: orphan.id }, as(manager.id));
      return data['task'].assignee !== null && data['task'];
    });
    expect(assigned.assignee).toEqual({ id: ann.id, name: 'Ann' });
    expect(await outboxOf(orphan.id)).toEqual([
      { version: 1, dataschema: 'task.created.v2', data: expect.objectContaining({ ticket: 'POPUG-1', title: 'Wait for a popug', status: 'OPEN' }) },
      { version: 2, dataschema: 'task.assigned.v1', data: expect.objectContaining({ assignmentNumber: 1, assigneeId: ann.id, previousAssigneeId: null }) },
    ]);
  });

  describe('with employees', () => {
    const employees = Array.from({ length: 3 }, (_, index) => ({ id: uuidv7(), roles: (index === 0 ? ['EMPLOYEE', 'ACCOUNTANT'] : ['EMPLOYEE']) as Role[] }));
    beforeAll(async () => {
      for (const employee of employees) await userArrives(employee);
    });
    const today = () => new Date().toISOString().slice(0, 10);
    const stranger = (assigneeId: string) => as(employees.find(({ id }) => id !== assigneeId)?.id as string);

    test('a new task has a random employee at once, never a manager, and its events tell it', async () => {
      const task = await created({ description: 'Twice a day' });
      expect(tokens.has(task.assignee.id)).toBe(true);
      expect(task.assignee.id).not.toBe(manager.id);
      const [first, second] = await outboxOf(task.id);
      expect(first?.data).toMatchObject({ version: 1, number: task.number, ticket: null, title: 'Feed the parrot', description: 'Twice a day', creatorId: manager.id });
      expect(second?.data).toMatchObject({ version: 2, assignmentNumber: 1, assigneeId: task.assignee.id, businessDay: today() });
    });

    test('task numbers are unique and increase', async () => {
      const [first, second] = [await created(), await created()];
      expect(second.number).toBeGreaterThan(first.number);
    });

    test('everybody signed in may create a task, nobody else', async () => {
      expect((await create({}, as(employees[1]?.id as string))).errors).toBeUndefined();
      expect(codeOf(await create({}, ''))).toBe('UNAUTHENTICATED');
    });

    test('a title with brackets inside is bad input and makes nothing', async () => {
      const before = await tasks.sql('select from tasks');
      expect(codeOf(await create({ title: 'Feed [the] parrot' }))).toBe('BAD_USER_INPUT');
      expect(await tasks.sql('select from tasks')).toHaveLength(before.length);
    });

    test('its assignee completes it, once', async () => {
      const task = await created();
      const { data } = await tasks.gql(COMPLETE, { id: task.id }, as(task.assignee.id));
      expect(data['completeTask']).toMatchObject({ status: 'DONE', completedAt: expect.any(String) });
      expect((await outboxOf(task.id)).at(-1)).toMatchObject({ version: 3, dataschema: 'task.completed.v1', data: { assigneeId: task.assignee.id, assignmentNumber: 1, businessDay: today() } });
      expect(codeOf(await tasks.gql(COMPLETE, { id: task.id }, as(task.assignee.id)))).toBe('CONFLICT');
      expect(await outboxOf(task.id)).toHaveLength(3);
    });

    test('completions at the same moment are one', async () => {
      const task = await created();
      // Somebody holds the row until all of them have come to it.
      const holder = new pg.Client({ connectionString: tasks.database.ownerUrl });
      await holder.connect();
      await holder.query('begin');
      await holder.query('select from tasks where id = $1 for update', [task.id]);
      const completions = Array.from({ length: 5 }, () => tasks.gql(COMPLETE, { id: task.id }, as(task.assignee.id)));
      await eventually(async () => {
        const waiting = await tasks.sql('select from pg_locks join pg_stat_activity using (pid) where not granted and datname = current_database()');
        return waiting.length === completions.length;
      });
      await holder.query('commit');
      await holder.end();
      const codes = (await Promise.all(completions)).map(codeOf);
      expect(codes.filter((code) => code === undefined)).toHaveLength(1);
      expect(codes.filter((code) => code === 'CONFLICT')).toHaveLength(4);
      expect(await outboxOf(task.id)).toHaveLength(3);
    });

    test('nobody else completes it, not even who made it', async () => {
      const task = await created();
      expect(codeOf(await tasks.gql(COMPLETE, { id: task.id }, stranger(task.assignee.id)))).toBe('FORBIDDEN');
      expect(codeOf(await tasks.gql(COMPLETE, { id: task.id }, as(manager.id)))).toBe('FORBIDDEN');
      expect(await outboxOf(task.id)).toHaveLength(2);
    });

    test.each([['no id at all', 'popug'], ['an id that nothing has', uuidv7()]])('completing %s is not found', async (_what, id) => {
      expect(codeOf(await tasks.gql(COMPLETE, { id }, as(manager.id)))).toBe('NOT_FOUND');
      expect((await tasks.gql('query ($id: ID!) { task(id: $id) { id } }', { id }, as(manager.id))).data['task']).toBeNull();
    });

    test('creating twice under one key makes one task; another input under it is a conflict', async () => {
      const input = { title: 'Once', idempotencyKey: 'once' };
      const answers = await Promise.all(Array.from({ length: 5 }, () => create(input)));
      expect(new Set(answers.map(({ data }) => data['createTask'].id)).size).toBe(1);
      expect(codeOf(await create({ ...input, title: 'Twice' }))).toBe('CONFLICT');
      // Another user's key is another key.
      expect((await create(input, as(employees[1]?.id as string))).data['createTask'].id).not.toBe(answers[0]?.data['createTask'].id);
    });

    test('a shuffle assigns every open task anew, with an event and a row for each, once per key', async () => {
      const task = await created();
      const open = await tasks.sql<{ id: string; assignment_number: number }>(`select id, assignment_number from tasks where status = 'OPEN'`);
      const shuffled = await tasks.gql(SHUFFLE, { key: 'monday' }, as(manager.id));
      expect(shuffled.data['assignTasks'].assigned).toBe(open.length);
      expect((await tasks.gql(SHUFFLE, { key: 'monday' }, as(manager.id))).data).toEqual(shuffled.data);
      const after = await tasks.sql<{ id: string; assignment_number: number }>(`select id, assignment_number from tasks where status = 'OPEN'`);
      for (const { id, assignment_number } of open) expect(after).toContainEqual({ id, assignment_number: assignment_number + 1 });
      const events = await outboxOf(task.id);
      expect(events.at(-1)?.data).toMatchObject({ version: 3, assignmentNumber: 2, previousAssigneeId: task.assignee.id });
      expect(await tasks.sql('select from assignments where task_id = $1', [task.id])).toHaveLength(2);
    });

    test('only managers and admins shuffle', async () => {
      const versions = () => tasks.sql('select id, version from tasks order by id');
      const before = await versions();
      for (const employee of employees) expect(codeOf(await tasks.gql(SHUFFLE, {}, as(employee.id)))).toBe('FORBIDDEN');
      expect(codeOf(await tasks.gql(SHUFFLE))).toBe('UNAUTHENTICATED');
      expect(await versions()).toEqual(before);
    });

    test('a completion that races shuffles either wins or is refused: no task is both done and assigned after', async () => {
      const made = await Promise.all(Array.from({ length: 10 }, () => created()));
      const completions = made.map((task) => tasks.gql(COMPLETE, { id: task.id }, as(task.assignee.id)));
      const shuffles = Array.from({ length: 4 }, () => tasks.gql(SHUFFLE, {}, as(manager.id)));
      const answers = await Promise.all(completions);
      await Promise.all(shuffles);
      for (const [index, task] of made.entries()) {
        const history = (await outboxOf(task.id)).map(({ dataschema }) => dataschema);
        const completed = codeOf(answers[index] as never) === undefined;
        expect(history.filter((event) => event === 'task.completed.v1')).toHaveLength(completed ? 1 : 0);
        if (completed) expect(history.at(-1)).toBe('task.completed.v1');
        else expect(codeOf(answers[index] as never)).toBe('FORBIDDEN');
      }
    });

    test('the open tasks of whoever is deactivated, or gets no tasks any more, go to others at once, each with its event; whoever is deleted is nobody', async () => {
      const state = (name: string, roles: Role[]) => ({ name, email: `${name}@ates.test`, roles });
      const leave = async (user: { id: string }, event: ReturnType<typeof newEvent>) => {
        await tasks.publish(Object.assign(event, { sequence: '9' }));
        await eventually(async () => (await tasks.sql('select from user_copies where user_id = $1 and not assignable', [user.id])).length === 1);
      };
      const leavers = [
        (id: string) => newEvent(userDeactivatedV1, id, { version: 2, ...state('leaver', ['EMPLOYEE']), status: 'DEACTIVATED' }, OCCURRENCE),
        (id: string) => newEvent(userRoleChangedV1, id, { version: 2, ...state('leaver', ['MANAGER']), status: 'ACTIVE', previousRoles: ['EMPLOYEE'] }, OCCURRENCE),
        (id: string) => newEvent(userDeletedV1, id, { version: 2, ...state('A popug who left', ['EMPLOYEE']), status: 'DELETED' }, OCCURRENCE),
      ];
      for (const leaving of leavers) {
        const leaver = { id: uuidv7(), roles: ['EMPLOYEE'] as Role[] };
        await userArrives(leaver);
        const theirs = await eventually(async () => {
          const task = await created();
          return task.assignee.id === leaver.id && task;
        });
        await leave(leaver, leaving(leaver.id));
        const { assignee } = (await tasks.gql(`query ($id: ID!) { task(id: $id) { ${FIELDS} } }`, { id: theirs.id }, as(manager.id))).data['task'];
        expect(assignee.id).not.toBe(leaver.id);
        expect((await outboxOf(theirs.id)).at(-1)).toMatchObject({ dataschema: 'task.assigned.v1', data: { assignmentNumber: 2, assigneeId: assignee.id, previousAssigneeId: leaver.id } });
      }
      expect(await tasks.sql(`select from user_copies where name = 'A popug who left'`)).toHaveLength(1);
    });

    test('prices are copied when Accounting announces them', async () => {
      const task = await created();
      expect(task).toMatchObject({ fee: null, reward: null });
      const price = { version: 1, fee: cents(12_50), reward: cents(31_00), pricedAt: OCCURRENCE.time.toISOString() };
      await tasks.publish(Object.assign(newEvent(taskPricedV1, task.id, price, OCCURRENCE), { sequence: '1' }));
      await eventually(async () => (await tasks.gql('query ($id: ID!) { task(id: $id) { fee reward } }', { id: task.id }, as(manager.id))).data['task'].fee === 12_50);
    });

    test('lists are filtered, newest first, page by page; myTasks are the viewer’s', async () => {
      for (let count = 0; count < 5; count++) await created();
      const LIST = 'query ($f: TaskFilter, $n: Int, $a: String) { tasks(filter: $f, first: $n, after: $a) { pageInfo { hasNextPage endCursor } edges { node { id number status assignee { id } } } } }';
      const list = async (variables: object) => (await tasks.gql(LIST, variables, as(manager.id))).data['tasks'];
      const all = (await list({ n: 100 })).edges;
      expect(all.map(({ node }: any) => node.number)).toEqual(all.map(({ node }: any) => node.number).sort((a: number, b: number) => b - a));
      const pages = [];
      for (let after = null, more = true; more; ) {
        const page = await list({ n: 7, a: after });
        pages.push(...page.edges);
        ({ hasNextPage: more, endCursor: after } = page.pageInfo);
      }
      expect(pages).toEqual(all);
      expect((await list({ f: { status: 'DONE' }, n: 100 })).edges.every(({ node }: any) => node.status === 'DONE')).toBe(true);
      const mine = employees[0]?.id as string;
      const { data } = await tasks.gql('{ myTasks(first: 100) { edges { node { assignee { id } } } } }', {}, as(mine));
      expect(data['myTasks'].edges).toHaveLength(all.filter(({ node }: any) => node.assignee?.id === mine).length);
      expect((await list({ f: { assigneeId: 'popug' } })).edges).toEqual([]);
    });

    test('lists and entities are closed to nobody', async () => {
      expect(codeOf(await tasks.gql('{ tasks { edges { cursor } } }'))).toBe('UNAUTHENTICATED');
      const r = [{ __typename: 'Task', id: (await created()).id }];
      expect(codeOf(await tasks.gql('query ($r: [_Any!]!) { _entities(representations: $r) { ... on Task { title } } }', { r }))).toBe('UNAUTHENTICATED');
    });

    test('a session of a second-class credential creates, reads and completes tasks, and does not shuffle them', async () => {
      const lowOf = (id: string, roles: readonly Role[]) => tasks.token({ id, roles, assurance: 'low' });
      const task = (await create({}, await lowOf(manager.id, manager.roles))).data['createTask'];
      const { data } = await tasks.gql(COMPLETE, { id: task.id }, await lowOf(task.assignee.id, ['EMPLOYEE']));
      expect(data['completeTask']).toMatchObject({ status: 'DONE' });
      const refused = await tasks.gql(SHUFFLE, {}, await lowOf(manager.id, manager.roles));
      expect(refused.errors?.[0]).toMatchObject({ message: expect.stringContaining('password'), extensions: { code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' } });
    });

    test('an error that nobody foresaw is masked behind a request id', async () => {
      await tasks.sql('alter table tasks rename to hidden_tasks');
      const answer = await tasks.gql('{ tasks { edges { cursor } } }', {}, as(manager.id));
      await tasks.sql('alter table hidden_tasks rename to tasks');
      expect(codeOf(answer)).toBe('INTERNAL');
      expect(answer.errors?.[0]?.message).toMatch(/report request [0-9a-f]{32}$/);
      expect(JSON.stringify(answer)).not.toMatch(/hidden_tasks|relation|select|stack/i);
    });
  });
});
