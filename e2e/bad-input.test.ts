import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { startStack, until, type Stack } from './stack.ts';

const CODES = ['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT', 'CONFLICT', 'RATE_LIMITED', 'SERVICE_UNAVAILABLE', 'INTERNAL'];

describe('bad input at the gateway', () => {
  let stack: Stack;
  const tokens = new Map<string, string>();
  let before: string;

  beforeAll(async () => {
    stack = await startStack();
    for (const name of ['admin', 'manager', 'accountant', 'ann', 'bob', 'cleo']) tokens.set(name, await stack.signIn(`${name}@ates.test`));
    before = await state();
  }, 120_000);
  afterAll(() => stack?.stop(), 30_000);

  /** What nothing that is refused may change. */
  const state = async (): Promise<string> => {
    const ask = async (query: string) => (await stack.gql(query, {}, tokens.get('admin'))).data;
    return JSON.stringify([
      await ask('{ tasks(first: 100) { edges { node { id status assignee { id } } } } }'),
      await ask('{ users(first: 100) { totalCount } }'),
      await ask('{ accounts(first: 100) { edges { node { balance } } } }'),
    ]);
  };
  const post = async (body: string, headers: Record<string, string> = {}) => {
    const response = await fetch(stack.url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
    const text = await response.text();
    expect(text).not.toMatch(/\bat .*\.[jt]s:\d+|select |node_modules|127\.0\.0\.1/i);
    const answer = JSON.parse(text) as { data?: unknown; errors: { message: string; extensions: { code: string } }[] };
    for (const { message, extensions } of answer.errors) {
      expect(CODES).toContain(extensions.code);
      expect(message.length).toBeGreaterThan(10);
    }
    return { status: response.status, code: answer.errors[0]?.extensions.code, data: answer.data };
  };
  const ask = (query: string, token?: string, variables: object = {}) => post(JSON.stringify({ query, variables }), token === undefined ? {} : { authorization: `Bearer ${token}` });
  const openTask = async () => {
    const { data } = await stack.gql<any>('mutation { createTask(input: { title: "Feed the parrot" }) { id assignee { id } } }', {}, tokens.get('manager'));
    const owners = await Promise.all(['accountant', 'ann', 'bob', 'cleo'].map(async (name) => ({ name, id: (await stack.gql<any>('{ me { id } }', {}, tokens.get(name))).data.me.id })));
    const assignee = owners.find(({ id }) => id === data.createTask.assignee.id)?.name as string;
    return { id: data.createTask.id as string, assignee, stranger: owners.find(({ name }) => name !== assignee)?.name as string };
  };
  const COMPLETE = 'mutation ($id: ID!) { completeTask(id: $id) { id } }';

  test.each([
    ['a wrong password', 'admin@ates.test', 'parrot'],
    ['an e-mail that nobody has', 'nobody@ates.test', 'popug'],
    ['an empty password', 'admin@ates.test', ''],
  ])('%s: UNAUTHENTICATED', async (_what, email, password) => {
    const login = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }';
    expect(await ask(login, undefined, { email, password })).toMatchObject({ status: 200, code: 'UNAUTHENTICATED', data: null });
  });

  test.each(['{ me { id } }', '{ tasks { edges { cursor } } }', '{ myAccount { balance } }', '{ accounts { edges { cursor } } }', '{ companyEarnings }', '{ dayStats { day } }', '{ users { totalCount } }'])(
    'no token for %s: UNAUTHENTICATED',
    async (query) => expect(await ask(query)).toMatchObject({ status: 200, code: 'UNAUTHENTICATED' }),
  );

  test.each([['garbage', 'popug'], ['of three parts', 'a.b.c'], ['unsigned', `${part({ alg: 'none', typ: 'at+jwt' })}.${part({ sub: 'x', sid: 'x', roles: ['ADMIN'], iss: 'ates', aud: 'ates', exp: 4e9 })}.`]])(
    'a token that is %s: 401 UNAUTHENTICATED, also for what needs none',
    async (_what, token) => {
      expect(await ask('{ me { id } }', token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
      expect(await ask('{ __typename }', token)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    },
  );

  test('a valid token with one letter changed: 401 UNAUTHENTICATED', async () => {
    const token = tokens.get('ann') as string;
    const [header, claims, signature] = token.split('.') as [string, string, string];
    const forged = Buffer.from(Buffer.from(claims, 'base64url').toString().replace('EMPLOYEE', 'ADMIN')).toString('base64url');
    expect(await ask('{ me { id } }', `${header}.${forged}.${signature}`)).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  });

  test('roles are checked: what an employee, a manager, an accountant may not, is FORBIDDEN', async () => {
    const newUser = 'mutation { createUser(input: { name: "X", email: "x@ates.test", password: "popug", roles: [ADMIN] }) { id } }';
    for (const [name, query] of [
      ['ann', newUser], ['manager', newUser], ['accountant', newUser],
      ['ann', 'mutation { assignTasks { assigned } }'], ['accountant', 'mutation { assignTasks { assigned } }'],
      ['ann', '{ accounts { edges { cursor } } }'], ['manager', '{ accounts { edges { cursor } } }'],
      ['ann', '{ companyEarnings }'], ['manager', '{ companyEarnings }'],
      ['ann', '{ dayStats { day } }'], ['manager', '{ dayStats { day } }'], ['accountant', '{ dayStats { day } }'],
    ] as const) {
      expect([name, query, await ask(query, tokens.get(name))]).toEqual([name, query, expect.objectContaining({ code: 'FORBIDDEN' })]);
    }
  });

  test('another’s task: FORBIDDEN; a finished one: CONFLICT; nothing is paid twice', async () => {
    const { id, assignee, stranger } = await openTask();
    expect(await ask(COMPLETE, tokens.get(stranger), { id })).toMatchObject({ status: 200, code: 'FORBIDDEN', data: null });
    const { data } = await stack.gql<any>(COMPLETE, { id }, tokens.get(assignee));
    expect(data.completeTask.id).toBe(id);
    expect(await ask(COMPLETE, tokens.get(assignee), { id })).toMatchObject({ status: 200, code: 'CONFLICT' });
    const rewards = async () =>
      (await stack.gql<any>('{ myAccount { entries(first: 100) { edges { node { kind task { id } } } } } }', {}, tokens.get(assignee))).data.myAccount.entries.edges.filter(
        ({ node }: any) => node.kind === 'REWARD' && node.task.id === id,
      );
    await until('the reward is posted', 10_000, async () => (await rewards()).length > 0);
    expect(await rewards()).toHaveLength(1);
    before = await state();
  });

  test.each([['no id', 'popug'], ['nothing’s id', '01a1f8f1-0000-7000-8000-00000000ffff'], ['an injection', `' or 1=1 --`]])('unknown ids, %s: NOT_FOUND in mutations and subscriptions, null in queries', async (_what, id) => {
    expect(await ask(COMPLETE, tokens.get('ann'), { id })).toMatchObject({ status: 200, code: 'NOT_FOUND' });
    const { data, errors } = await stack.gql('query ($id: ID!) { task(id: $id) { id } user(id: $id) { id } account(id: $id) { id } }', { id }, tokens.get('admin'));
    expect({ data, errors }).toEqual({ data: { task: null, user: null, account: null }, errors: undefined });
    const [error] = await subscribe(tokens.get('admin'), id);
    expect(error).toMatchObject({ extensions: { code: 'NOT_FOUND' } });
  });

  test.each([
    ['a brace too few', '{"query":"{ me { id }"}'],
    ['no JSON', '{"query": '],
    ['no query', '{}'],
    ['a field that is not there', '{"query":"{ me { wings } }"}'],
    ['an unknown operation name', '{"query":"query A { me { id } }","operationName":"B"}'],
    ['several operations and no name', '{"query":"query A { me { id } } query B { me { name } }"}'],
    ['a missing variable', '{"query":"query ($id: ID!) { task(id: $id) { id } }"}'],
    ['a variable of another type', '{"query":"query ($n: Int) { tasks(first: $n) { edges { cursor } } }","variables":{"n":"many"}}'],
    ['a batch', '[{"query":"{ __typename }"},{"query":"{ __typename }"}]'],
    ['a subscription over HTTP', '{"query":"subscription { balanceChanged { balance } }"}'],
    ['a query 20 levels deep', JSON.stringify({ query: `{ tasks { edges { node ${'{ assignee { account { owner '.repeat(6)}{ id }${' } } }'.repeat(6)} } } }` })],
  ])('%s: 400 BAD_USER_INPUT', async (_what, body) => {
    expect(await post(body, { authorization: `Bearer ${tokens.get('ann')}` })).toMatchObject({ status: 400, code: 'BAD_USER_INPUT' });
  });

  test('a page of 1,000 and a day that no calendar has: BAD_USER_INPUT', async () => {
    expect(await ask('{ tasks(first: 1000) { edges { cursor } } }', tokens.get('ann'))).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await ask('{ dayStats(day: "2026-02-30") { day } }', tokens.get('admin'))).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('a body of 1 MB: 413 BAD_USER_INPUT', async () => {
    const body = JSON.stringify({ query: 'mutation ($input: CreateTaskInput!) { createTask(input: $input) { id } }', variables: { input: { title: 'x'.repeat(1024 * 1024) } } });
    expect(await post(body, { authorization: `Bearer ${tokens.get('ann')}` })).toMatchObject({ status: 413, code: 'BAD_USER_INPUT' });
  });

  test.each([['no token', undefined], ['a garbage token', 'popug']])('a subscription with %s: the socket is closed with 4403 UNAUTHENTICATED', async (_what, token) => {
    const [closed] = await subscribe(token);
    expect(closed).toMatchObject({ code: 4403, reason: expect.stringMatching(/^UNAUTHENTICATED/) });
  });

  test('nothing that was refused has left a trace', async () => {
    expect(await state()).toBe(before);
  });

  /** The errors, or the close event, that a subscription to balances ends with. */
  async function subscribe(token: string | undefined, accountId?: string): Promise<unknown[]> {
    const client = createClient({ url: stack.wsUrl, webSocketImpl: WebSocket, retryAttempts: 0, connectionParams: token === undefined ? {} : { authorization: `Bearer ${token}` } });
    try {
      return await new Promise((resolve, reject) => {
        client.subscribe(
          { query: 'subscription ($accountId: ID) { balanceChanged(accountId: $accountId) { balance } }', variables: accountId === undefined ? {} : { accountId } },
          {
            next: ({ errors }) => (errors === undefined ? reject(new Error('it delivered an event')) : resolve([...errors])),
            error: (error) => resolve(Array.isArray(error) ? error : [error]),
            complete: () => reject(new Error('it completed without a reason')),
          },
        );
      });
    } finally {
      await client.dispose();
    }
  }
});

function part(content: object): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}
