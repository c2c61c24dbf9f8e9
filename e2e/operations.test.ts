import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCommand, startCommand } from '../operations/test/command-line.ts';
import { startStack, until, type Stack } from './stack.ts';

const CREATE = 'mutation { createTask(input: { title: "Feed the parrot" }) { id } }';
const FEES = '{ tasks(first: 10) { edges { node { fee } } } }';
const STATS = '{ dayStats { day companyEarnings popugsInTheRed assigned completed signIns deniedSignIns mostExpensiveTask { reward task { title } } } }';

describe('operators’ commands on a running stack', () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack();
  }, 120_000);
  afterAll(() => stack?.stop(), 30_000);

  const environment = () => ({ DATA_DIR: stack.dataDir });

  test('find it by its DATA_DIR and tell how far every service got', async () => {
    const { code, stdout } = await runCommand('events', ['lag'], environment());
    expect(code).toBe(0);
    for (const stream of ['USERS', 'TASKS', 'ACCOUNTING']) expect(stdout).toMatch(new RegExp(`^${stream} `, 'm'));
    for (const pair of ['tasks +USERS', 'tasks +ACCOUNTING', 'accounting +USERS', 'accounting +TASKS', 'analytics +USERS', 'analytics +TASKS', 'analytics +ACCOUNTING']) {
      expect(stdout).toMatch(new RegExp(`^${pair} +\\d+ +\\d+ +0 +1$`, 'm'));
    }
    expect(await runCommand('events', ['parked'], environment())).toMatchObject({ code: 0, stdout: 'No event is parked (tasks, accounting, analytics).\n' });
  });

  test('show events as they happen, and rebuild Analytics while people work', async () => {
    const manager = await stack.signIn('manager@ates.test');
    const admin = await stack.signIn('admin@ates.test');
    const tail = startCommand('events', ['tail', '--type', 'task.completed'], environment());
    const assigned = startCommand('events', ['tail', '--service', 'tasks', '--type', 'task.assigned', '--from', '1'], environment());
    await until('the commands listen', 20_000, () => assigned.stderr().includes('listening') && tail.stderr().includes('listening'));
    for (let count = 0; count < 5; count++) expect(await stack.gql(CREATE, {}, manager)).toMatchObject({ data: { createTask: { id: expect.any(String) } } });
    await until('five assignments are printed', 20_000, () => assigned.stdout().trim().split('\n').length === 5);
    for (const { child } of [tail, assigned]) child.kill('SIGINT');
    expect(await tail.ended).toMatchObject({ code: 0, stdout: '' });
    expect(await assigned.ended).toMatchObject({ code: 0 });

    const stats = async () => (await stack.gql<{ dayStats: { assigned: number; companyEarnings: number } }>(STATS, {}, admin)).data?.dayStats;
    const before = await until('analytics knows of them and of their fees', 20_000, async () => {
      const { data } = await stack.gql<{ tasks: { edges: { node: { fee: number | null } }[] } }>(FEES, {}, manager);
      const fees = data?.tasks.edges.map(({ node }) => node.fee ?? Number.NaN) ?? [];
      const now = await stats();
      return now?.assigned === 5 && now.companyEarnings === fees.reduce((sum, fee) => sum + fee, 0) && now;
    });
    expect(await runCommand('rebuild', ['analytics'], environment())).toMatchObject({ code: 0, stdout: expect.stringContaining('Done: ') });
    expect(await stats()).toEqual(before);
    expect(await runCommand('rebuild', ['accounting'], environment())).toMatchObject({ code: 1 });
  }, 60_000);
});
