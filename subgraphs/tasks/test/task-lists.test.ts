import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { completeTask, createTask, type TaskCommandOptions } from '../src/task-commands.ts';
import { deleteTask } from '../src/task-edits.ts';
import type { TaskFilter, TaskOrder } from '../src/task-filter.ts';
import { listTasks } from '../src/task-list.ts';
import type { TaskRow } from '../src/task-queries.ts';
import { openMarketDatabase, type MarketDatabase } from './market-database.ts';

const [ANN, BOB, MANAGER, OTHER] = [uuidv7(), uuidv7(), uuidv7(), uuidv7()];
const START = Date.parse('2026-11-20T10:00:00Z');

describe('lists of tasks', () => {
  let market: MarketDatabase;
  let minute = 0;
  const options = (draw = 0): TaskCommandOptions => ({ database: market.database, timeZone: 'UTC', clock: () => new Date(START + (minute += 1) * 60_000), random: () => draw });
  const tasks: Record<string, TaskRow> = {};
  const make = async (name: string, title: string, { draw = 0, creator = MANAGER, description = '' } = {}): Promise<TaskRow> =>
    (tasks[name] = await createTask(options(draw), creator, { title, description }));

  beforeAll(async () => {
    market = await openMarketDatabase();
    await make('orphan', 'Nobody is there to feed the parrot');
    await market.employees(...[ANN, BOB].toSorted());
    // The first draw is who comes first by id.
    const [first, second] = ANN < BOB ? [0, 1] : [1, 0];
    await make('ticketed', '[POPUG-12] Feed the parrot', { draw: first });
    await make('ofBob', '[popug-12] Feed the другого попугая', { draw: second, description: 'По-русски: Ёлка, 3.14 and naïve' });
    await make('ofOther', 'Clean the CAGE', { draw: first, creator: OTHER, description: 'With vinegar-and-water' });
    await make('done', 'Sing to the parrot', { draw: first });
    await make('doneLater', 'Sing again', { draw: second, creator: OTHER });
    await make('deleted', 'Teach it to swear', { draw: first });
    await completeTask(options(), BOB, (tasks['doneLater'] as TaskRow).id);
    await completeTask(options(), ANN, (tasks['done'] as TaskRow).id);
    await deleteTask(options(), MANAGER, (tasks['deleted'] as TaskRow).id);
  });
  afterAll(() => market?.close());

  const nameOf = (id: string): string => Object.entries(tasks).find(([, task]) => task.id === id)?.[0] ?? id;
  const list = async (filter: TaskFilter, order: TaskOrder = 'NEWEST', first = 50): Promise<string[]> =>
    (await listTasks(market.database, filter, order, { first })).edges.map(({ node }) => nameOf(node.id));
  const createdAt = (name: string): Date => (tasks[name] as TaskRow).createdAt;

  test('have all that is not deleted, newest first', async () => {
    expect(await list({})).toEqual(['doneLater', 'done', 'ofOther', 'ofBob', 'ticketed', 'orphan']);
    expect(await list({}, 'OLDEST')).toEqual(['orphan', 'ticketed', 'ofBob', 'ofOther', 'done', 'doneLater']);
  });

  test.each<[string, TaskFilter, string[]]>([
    ['status', { status: 'OPEN' }, ['ofOther', 'ofBob', 'ticketed', 'orphan']],
    ['status, also deleted', { status: 'DELETED' }, ['deleted']],
    ['assignee', { assigneeId: ANN }, ['done', 'ofOther', 'ticketed']],
    ['assignee and status', { assigneeId: ANN, status: 'DONE' }, ['done']],
    ['having nobody', { unassigned: true }, ['orphan']],
    ['having somebody', { unassigned: false, status: 'OPEN' }, ['ofOther', 'ofBob', 'ticketed']],
    ['nobody and somebody at once', { unassigned: true, assigneeId: ANN }, []],
    ['creator', { creatorId: OTHER }, ['doneLater', 'ofOther']],
    ['creator and assignee', { creatorId: OTHER, assigneeId: ANN }, ['ofOther']],
    ['ticket, without regard to case', { ticket: ' POPUG-12 ' }, ['ofBob', 'ticketed']],
    ['ticket, whole', { ticket: 'POPUG-1' }, []],
    ['ticket and assignee', { ticket: 'popug-12', assigneeId: BOB }, ['ofBob']],
    ['what nobody can be', { assigneeId: 'popug' }, []],
  ])('are filtered by %s', async (_what, filter, names) => {
    expect(await list(filter)).toEqual(names);
  });

  test.each<[string, string, string[]]>([
    ['a word of the title', 'parrot', ['done', 'ticketed', 'orphan']],
    ['a word of the description', 'vinegar', ['ofOther']],
    ['the parts of a word with hyphens', 'water vinegar', ['ofOther']],
    ['words that must all be there', 'feed parrot', ['ticketed', 'orphan']],
    ['the beginning of a word', 'parr', ['done', 'ticketed', 'orphan']],
    ['any case', 'cAGE', ['ofOther']],
    ['other letters', 'ПОПУГАЯ ёлка', ['ofBob']],
    ['letters with marks', 'NAÏVE', ['ofBob']],
    ['numbers', '3.14', ['ofBob']],
    ['the ticket', 'popug-12', ['ofBob', 'ticketed']],
    ['nothing that is there', 'parrot water', []],
    ['what looks like an operator', "parrot & !sing | 'x", []],
  ])('are searched for %s', async (_what, text, names) => {
    expect(await list({ text })).toEqual(names);
  });

  test.each(['', '  ', '!&|', 'a b c d e f g h i j k', 'x'.repeat(201)])('refuse to search for %j, and say why', async (text) => {
    await expect(list({ text })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('1 to 10 words') });
  });

  test('are filtered by when the task was made, the first moment included and the last not', async () => {
    const between = { createdFrom: createdAt('ofBob'), createdBefore: createdAt('done') };
    expect(await list(between)).toEqual(['ofOther', 'ofBob']);
    expect(await list({ ...between, assigneeId: ANN })).toEqual(['ofOther']);
    expect(await list({ ...between, text: 'feed' })).toEqual(['ofBob']);
  });

  test('of what is done can be by completion, of everybody, of one, or of one creator', async () => {
    expect(await list({}, 'LATEST_COMPLETED')).toEqual(['done', 'doneLater']);
    expect(await list({ status: 'DONE', assigneeId: BOB }, 'LATEST_COMPLETED')).toEqual(['doneLater']);
    expect(await list({ creatorId: MANAGER }, 'LATEST_COMPLETED')).toEqual(['done']);
    await expect(list({ status: 'OPEN' }, 'LATEST_COMPLETED')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test.each<[string, TaskFilter, TaskOrder]>([
    ['of everything', {}, 'NEWEST'],
    ['from the oldest on', {}, 'OLDEST'],
    ['of somebody', { assigneeId: ANN }, 'NEWEST'],
    ['found by a word', { text: 'the' }, 'NEWEST'],
    ['by completion', {}, 'LATEST_COMPLETED'],
  ])('page by page are the same, %s', async (_what, filter, order) => {
    const whole = await list(filter, order);
    const names: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const { edges, pageInfo } = await listTasks(market.database, filter, order, { first: 2, after });
      names.push(...edges.map(({ node }) => nameOf(node.id)));
      ({ hasNextPage: more, endCursor: after } = pageInfo);
    }
    expect(names).toEqual(whole);
  });

  test.each([[['x', 'y']], [['2026-11-20T10:00:00.000Z', '17']], [['soon', ANN]], [['2026-11-20T10:00:00.000Z']]])('refuse the cursor %j, which they never gave', async (key) => {
    const after = Buffer.from(JSON.stringify(key)).toString('base64url');
    await expect(listTasks(market.database, {}, 'NEWEST', { after })).rejects.toMatchObject({ code: 'BAD_USER_INPUT', message: expect.stringContaining('no cursor of this list') });
  });

  test('go on right while tasks are made and change hands behind and before the reader', async () => {
    const before = await list({});
    const names: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const { edges, pageInfo } = await listTasks(market.database, {}, 'NEWEST', { first: 1, after });
      names.push(...edges.map(({ node }) => nameOf(node.id)));
      ({ hasNextPage: more, endCursor: after } = pageInfo);
      await createTask(options(), MANAGER, { title: 'One more', description: '' });
    }
    expect(names).toEqual(before);
  });
});
