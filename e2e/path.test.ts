import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';
import { startStack, until, type Stack } from './stack.ts';

const CREATE = 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id number ticket title status assignee { id name } creator { name } fee reward } }';
const WATCH = `subscription ($accountId: ID) {
  balanceChanged(accountId: $accountId) {
    balance
    account { id balance owner { id name email roles } }
    entry { kind amount description balanceAfter task { number title description status assignee { name } } }
  }
}`;
const EMPLOYEES = ['ann', 'bob', 'cleo'].map((name) => `${name}@ates.test`).concat('accountant@ates.test');

interface BalanceEvent {
  readonly balance: number;
  readonly account: { readonly id: string; readonly balance: number; readonly owner: { readonly id: string; readonly name: string; readonly email: string | null; readonly roles: string[] } };
  readonly entry: {
    readonly kind: string;
    readonly amount: number;
    readonly description: string;
    readonly balanceAfter: number;
    readonly task: { readonly number: number; readonly title: string; readonly description: string; readonly status: string; readonly assignee: { readonly name: string } };
  };
}

/** Everything that a subscription has delivered so far. */
interface Watch {
  readonly events: BalanceEvent[];
  readonly errors: unknown[];
}

describe('the whole path through the gateway', () => {
  let stack: Stack;
  const tokens = new Map<string, string>();
  const clients: Client[] = [];

  beforeAll(async () => {
    stack = await startStack();
    for (const email of ['admin@ates.test', 'manager@ates.test', ...EMPLOYEES]) tokens.set(email, await stack.signIn(email));
  }, 120_000);
  afterAll(async () => {
    for (const client of clients) await client.dispose();
    await stack?.stop();
  }, 30_000);

  const as = (name: string): string => tokens.get(`${name}@ates.test`) as string;
  const ask = async (name: string, query: string, variables: object = {}): Promise<any> => {
    const { data, errors } = await stack.gql<any>(query, variables, as(name));
    if (errors !== undefined) throw new Error(`${query}: ${JSON.stringify(errors)}\n${stack.logTail()}`);
    return data;
  };
  const watch = async (name: string, variables: object = {}): Promise<Watch> => {
    const client = createClient({ url: stack.wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${as(name)}` }, retryAttempts: 0 });
    clients.push(client);
    const seen: Watch = { events: [], errors: [] };
    client.subscribe<{ balanceChanged: BalanceEvent }>(
      { query: WATCH, variables: variables as Record<string, unknown> },
      {
        next: ({ data, errors }) => {
          if (data?.balanceChanged != null) seen.events.push(data.balanceChanged);
          if (errors !== undefined) seen.errors.push(...errors);
        },
        error: (error) => void seen.errors.push(error),
        complete: () => {},
      },
    );
    return seen;
  };
  /** A task together with the name of the employee who got it. */
  const createTask = async (creator: string, input: object): Promise<{ task: any; assignee: string }> => {
    const { createTask: task } = await ask(creator, CREATE, { input });
    const assignees = await Promise.all(EMPLOYEES.map(async (email) => ({ email, id: (await ask(email.split('@')[0] as string, '{ me { id } }')).me.id })));
    const assignee = assignees.find(({ id }) => id === task.assignee.id)?.email.split('@')[0];
    expect(assignee).toBeDefined();
    return { task, assignee: assignee as string };
  };
  const lastEntry = async (name: string) => (await ask(name, '{ myAccount { balance entries(first: 1) { edges { node { kind amount balanceAfter task { id } } } } } }')).myAccount;

  test('a task is created, priced, charged, completed, rewarded, seen live by its assignee and counted by analytics', async () => {
    const dayBefore = (await ask('admin', '{ dayStats { companyEarnings assigned completed } }')).dayStats;
    const { task, assignee } = await createTask('manager', { title: '[POPUG-7] Feed the parrot', description: 'Twice a day' });
    expect(task).toMatchObject({ ticket: 'POPUG-7', title: 'Feed the parrot', status: 'OPEN' });

    const charged = await until('the fee is charged', 10_000, async () => {
      const account = await lastEntry(assignee);
      return account.entries.edges[0]?.node.task?.id === task.id && account;
    });
    const fee = -charged.entries.edges[0].node.amount;
    expect(charged.entries.edges[0].node).toMatchObject({ kind: 'FEE', balanceAfter: charged.balance });
    expect(fee).toBeGreaterThanOrEqual(10_00);
    expect(fee).toBeLessThanOrEqual(20_00);

    const watched = await watch(assignee);
    // A subscription is live a moment after it was sent: complete only once the gateway has it open upstream.
    await until('the subscription is open', 5_000, async () => (await openSubscriptions(stack)) >= 1);
    const { completeTask } = await ask(assignee, 'mutation ($id: ID!) { completeTask(id: $id) { status completedAt } }', { id: task.id });
    expect(completeTask.status).toBe('DONE');

    const event = await until('the reward arrives live', 10_000, () => watched.events[0]);
    expect(watched.errors).toEqual([]);
    expect(event.entry.kind).toBe('REWARD');
    expect(event.entry.amount).toBeGreaterThanOrEqual(20_00);
    expect(event.entry.amount).toBeLessThanOrEqual(40_00);
    expect(event.balance).toBe(charged.balance + event.entry.amount);
    expect(event.entry.description).toBe(`Reward for POPUG-${task.number} Feed the parrot`);
    // From Users and from Tasks, for an event of Accounting's.
    expect(event.account.owner.email).toBe(`${assignee}@ates.test`);
    expect(event.entry.task).toMatchObject({ number: task.number, title: 'Feed the parrot', description: 'Twice a day', status: 'DONE' });

    const stats = await until('analytics knows of the completion', 10_000, async () => {
      const { dayStats } = await ask('admin', '{ dayStats { day companyEarnings assigned completed popugsInTheRed signIns deniedSignIns mostExpensiveTask { reward task { number title } } } }');
      return dayStats.completed === dayBefore.completed + 1 && dayStats.companyEarnings === dayBefore.companyEarnings + fee - event.entry.amount && dayStats;
    });
    expect(stats).toMatchObject({ assigned: dayBefore.assigned + 1, mostExpensiveTask: { reward: expect.any(Number), task: { title: 'Feed the parrot' } } });
    expect(stats.signIns).toBeGreaterThanOrEqual(6);
    const { companyEarnings } = await ask('accountant', '{ companyEarnings }');
    expect(companyEarnings).toBe(stats.companyEarnings);
  }, 60_000);

  test('tasks show the price that accounting set', async () => {
    const { task } = await createTask('ann', { title: 'Comb the crest' });
    const priced = await until('the price has come', 10_000, async () => {
      const { tasks } = await ask('bob', '{ tasks(first: 5) { edges { node { id fee reward } } } }');
      const node = tasks.edges.find(({ node: { id } }: any) => id === task.id)?.node;
      return node?.fee !== null && node;
    });
    expect(priced.fee).toBeGreaterThanOrEqual(10_00);
    expect(priced.reward).toBeLessThanOrEqual(40_00);
  }, 60_000);

  test('a task that is edited and deleted is so live for its assignee, and its fee comes back', async () => {
    const { task, assignee } = await createTask('manager', { title: 'Teach it to swear' });
    const charged = await until('the fee is charged', 10_000, async () => {
      const account = await lastEntry(assignee);
      return account.entries.edges[0]?.node.task?.id === task.id && account;
    });
    const openBefore = await openSubscriptions(stack);
    const balances = await watch(assignee);
    const changes: any[] = [];
    const client = createClient({ url: stack.wsUrl, webSocketImpl: WebSocket, connectionParams: { authorization: `Bearer ${as(assignee)}` }, retryAttempts: 0 });
    clients.push(client);
    client.subscribe<any>(
      { query: 'subscription { myTasksChanged { kind task { id title status fee creator { name roles } } } }' },
      { next: ({ data, errors }) => void changes.push(data?.myTasksChanged ?? errors), error: (error) => void changes.push(error), complete: () => {} },
    );
    await until('both subscriptions are open', 5_000, async () => (await openSubscriptions(stack)) >= openBefore + 2);
    await until('changes are heard', 10_000, async () => {
      await ask('manager', 'mutation ($id: ID!, $input: UpdateTaskInput!) { updateTask(id: $id, input: $input) { version } }', { id: task.id, input: { title: 'Teach it to sing', description: crypto.randomUUID() } });
      return changes.length > 0;
    });
    expect(changes[0]).toEqual({ kind: 'UPDATED', task: { id: task.id, title: 'Teach it to sing', status: 'OPEN', fee: -charged.entries.edges[0].node.amount, creator: { name: expect.any(String), roles: ['MANAGER'] } } });
    await ask('manager', 'mutation ($id: ID!) { deleteTask(id: $id) { status } }', { id: task.id });
    await until('the deletion arrives live', 10_000, () => changes.at(-1).kind === 'DELETED');
    const refund = await until('so does the fee', 10_000, () => balances.events.find(({ entry }) => entry.kind === 'REVERSAL'));
    expect(refund.balance).toBe(charged.balance - charged.entries.edges[0].node.amount);
    expect(refund.entry.description).toMatch(/^Reversal of Fee for POPUG-\d+ Teach it to swear, assignment 1: the task was deleted$/);
  }, 60_000);

  test('a manager shuffles: every open task is assigned anew and charged again', async () => {
    await createTask('manager', { title: 'Polish the perch' });
    await createTask('manager', { title: 'Count the seeds' });
    const open = async () => (await ask('manager', '{ tasks(filter: { status: OPEN }, first: 100) { edges { node { id } } } }')).tasks.edges.length;
    const stats = async () => (await ask('admin', '{ dayStats { assigned } }')).dayStats.assigned;
    const before = await until('analytics is up to date', 10_000, async () => {
      const [once, again] = [await stats(), await stats()];
      return once === again && { open: await open(), assigned: once };
    });
    const { assignTasks } = await ask('manager', 'mutation { assignTasks { assigned } }');
    expect(assignTasks.assigned).toBe(before.open);
    await until('every assignment is counted', 10_000, async () => (await stats()) >= before.assigned + before.open);
  }, 60_000);

  test('the sum of an account’s entries is its balance, and every accountant may check it', async () => {
    const { accounts } = await ask('accountant', '{ accounts(first: 50) { edges { node { balance earnedToday owner { name } entries(first: 100) { edges { node { amount } } pageInfo { hasNextPage } } } } } }');
    expect(accounts.edges.length).toBe(4);
    for (const { node } of accounts.edges) {
      const sum = node.entries.edges.reduce((total: number, { node: entry }: any) => total + entry.amount, 0);
      expect(node.entries.pageInfo.hasNextPage).toBe(false);
      expect(node.balance).toBe(sum);
      expect(node.earnedToday).toBe(sum);
    }
  });

  test('an accountant watches somebody else’s balance; an employee may not', async () => {
    const { accounts } = await ask('accountant', '{ accounts { edges { node { id owner { name id } } } } }');
    const me = (await ask('ann', '{ me { id } }')).me.id;
    const other = accounts.edges.find(({ node }: any) => node.owner.id !== me).node;
    const refused = await watch('ann', { accountId: other.id });
    const [error] = await until('the refusal', 5_000, () => refused.errors.length > 0 && refused.errors);
    expect(JSON.stringify(error)).toContain('FORBIDDEN');

    const open = await openSubscriptions(stack);
    const allowed = await watch('accountant', { accountId: other.id });
    await until('the subscription is open', 5_000, async () => (await openSubscriptions(stack)) > open);
    await until('an entry of that account arrives', 15_000, async () => {
      await ask('manager', 'mutation { assignTasks { assigned } }');
      return allowed.events.length > 0;
    });
    expect(allowed.events[0]?.account.id).toBe(other.id);
    expect(refused.events).toEqual([]);
  }, 60_000);

  test('myTasks are the viewer’s own', async () => {
    const { me, myTasks } = await ask('bob', '{ me { id } myTasks(first: 50) { edges { node { assignee { id } } } } }');
    expect(myTasks.edges.every(({ node }: any) => node.assignee.id === me.id)).toBe(true);
  });

  test('an admin makes a user, who signs in, owns an account and gets tasks', async () => {
    const input = { name: 'Dora', email: 'Dora@ates.test', password: 'popug', roles: ['EMPLOYEE'], idempotencyKey: 'dora' };
    const create = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id name email roles status } }';
    const { createUser } = await ask('admin', create, { input });
    expect(createUser).toMatchObject({ name: 'Dora', email: 'Dora@ates.test', roles: ['EMPLOYEE'], status: 'ACTIVE' });
    expect((await ask('admin', create, { input })).createUser.id).toBe(createUser.id);
    tokens.set('dora@ates.test', await stack.signIn('dora@ATES.test'));
    const account = await until('the account is open', 10_000, async () => (await stack.gql<any>('{ myAccount { balance owner { name } } }', {}, as('dora'))).data?.myAccount);
    expect(account).toEqual({ balance: 0, owner: { name: 'Dora' } });
    const { users } = await ask('admin', '{ users(first: 50) { totalCount edges { node { name } } } }');
    expect(users.totalCount).toBe(7);
  }, 30_000);
});

/** How many subscriptions the gateway has open, by its own metric. */
async function openSubscriptions(stack: Stack): Promise<number> {
  const metrics = await (await fetch(stack.url.replace('/graphql', '/metrics'))).text();
  return Number(/^gateway_subscriptions\S*\s+(\d+)/m.exec(metrics)?.[1] ?? 0);
}
