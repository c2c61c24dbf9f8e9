import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newEvent } from '@ates/shared-events/event';
import { jetstreamManager } from '@nats-io/jetstream';
import { ensureStream } from '@ates/shared-events/streams';
import { taskAssignedV1, taskCompletedV1, taskCreatedV1, taskCreatedV2 } from '@ates/shared-events/task-events';
import { userCreatedV1, userDeletedV1, type Role } from '@ates/shared-events/user-events';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { eventually, startTestService, type TestService } from '../../../scripts/test-service.ts';

const DAY = '2026-11-20';
const OCCURRENCE = { time: new Date('2026-11-20T10:00:00Z'), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const ENTRIES = 'entries(first: 100) { edges { node { id kind amount balanceAfter description day task { id number ticket title fee reward } } } pageInfo { hasNextPage endCursor } }';
const COMPANY = '00000000-0000-7000-8000-000000000001';

describe('Accounting', () => {
  let accounting: TestService;
  const accountant = { id: uuidv7(), roles: ['ACCOUNTANT'] };
  const admin = { id: uuidv7(), roles: ['ADMIN'] };
  let sequence = 0;
  let number = 0;

  beforeAll(async () => {
    accounting = await startTestService('accounting');
    await ensureStream(await jetstreamManager(accounting.nats), 'users');
    await ensureStream(await jetstreamManager(accounting.nats), 'tasks');
  });
  afterAll(() => accounting?.stop());

  const publish = (event: Parameters<TestService['publish']>[0]) => accounting.publish(Object.assign(event, { sequence: String((sequence += 1)) }));
  const hire = async (roles: Role[] = ['EMPLOYEE'], name = 'Ann') => {
    const user = { id: uuidv7(), roles };
    await publish(newEvent(userCreatedV1, user.id, { version: 1, name, email: `${user.id}@ates.test`, roles, status: 'ACTIVE' }, OCCURRENCE));
    // Users and tasks are streams of their own: which is read first is open.
    await eventually(async () => (await accounting.sql('select from user_copies where user_id = $1', [user.id])).length === 1);
    return { ...user, token: await accounting.token(user) };
  };
  const newTask = (taskId: string) => ({ version: 1, number: (number += 1), description: '', status: 'OPEN' as const, creatorId: taskId, createdAt: OCCURRENCE.time.toISOString() });
  const created = (taskId: string) => newEvent(taskCreatedV2, taskId, { ...newTask(taskId), ticket: 'POPUG-1', title: 'Feed the parrot' }, OCCURRENCE);
  const createdLongAgo = (taskId: string) => newEvent(taskCreatedV1, taskId, { ...newTask(taskId), title: '[POPUG-1] Feed the parrot' }, OCCURRENCE);
  const assigned = (taskId: string, assigneeId: string, assignmentNumber = 1, day = DAY) => {
    const data = { version: assignmentNumber + 1, assignmentNumber, assigneeId, previousAssigneeId: null, businessDay: day, assignedAt: OCCURRENCE.time.toISOString() };
    return newEvent(taskAssignedV1, taskId, data, OCCURRENCE);
  };
  const completed = (taskId: string, assigneeId: string, assignmentNumber = 1, day = DAY) => {
    const data = { version: assignmentNumber + 2, assignmentNumber, assigneeId, businessDay: day, completedAt: OCCURRENCE.time.toISOString() };
    return newEvent(taskCompletedV1, taskId, data, OCCURRENCE);
  };
  const postingsOf = (taskId: string) => accounting.sql<{ kind: string; amount: string; cause: string }>('select kind, postings.amount, cause from postings join entries on posting_id = postings.id where task_id = $1 and account_id = $2 order by number', [taskId, COMPANY]);
  const posted = (taskId: string, count: number) => eventually(async () => (await postingsOf(taskId)).length === count);
  const priceOf = async (taskId: string) => (await accounting.sql<{ fee: string; reward: string }>('select fee, reward from prices where task_id = $1', [taskId]))[0];
  const myAccount = async (token: string) => (await accounting.gql(`{ myAccount { id balance owner { id name } ${ENTRIES} } }`, {}, token)).data?.['myAccount'];
  const codeOf = (answer: { errors?: readonly { extensions: { code: string } }[] }) => answer.errors?.[0]?.extensions.code;
  /** What must hold of the whole ledger at any time. */
  const expectBalancedLedger = async (): Promise<void> => {
    const [sums] = await accounting.sql(`select (select coalesce(sum(amount), 0) from entries)::int as entries, (select sum(balance) from accounts)::int as balances,
      (select count(*) from accounts a where balance <> coalesce((select sum(amount) from entries where account_id = a.id), 0))::int as off`);
    expect(sums).toEqual({ entries: 0, balances: 0, off: 0 });
  };

  test.each([
    ['task.created.v2', created],
    ['task.created.v1', createdLongAgo],
  ])('after a %s an assignment is charged, a completion rewarded, at the price set once, in words a person can read', async (_dataschema, arrives) => {
    const ann = await hire();
    const taskId = uuidv7();
    for (const event of [arrives(taskId), assigned(taskId, ann.id), completed(taskId, ann.id)]) await publish(event);
    await posted(taskId, 2);
    const price = await priceOf(taskId);
    const [fee, reward] = [Number(price?.fee), Number(price?.reward)];
    const account = await myAccount(ann.token);
    expect(account).toMatchObject({ balance: reward - fee, owner: { id: ann.id, name: 'Ann' } });
    expect(account.entries.edges.map(({ node }: any) => node)).toEqual([
      expect.objectContaining({ kind: 'REWARD', amount: reward, balanceAfter: reward - fee, description: `Reward for POPUG-${number} Feed the parrot`, day: DAY, task: { id: taskId, number, ticket: 'POPUG-1', title: 'Feed the parrot', fee, reward } }),
      expect.objectContaining({ kind: 'FEE', amount: -fee, balanceAfter: -fee, description: `Fee for POPUG-${number} Feed the parrot, assignment 1` }),
    ]);
    await expectBalancedLedger();
  });

  test('garbage among the live entries harms nobody', async () => {
    for (const garbage of ['popug', 'null', '{}', '{"replica":"other","entries":[null]}']) accounting.nats.publish('live.accounting.entry_posted', garbage);
    await accounting.nats.flush();
    const ann = await hire();
    await eventually(async () => (await myAccount(ann.token))?.balance === 0);
    expect((await fetch(`${accounting.url}/healthz`)).status).toBe(200);
  });

  test('its part of the event pipe is shown in /metrics', async () => {
    const metrics = await eventually(async () => {
      const text = await (await fetch(`${accounting.url}/metrics`)).text();
      return /^ates_relay_leads\{.*\} 1$/m.test(text) && text;
    });
    for (const name of ['ates_outbox_unpublished_events', 'ates_outbox_oldest_unpublished_seconds', 'ates_relay_published_events_total', 'ates_relay_resyncs_total']) {
      expect(metrics).toMatch(new RegExp(`^${name}\\{service="accounting"\\} \\d`, 'm'));
    }
    for (const name of ['ates_consumer_lag_events', 'ates_consumer_partitions', 'ates_consumer_applied_events_total', 'ates_consumer_retries_total', 'ates_parked_events']) {
      for (const producer of ['users', 'tasks']) expect(metrics).toMatch(new RegExp(`^${name}\\{.*producer="${producer}".*\\} \\d`, 'm'));
    }
    expect(metrics).toMatch(/^ates_consumer_partitions\{.*producer="tasks".*\} 9$/m);
  });

  test('what happened is announced: the price, the charge, the reward, and the balance', async () => {
    const ann = await hire();
    const taskId = uuidv7();
    for (const event of [created(taskId), assigned(taskId, ann.id), completed(taskId, ann.id)]) await publish(event);
    await posted(taskId, 2);
    const account = await myAccount(ann.token);
    const events = await accounting.sql<{ type: string; version: number; data: any; traceparent: string }>('select type, version, data, traceparent from outbox where aggregate_id in ($1, $2) order by seq', [taskId, account.id]);
    expect(events.filter(({ type }) => type === 'task.priced')).toHaveLength(1);
    expect(events.find(({ type }) => type === 'account.charged')?.data).toMatchObject({ ownerId: ann.id, entry: { kind: 'FEE', taskId, businessDay: DAY } });
    expect(events.filter(({ type }) => type === 'account.balance_changed').at(-1)?.data).toMatchObject({ balance: account.balance });
    const versions = events.filter(({ type }) => type !== 'task.priced').map(({ version }) => version);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
    expect(events.every(({ traceparent }) => traceparent === OCCURRENCE.traceparent)).toBe(true);
  });

  test('every assignment is charged anew, at the same price, to whoever has the task then', async () => {
    const [ann, bob] = [await hire(), await hire(['EMPLOYEE'], 'Bob')];
    const taskId = uuidv7();
    for (const event of [created(taskId), assigned(taskId, ann.id), assigned(taskId, bob.id, 2), assigned(taskId, bob.id, 3)]) await publish(event);
    await posted(taskId, 3);
    const fee = Number((await priceOf(taskId))?.fee);
    expect((await myAccount(ann.token)).balance).toBe(-fee);
    expect((await myAccount(bob.token)).balance).toBe(-2 * fee);
    await expectBalancedLedger();
  });

  test('a second event for the same assignment, with another id, charges nobody twice', async () => {
    const ann = await hire();
    const taskId = uuidv7();
    for (const event of [created(taskId), assigned(taskId, ann.id)]) await publish(event);
    await posted(taskId, 1);
    const again = assigned(taskId, ann.id);
    await publish({ ...again, data: { ...again.data, version: 3 } } as never);
    await publish({ ...completed(taskId, ann.id, 2) });
    await posted(taskId, 2);
    expect((await postingsOf(taskId)).map(({ kind }) => kind)).toEqual(['FEE', 'REWARD']);
  });

  test('who is charged before their user is known owes it all the same, and is named when the user comes', async () => {
    const user = { id: uuidv7(), roles: ['EMPLOYEE'] as Role[] };
    const taskId = uuidv7();
    for (const event of [created(taskId), assigned(taskId, user.id)]) await publish(event);
    await posted(taskId, 1);
    const token = await accounting.token(user);
    expect((await myAccount(token)).owner.name).toBe('a popug not known here yet');
    await publish(newEvent(userCreatedV1, user.id, { version: 1, name: 'Late Larry', email: 'larry@ates.test', roles: user.roles, status: 'ACTIVE' }, OCCURRENCE));
    await eventually(async () => (await myAccount(token)).owner.name === 'Late Larry');
  });

  test('a deleted user’s account and entries stay, under nobody’s name', async () => {
    const dora = await hire(['EMPLOYEE'], 'Dora');
    const taskId = uuidv7();
    for (const event of [created(taskId), assigned(taskId, dora.id)]) await publish(event);
    await posted(taskId, 1);
    await publish(newEvent(userDeletedV1, dora.id, { version: 2, name: 'A popug who left', email: 'x@deleted.invalid', roles: ['EMPLOYEE'], status: 'DELETED' }, OCCURRENCE));
    const nameOf = async () => (await accounting.gql('query ($id: ID!) { account(id: $id) { owner { name } entries { edges { node { kind } } } } }', { id: (await myAccount(dora.token)).id }, await accounting.token(accountant))).data['account'];
    await eventually(async () => (await nameOf()).owner.name === 'A popug who left');
    expect((await nameOf()).entries.edges).toHaveLength(1);
    expect(await accounting.sql(`select from user_copies where name = 'Dora'`)).toEqual([]);
  });

  test('a batch of many events is posted as one by one would be', async () => {
    const employees = await Promise.all(['Ann', 'Bob', 'Cleo'].map((name) => hire(['EMPLOYEE'], name)));
    const taskIds = Array.from({ length: 100 }, () => uuidv7());
    await Promise.all(
      taskIds.map(async (taskId, index) => {
        const employee = employees[index % 3]?.id as string;
        for (const event of [created(taskId), assigned(taskId, employee), completed(taskId, employee)]) await publish(event);
      }),
    );
    await eventually(async () => (await accounting.sql('select from postings where task_id = any($1)', [taskIds])).length === 200);
    const prices = await accounting.sql<{ net: number }>('select sum(reward - fee)::int as net from prices where task_id = any($1)', [taskIds]);
    const balances = await Promise.all(employees.map(async ({ token }) => (await myAccount(token)).balance as number));
    expect(balances.reduce((sum, balance) => sum + balance, 0)).toBe(prices[0]?.net);
    await expectBalancedLedger();
  });

  describe('the ledger in the database', () => {
    const asService = async (statement: string): Promise<string> => {
      const client = new pg.Client({ connectionString: accounting.database.url });
      await client.connect();
      try {
        await client.query(statement);
        return 'done';
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      } finally {
        await client.end();
      }
    };

    test.each(['entries', 'postings'])('%s can’t be updated, deleted or truncated, by the service or by the tables’ owner', async (table) => {
      for (const statement of [`update ${table} set business_day = now()`, `delete from ${table}`, `truncate ${table} cascade`]) {
        expect(await asService(statement)).toMatch(/permission denied/);
        await expect(accounting.sql(statement)).rejects.toThrow(/append-only/);
      }
    });

    test('a posting without its two entries, or with other amounts, does not commit', async () => {
      const ann = await hire();
      const { id } = await eventually(() => myAccount(ann.token));
      const posting = (postingId: string) => `insert into postings values ('${postingId}', 'FEE', '${postingId}', '${id}', '${COMPANY}', 500, null, now(), '', now())`;
      const [first, second] = [uuidv7(), uuidv7()];
      expect(await asService(posting(first))).toMatch(/does not have its two entries/);
      const oneSided = `insert into entries values ('${uuidv7()}', '${second}', -1, '${id}', 1, -500, -500, now())`;
      expect(await asService(`begin; ${posting(second)}; ${oneSided}; update accounts set balance = -500, entry_count = 1 where id = '${id}'; commit`)).toMatch(/does not have its two entries/);
      await expectBalancedLedger();
    });

    test('a balance that is not what the last entry left does not commit', async () => {
      const ann = await hire();
      const { id } = await eventually(() => myAccount(ann.token));
      expect(await asService(`update accounts set balance = 1000000 where id = '${id}'`)).toMatch(/not what its last entry left/);
    });

    test('the same cause is posted once', async () => {
      const { rows } = { rows: await accounting.sql<{ indexdef: string }>(`select indexdef from pg_indexes where tablename = 'postings'`) };
      expect(rows.some(({ indexdef }) => /UNIQUE.*\(cause\)/.test(indexdef))).toBe(true);
    });
  });

  describe('who may see what', () => {
    const as = (user: { id: string; roles: string[] }) => accounting.token(user);

    test('an employee sees their own account, and by no door another’s', async () => {
      const [ann, bob] = [await hire(), await hire(['EMPLOYEE'], 'Bob')];
      const { id } = await eventually(() => myAccount(bob.token));
      await eventually(() => myAccount(ann.token));
      expect(codeOf(await accounting.gql('query ($id: ID!) { account(id: $id) { balance } }', { id }, ann.token))).toBe('FORBIDDEN');
      const entities = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on Account { balance } ... on User { account { balance } } } }';
      expect(codeOf(await accounting.gql(entities, { r: [{ __typename: 'Account', id }] }, ann.token))).toBe('FORBIDDEN');
      expect(codeOf(await accounting.gql(entities, { r: [{ __typename: 'User', id: bob.id }] }, ann.token))).toBe('FORBIDDEN');
      expect((await accounting.gql(entities, { r: [{ __typename: 'User', id: ann.id }] }, ann.token)).data['_entities']).toEqual([{ account: { balance: 0 } }]);
      expect(codeOf(await accounting.gql('{ accounts { edges { cursor } } }', {}, ann.token))).toBe('FORBIDDEN');
      expect(codeOf(await accounting.gql('{ companyEarnings }', {}, ann.token))).toBe('FORBIDDEN');
    });

    test('a manager has no account and sees none', async () => {
      const boss = await hire(['MANAGER'], 'Boss');
      expect(codeOf(await accounting.gql('{ myAccount { id } }', {}, boss.token))).toBe('NOT_FOUND');
      expect(codeOf(await accounting.gql('{ accounts { edges { cursor } } }', {}, boss.token))).toBe('FORBIDDEN');
      expect(codeOf(await accounting.gql('{ companyEarnings }', {}, boss.token))).toBe('FORBIDDEN');
    });

    test.each([['accountant', accountant], ['admin', admin]])('an %s sees every account and the company’s earnings', async (_what, user) => {
      const ann = await hire();
      const taskId = uuidv7();
      const day = user === admin ? '2026-10-02' : '2026-10-01';
      for (const event of [created(taskId), assigned(taskId, ann.id, 1, day)]) await publish(event);
      await posted(taskId, 1);
      const token = await as(user);
      const { companyEarnings } = (await accounting.gql('query ($day: Date) { companyEarnings(day: $day) }', { day }, token)).data;
      expect(companyEarnings).toBe(Number((await priceOf(taskId))?.fee));
      const inTheRed = (await accounting.gql('{ accounts(filter: { inTheRed: true }, first: 100) { edges { node { balance owner { id } } } } }', {}, token)).data['accounts'];
      expect(inTheRed.edges.map(({ node }: any) => node.owner.id)).toContain(ann.id);
      expect(inTheRed.edges.every(({ node }: any) => node.balance < 0)).toBe(true);
    });

    test('nobody sees nothing', async () => {
      for (const query of ['{ myAccount { id } }', '{ accounts { edges { cursor } } }', '{ companyEarnings }', '{ account(id: "x") { id } }']) {
        expect(codeOf(await accounting.gql(query))).toBe('UNAUTHENTICATED');
      }
    });
  });

  test('entries are read page by page, by day, newest first', async () => {
    const ann = await hire();
    const days = ['2026-11-18', '2026-11-19', '2026-11-19', '2026-11-19'];
    for (const day of days) {
      const taskId = uuidv7();
      for (const event of [created(taskId), assigned(taskId, ann.id, 1, day)]) await publish(event);
      await posted(taskId, 1);
    }
    const PAGE = 'query ($day: Date, $n: Int, $a: String) { myAccount { entries(day: $day, first: $n, after: $a) { edges { node { id day } } pageInfo { hasNextPage endCursor } } } }';
    const page = async (variables: object) => (await accounting.gql(PAGE, variables, ann.token)).data['myAccount'].entries;
    const all = (await page({})).edges;
    expect(all.map(({ node }: any) => node.day)).toEqual([...days].reverse());
    const first = await page({ n: 3 });
    expect(first.pageInfo.hasNextPage).toBe(true);
    expect([...first.edges, ...(await page({ n: 3, a: first.pageInfo.endCursor })).edges]).toEqual(all);
    expect((await page({ day: '2026-11-18' })).edges).toEqual([all[3]]);
    expect(codeOf(await accounting.gql(PAGE, { n: 101 }, ann.token))).toBe('BAD_USER_INPUT');
    expect(codeOf(await accounting.gql(PAGE, { day: '2026-02-30' }, ann.token))).toBe('BAD_USER_INPUT');
  });
});
