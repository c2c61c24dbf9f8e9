import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startStack, until, type Stack } from './stack.ts';

describe('while Users does not answer', () => {
  let stack: Stack;
  let [ann, manager, accountant]: string[] = [];
  beforeAll(async () => {
    stack = await startStack();
    [ann, manager, accountant] = await Promise.all(['ann', 'manager', 'accountant'].map((name) => stack.signIn(`${name}@ates.test`)));
    process.kill(stack.partPids().users, 'SIGSTOP');
  });
  afterAll(async () => {
    process.kill(stack.partPids().users, 'SIGCONT');
    await stack?.stop();
  });

  const codeOf = async (operation: string, token?: string) => (await stack.gql(operation, {}, token)).errors?.[0]?.extensions?.code;

  test('tasks are made, assigned, charged and completed, with names, from the services’ own copies', async () => {
    const { data, errors } = await stack.gql<any>('mutation { createTask(input: { title: "Feed the parrot" }) { id assignee { id name } } }', {}, ann);
    expect(errors).toBeUndefined();
    expect(data.createTask.assignee.name).toMatch(/^(Ann Amazon|Bob Budgerigar|Cleo Cockatoo|Count Kakapo)$/);
    const charged = await until('somebody is charged', 10_000, async () => {
      const answer = await stack.gql<any>('{ accounts { edges { node { balance owner { name } } } } }', {}, accountant);
      // Within five seconds roles still count.
      return answer.data?.accounts.edges.find(({ node }: any) => node.balance < 0) ?? answer.errors !== undefined;
    });
    if (charged !== true) expect(charged.node.owner.name).toBe(data.createTask.assignee.name);
  });

  test('what needs a role is refused after five seconds, what needs none goes on', async () => {
    await until('the manager is refused', 10_000, async () => (await codeOf('mutation { assignTasks { assigned } }', manager)) === 'SERVICE_UNAVAILABLE');
    expect(await codeOf('{ accounts { edges { cursor } } }', accountant)).toBe('SERVICE_UNAVAILABLE');
    expect(await codeOf('{ myAccount { balance entries { edges { node { description } } } } myTasks { edges { cursor } } }', ann)).toBeUndefined();
    expect(await codeOf('mutation { createTask(input: { title: "Comb the parrot" }) { number } }', ann)).toBeUndefined();
  });

  test('a service that is started again meanwhile still knows whose token it is', async () => {
    stack.kill('tasks');
    await until('Tasks is back', 15_000, async () => (await codeOf('{ myTasks { edges { cursor } } }', ann)) === undefined);
  });

  test('only signing in waits for it; once it is back everything is as before', async () => {
    const signingIn = stack.signIn('ann@ates.test');
    process.kill(stack.partPids().users, 'SIGCONT');
    await signingIn;
    await until('the manager is heard', 10_000, async () => (await codeOf('mutation { assignTasks { assigned } }', manager)) === undefined);
  });
});
