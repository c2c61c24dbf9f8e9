import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { ASSIGN, codeOf, COMPLETE, DELETE, FIELDS, SHUFFLE, TasksFixture, UPDATE, type TestPopug } from './tasks-fixture.ts';

let market: TasksFixture;
let ann: TestPopug;
let bob: TestPopug;
beforeAll(async () => {
  market = await TasksFixture.open();
  ann = await market.employee('Ann');
  bob = await market.employee('Bob');
});
afterAll(() => market?.close());

const update = (id: string, input: object) => market.gql(UPDATE, { id, input });
const otherThan = (assigneeId: string): TestPopug => (assigneeId === ann.id ? bob : ann);
const lastEventOf = async (id: string) => (await market.outboxOf(id)).at(-1);
const today = () => new Date().toISOString().slice(0, 10);

describe('updating a task', () => {
  test('changes what is written, and its event tells the whole state', async () => {
    const task = await market.created({ title: '[POPUG-12] Feed the parrot', description: 'Once' });
    const { data } = await update(task.id, { title: ' Feed the  old parrot ', description: 'Twice' });
    expect(data['updateTask']).toEqual({ ...task, title: 'Feed the old parrot', description: 'Twice', version: 2 });
    expect(await market.task(task.id)).toEqual(data['updateTask']);
    expect(await lastEventOf(task.id)).toMatchObject({
      version: 3,
      dataschema: 'task.updated.v1',
      data: { number: task.number, ticket: 'POPUG-12', title: 'Feed the old parrot', description: 'Twice', status: 'OPEN', assigneeId: task.assignee.id, creatorId: market.manager.id, updatedBy: market.manager.id },
    });
  });

  test('leaves out what is left out, and splits an old-style title', async () => {
    const task = await market.created({ description: 'Stays' });
    expect((await update(task.id, { title: '[POPUG-13] Feed it' })).data['updateTask']).toMatchObject({ ticket: 'POPUG-13', title: 'Feed it', description: 'Stays' });
    expect((await update(task.id, { description: 'Goes' })).data['updateTask']).toMatchObject({ ticket: 'POPUG-13', title: 'Feed it', description: 'Goes', version: 3 });
  });

  test('that changes nothing is no event and no version', async () => {
    const task = await market.created();
    expect((await update(task.id, { title: task.title, description: task.description })).data['updateTask']).toEqual(task);
    expect(await market.outboxOf(task.id)).toHaveLength(2);
  });

  test('of something that was written anew since is a conflict that says what to do; an assignment is no writing', async () => {
    const task = await market.created();
    await market.gql(SHUFFLE);
    expect((await update(task.id, { title: 'First', expectedVersion: 1 })).data['updateTask'].version).toBe(2);
    const late = await update(task.id, { title: 'Second', expectedVersion: 1 });
    expect(late.errors?.[0]).toMatchObject({ message: expect.stringMatching(/version 1.*version 2.*reload/), extensions: { code: 'CONFLICT', version: 2 } });
    expect((await market.task(task.id)).title).toBe('First');
  });

  test('by ten at once, who all saw the same, is done by one', async () => {
    const task = await market.created();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, editor) => update(task.id, { title: `By ${editor}`, expectedVersion: 1 })));
    expect(answers.filter((answer) => answer.errors === undefined)).toHaveLength(1);
    expect(answers.map(codeOf).filter((code) => code === 'CONFLICT')).toHaveLength(9);
    expect((await market.task(task.id)).version).toBe(2);
  });

  test('by ten at once, who expect nothing, is done by all, one after the other', async () => {
    const task = await market.created();
    await Promise.all(Array.from({ length: 10 }, (_, editor) => update(task.id, { description: `By ${editor}` })));
    expect((await market.task(task.id)).version).toBe(11);
    expect((await market.outboxOf(task.id)).map(({ version }) => version)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  test('with brackets, with nothing, of nothing or of what is deleted is refused', async () => {
    const task = await market.created();
    expect(codeOf(await update(task.id, { title: 'Feed [the] parrot' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await update(task.id, { title: '' }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await update(uuidv7(), { title: 'Feed' }))).toBe('NOT_FOUND');
    await market.gql(DELETE, { id: task.id });
    expect(codeOf(await update(task.id, { title: 'Feed' }))).toBe('CONFLICT');
  });
});

describe('deleting a task', () => {
  test('ends it, tells whose fee is given back, and keeps it for those who ask', async () => {
    const task = await market.created();
    await market.gql(SHUFFLE);
    const { assignee } = await market.task(task.id);
    const { data } = await market.gql(DELETE, { id: task.id, expectedVersion: 1 });
    expect(data['deleteTask']).toMatchObject({ id: task.id, status: 'DELETED', assignee });
    expect(await lastEventOf(task.id)).toMatchObject({
      version: 4,
      dataschema: 'task.deleted.v1',
      data: { assignmentNumber: 2, assigneeId: assignee.id, deletedBy: market.manager.id, businessDay: today() },
    });
    expect((await market.task(task.id)).status).toBe('DELETED');
    const ids = async (filter: object) => (await market.gql('query ($f: TaskFilter) { tasks(filter: $f, first: 100) { edges { node { id } } } }', { f: filter })).data['tasks'].edges.map(({ node }: any) => node.id);
    expect(await ids({})).not.toContain(task.id);
    expect(await ids({ status: 'DELETED' })).toContain(task.id);
  });

  test('that is done or deleted already, or was written anew since, is a conflict; that is not there is not found', async () => {
    const done = await market.created();
    await market.gql(COMPLETE, { id: done.id }, market.as(done.assignee.id));
    const deleted = await market.created();
    await market.gql(DELETE, { id: deleted.id });
    const updated = await market.created();
    await update(updated.id, { title: 'Something else' });
    for (const id of [done.id, deleted.id]) expect(codeOf(await market.gql(DELETE, { id }))).toBe('CONFLICT');
    expect(codeOf(await market.gql(DELETE, { id: updated.id, expectedVersion: 1 }))).toBe('CONFLICT');
    expect(codeOf(await market.gql(DELETE, { id: uuidv7() }))).toBe('NOT_FOUND');
  });

  test('while its assignee completes it, is one of the two', async () => {
    for (let round = 0; round < 10; round++) {
      const task = await market.created();
      const [completed, deleted] = await Promise.all([market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id)), market.gql(DELETE, { id: task.id })]);
      expect(new Set([completed, deleted].map(codeOf))).toEqual(new Set(['CONFLICT', undefined]));
      expect(await market.outboxOf(task.id)).toHaveLength(3);
    }
  });
});

describe('assigning a task by name', () => {
  test('gives it to that employee, who is charged for it', async () => {
    const task = await market.created();
    const next = otherThan(task.assignee.id);
    const { data } = await market.gql(ASSIGN, { id: task.id, assigneeId: next.id });
    expect(data['assignTask'].assignee).toEqual({ id: next.id, name: next.name });
    expect(await lastEventOf(task.id)).toMatchObject({
      version: 3,
      dataschema: 'task.assigned.v1',
      data: { assignmentNumber: 2, assigneeId: next.id, previousAssigneeId: task.assignee.id, businessDay: today() },
    });
    expect((await lastEventOf(task.id))?.data).not.toHaveProperty('shuffleId');
    const history = await market.gql('query ($id: ID!) { task(id: $id) { assignments(first: 1) { edges { node { number assignee { id } day } cursor } pageInfo { hasNextPage endCursor } } } }', { id: task.id });
    expect(history.data['task'].assignments).toMatchObject({ edges: [{ node: { number: 2, assignee: { id: next.id }, day: today() } }], pageInfo: { hasNextPage: true } });
    const earlier = await market.gql('query ($id: ID!, $a: String) { task(id: $id) { assignments(after: $a) { edges { node { number assignee { id } } } } } }', { id: task.id, a: history.data['task'].assignments.pageInfo.endCursor });
    expect(earlier.data['task'].assignments.edges).toEqual([{ node: { number: 1, assignee: { id: task.assignee.id } } }]);
  });

  test('to whoever has it leaves it as it is: who asks twice pays once', async () => {
    const task = await market.created();
    expect((await market.gql(ASSIGN, { id: task.id, assigneeId: task.assignee.id })).data['assignTask']).toEqual(task);
    expect(await market.outboxOf(task.id)).toHaveLength(2);
  });

  test('to a manager, to nobody known, or once it is done is refused', async () => {
    const task = await market.created();
    expect(codeOf(await market.gql(ASSIGN, { id: task.id, assigneeId: market.manager.id }))).toBe('BAD_USER_INPUT');
    for (const assigneeId of [uuidv7(), 'popug']) expect(codeOf(await market.gql(ASSIGN, { id: task.id, assigneeId }))).toBe('NOT_FOUND');
    expect(codeOf(await market.gql(ASSIGN, { id: uuidv7(), assigneeId: ann.id }))).toBe('NOT_FOUND');
    await market.gql(COMPLETE, { id: task.id }, market.as(task.assignee.id));
    expect(codeOf(await market.gql(ASSIGN, { id: task.id, assigneeId: otherThan(task.assignee.id).id }))).toBe('CONFLICT');
  });

  test('is for managers, as are updating and deleting', async () => {
    const task = await market.created();
    const token = market.as(task.assignee.id);
    expect(codeOf(await market.gql(ASSIGN, { id: task.id, assigneeId: ann.id }, token))).toBe('FORBIDDEN');
    expect(codeOf(await market.gql(UPDATE, { id: task.id, input: {} }, token))).toBe('FORBIDDEN');
    expect(codeOf(await market.gql(DELETE, { id: task.id }, token))).toBe('FORBIDDEN');
    expect(codeOf(await market.gql(`{ task(id: "${task.id}") { ${FIELDS} } }`, {}, token))).toBeUndefined();
  });
});
