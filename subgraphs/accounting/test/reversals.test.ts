import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newEvent } from '@ates/shared-events/event';
import { ensureStream } from '@ates/shared-events/streams';
import { taskAssignedV1, taskCreatedV2, taskDeletedV1, taskUpdatedV1 } from '@ates/shared-events/task-events';
import { jetstreamManager } from '@nats-io/jetstream';
import { v7 as uuidv7 } from 'uuid';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { eventually, startTestService, type TestService } from '../../../scripts/test-service.ts';

const [YESTERDAY, DAY] = ['2026-11-19', '2026-11-20'];
const OCCURRENCE = { time: new Date('2026-11-20T10:00:00Z'), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const AT = OCCURRENCE.time.toISOString();

describe('the fee of a task that is deleted', () => {
  let accounting: TestService;
  beforeAll(async () => {
    accounting = await startTestService('accounting');
    for (const producer of ['users', 'tasks'] as const) await ensureStream(await jetstreamManager(accounting.nats), producer);
  });
  afterAll(() => accounting?.stop());

  const popug = async () => {
    const id = uuidv7();
    return { id, token: await accounting.token({ id, roles: ['EMPLOYEE'] }) };
  };
  const text = { number: 17, ticket: null, title: 'Feed the parrot', description: '', status: 'OPEN' as const, creatorId: uuidv7(), createdAt: AT };
  const created = (taskId: string) => newEvent(taskCreatedV2, taskId, { version: 1, ...text }, OCCURRENCE);
  const assigned = (taskId: string, version: number, assigneeId: string, day = DAY) =>
    newEvent(taskAssignedV1, taskId, { version, assignmentNumber: version - 1, assigneeId, previousAssigneeId: null, businessDay: day, assignedAt: AT }, OCCURRENCE);
  const deleted = (taskId: string, version: number, assigneeId: string | null, assignmentNumber = version - 2) =>
    newEvent(taskDeletedV1, taskId, { version, assignmentNumber, assigneeId, deletedBy: text.creatorId, businessDay: DAY, deletedAt: AT }, OCCURRENCE);
  const publish = async (...events: readonly object[]): Promise<void> => {
    for (const event of events) await accounting.publish(Object.assign(event, { sequence: '1' }) as never);
  };
  /** In the order in which they were posted, which ids of one moment don't tell. */
  const kindsOf = async (taskId: string) =>
    (await accounting.sql<{ kind: string }>('select kind from postings join entries on posting_id = postings.id where task_id = $1 and account_id = $2 order by number', [taskId, COMPANY_ACCOUNT])).map(({ kind }) => kind);
  const account = async (token: string) =>
    (await accounting.gql('{ myAccount { balance entries(first: 100) { edges { node { id kind amount balanceAfter description day task { title } } } } } }', {}, token)).data['myAccount'];
  const earnings = async (day: string) => {
    const [row] = await accounting.sql<{ earned: number }>(`select -coalesce(sum(entries.amount), 0)::int as earned from entries join accounts on accounts.id = account_id where kind = 'EMPLOYEE' and business_day = $1`, [day]);
    const token = await accounting.token({ id: uuidv7(), roles: ['ACCOUNTANT'] });
    expect((await accounting.gql('query ($day: Date) { companyEarnings(day: $day) }', { day }, token)).data['companyEarnings']).toBe(row?.earned);
    return row?.earned;
  };
  const expectBalancedLedger = async (): Promise<void> => {
    const [sums] = await accounting.sql(`select (select coalesce(sum(amount), 0) from entries)::int as entries, (select sum(balance) from accounts)::int as balances,
      (select count(*) from accounts a where balance <> coalesce((select sum(amount) from entries where account_id = a.id), 0))::int as off`);
    expect(sums).toEqual({ entries: 0, balances: 0, off: 0 });
  };

  test('goes back to whoever has it, of their assignment and not of earlier ones, on the day of the deletion, in words that tell it', async () => {
    const [ann, bob] = [await popug(), await popug()];
    const taskId = uuidv7();
    await publish(created(taskId), assigned(taskId, 2, ann.id, YESTERDAY), assigned(taskId, 3, bob.id, YESTERDAY));
    await eventually(async () => (await kindsOf(taskId)).length === 2);
    const before = await earnings(DAY);
    await publish(deleted(taskId, 4, bob.id));
    await eventually(async () => (await kindsOf(taskId)).length === 3);
    const anns = await account(ann.token);
    const fee = -anns.balance;
    expect(fee).toBeGreaterThanOrEqual(10_00);
    const { balance, entries } = await account(bob.token);
    expect(balance).toBe(0);
    expect(entries.edges.map(({ node }: any) => node)).toEqual([
      expect.objectContaining({ kind: 'REVERSAL', amount: fee, balanceAfter: 0, day: DAY, description: 'Reversal of Fee for POPUG-17 Feed the parrot, assignment 2: the task was deleted' }),
      expect.objectContaining({ kind: 'FEE', amount: -fee, balanceAfter: -fee, day: YESTERDAY }),
    ]);
    expect(await earnings(DAY)).toBe((before ?? 0) - fee);
    const [event] = await accounting.sql<{ data: any }>(`select data from outbox where type = 'account.reversed' and data -> 'entry' ->> 'taskId' = $1`, [taskId]);
    expect(event?.data).toMatchObject({ ownerId: bob.id, entry: { id: entries.edges[0].node.id, kind: 'REVERSAL', amount: fee }, reversedEntryId: entries.edges[1].node.id, reason: 'the task was deleted' });
    await expectBalancedLedger();
  });

  test('goes back also when all of it comes at once, and once, however often and under whatever ids it is told', async () => {
    const ann = await popug();
    const taskId = uuidv7();
    const deletion = deleted(taskId, 3, ann.id);
    const again = { ...deleted(taskId, 4, ann.id, 1) };
    // In one packet: they arrive as one batch.
    await Promise.all([created(taskId), assigned(taskId, 2, ann.id), deletion, { ...deletion }, again].map((event) => publish(event)));
    await publish(newEvent(taskUpdatedV1, taskId, { version: 5, ...text, assigneeId: ann.id, title: 'Read to the end', updatedBy: text.creatorId, updatedAt: AT }, OCCURRENCE));
    await eventually(async () => (await accounting.sql(`select from task_copies where task_id = $1 and title = 'Read to the end'`, [taskId])).length === 1);
    expect(await kindsOf(taskId)).toEqual(['FEE', 'REVERSAL']);
    expect((await account(ann.token)).balance).toBe(0);
    expect(await accounting.sql('select from parked_events where message like $1', [`%${taskId}%`])).toEqual([]);
    await expectBalancedLedger();
  });

  test('is nobody’s when nobody had the task: it has its price, and nothing moves', async () => {
    const taskId = uuidv7();
    await publish(deleted(taskId, 1, null, 0));
    await eventually(async () => (await accounting.sql('select from prices where task_id = $1', [taskId])).length === 1);
    expect(await kindsOf(taskId)).toEqual([]);
  });

  test('that was never charged is not given back: the event is parked and says what to look for', async () => {
    const ann = await popug();
    const taskId = uuidv7();
    await publish(created(taskId), deleted(taskId, 2, ann.id, 7));
    const parked = await eventually(async () => (await accounting.sql<{ reason: string }>('select reason from parked_events where aggregate_id = $1', [taskId]))[0]);
    expect(parked.reason).toMatch(new RegExp(`fee/${taskId}/7 was never posted.*parked events`));
    expect(await kindsOf(taskId)).toEqual([]);
  });

  test.each([
    ['twice', 'to_account, from_account, amount', 'id', /postings_reversed_once/],
    ['in part', 'to_account, from_account, amount - 1', 'id', /does not take back a posting, whole/],
    ['in the same direction', 'from_account, to_account, amount', 'id', /does not take back a posting, whole/],
    ['as what never was posted', 'to_account, from_account, amount', 'uuidv7()', /does not take back a posting, whole/],
  ])('can not be taken back %s: the tables refuse it', async (how, accountsAndAmount, reverses, refusal) => {
    const [ann, taskId] = [await popug(), uuidv7()];
    const isTwice = how === 'twice';
    await publish(created(taskId), assigned(taskId, 2, ann.id), ...(isTwice ? [deleted(taskId, 3, ann.id)] : []));
    await eventually(async () => (await kindsOf(taskId)).length === (isTwice ? 2 : 1));
    const reverse = `insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, posted_at, reverses, reason)
      select uuidv7(), 'REVERSAL', uuidv7()::text, ${accountsAndAmount}, task_id, business_day, '', now(), ${reverses}, 'a test' from postings where task_id = $1 and kind = 'FEE'`;
    await expect(accounting.sql(reverse, [taskId])).rejects.toThrow(refusal);
  });

  test('an update of a task’s text shows in what is posted from then on, and in the task', async () => {
    const ann = await popug();
    const taskId = uuidv7();
    const updated = newEvent(taskUpdatedV1, taskId, { version: 3, ...text, assigneeId: ann.id, title: 'Feed the cat', updatedBy: text.creatorId, updatedAt: AT }, OCCURRENCE);
    await publish(created(taskId), assigned(taskId, 2, ann.id), updated);
    await eventually(async () => (await accounting.sql(`select from task_copies where task_id = $1 and title = 'Feed the cat'`, [taskId])).length === 1);
    await publish(assigned(taskId, 4, ann.id));
    await eventually(async () => (await kindsOf(taskId)).length === 2);
    const [latest, first] = (await account(ann.token)).entries.edges.map(({ node }: any) => node);
    expect(latest).toMatchObject({ description: 'Fee for POPUG-17 Feed the cat, assignment 3', task: { title: 'Feed the cat' } });
    expect(first.task.title).toBe('Feed the cat');
  });
});
