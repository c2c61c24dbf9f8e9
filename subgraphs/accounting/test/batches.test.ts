import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import type { AtesEvent, PublishedAtesEvent } from '@ates/shared-events/catalog';
import { newEvent } from '@ates/shared-events/event';
import { taskAssignedV1, taskCreatedV2, taskDeletedV1, taskUpdatedV1 } from '@ates/shared-events/task-events';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase, type TestDatabase } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { reactToTasks } from '../src/reactions.ts';
import { statementLoaders } from '../src/statement-queries.ts';

const DAY = '2026-11-20';
const OCCURRENCE = { time: new Date('2026-11-20T10:00:00Z'), traceparent: '00-59647b583709902dc87168929ff812b5-00f067aa0ba902b7-01' };
const AT = OCCURRENCE.time.toISOString();
const FEE = 10_00;

/** Where a batch begins and ends is chance in a running service; here it is said. */
describe('What Tasks tells, in batches', () => {
  let tables: TestDatabase;
  let database: Database;
  beforeAll(async () => {
    tables = await createTestDatabase('accounting');
    database = await openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('accounting', 'fatal') });
  });
  afterAll(async () => {
    await database?.close();
    await tables?.drop();
  });

  const text = { number: 17, ticket: null, title: 'Feed the parrot', description: '', status: 'OPEN' as const, creatorId: uuidv7(), createdAt: AT };
  const created = (taskId: string) => newEvent(taskCreatedV2, taskId, { version: 1, ...text }, OCCURRENCE);
  const assigned = (taskId: string, version: number, assigneeId: string, assignmentNumber = version - 1) =>
    newEvent(taskAssignedV1, taskId, { version, assignmentNumber, assigneeId, previousAssigneeId: null, businessDay: DAY, assignedAt: AT }, OCCURRENCE);
  const deleted = (taskId: string, version: number, assigneeId: string | null, assignmentNumber = version - 2) =>
    newEvent(taskDeletedV1, taskId, { version, assignmentNumber, assigneeId, deletedBy: text.creatorId, businessDay: DAY, deletedAt: AT }, OCCURRENCE);
  const updated = (taskId: string, version: number, title: string) =>
    newEvent(taskUpdatedV1, taskId, { version, ...text, title, assigneeId: null, updatedBy: text.creatorId, updatedAt: AT }, OCCURRENCE);
  /** One transaction, as the consumer would make it of these events; the lowest prices. */
  const apply = async (...events: AtesEvent[]) => {
    const rules = { clock: () => OCCURRENCE.time, random: (min: number) => min, timeZone: 'UTC' };
    return (await database.sqlTransaction((sql) => reactToTasks(rules, sql, events as PublishedAtesEvent[]))).posted;
  };
  const applyAs = async (how: string, ...events: AtesEvent[]): Promise<void> => {
    if (how === 'one batch') await apply(...events);
    else for (const event of events) await apply(event);
  };
  /** Whose postings of a task, of which kind, in the order in which the company's account has them. */
  const postingsOf = async (taskId: string) =>
    (
      await database.sql<{ posting: string }>(
        `select postings.kind || ' ' || owner_id as posting from postings join accounts on owner_id is not null and accounts.id in (from_account, to_account)
         join entries on posting_id = postings.id and account_id = '${COMPANY_ACCOUNT}' where task_id = $1 order by entries.number`,
        [taskId],
      )
    ).map(({ posting }) => posting);
  const copyOf = (taskId: string) => database.sql('select fee::int, title from prices left join task_copies using (task_id) where task_id = $1', [taskId]);

  test('a task that is made, assigned twice and deleted in one batch costs its last assignee nothing and the one before the fee', async () => {
    const [taskId, ann, bob] = [uuidv7(), uuidv7(), uuidv7()];
    const told = await apply(created(taskId), assigned(taskId, 2, ann), assigned(taskId, 3, bob), deleted(taskId, 4, bob));
    expect(told.map(({ ownerId, kind, amount, balanceAfter }) => [ownerId, kind, amount, balanceAfter])).toEqual([
      [ann, 'FEE', -FEE, -FEE],
      [bob, 'FEE', -FEE, -FEE],
      [bob, 'REVERSAL', FEE, 0],
    ]);
    const [, charged, reversal] = told;
    const [event] = await database.sql<{ data: unknown }>(`select data from outbox where type = 'account.reversed' and aggregate_id = $1`, [reversal?.accountId]);
    expect(event?.data).toMatchObject({ ownerId: bob, entry: { id: reversal?.id, kind: 'REVERSAL' }, reversedEntryId: charged?.id });
    const { earnedToday } = statementLoaders(database, () => Promise.resolve(DAY));
    expect(await Promise.all(told.slice(0, 2).map(({ accountId }) => earnedToday.load(accountId)))).toEqual([-FEE, 0]);
  });

  test.each(['one batch', 'batches of their own'])('a deletion that is told again under other ids, in %s, gives the fee back once', async (how) => {
    const [taskId, ann] = [uuidv7(), uuidv7()];
    await applyAs(how, created(taskId), assigned(taskId, 2, ann), deleted(taskId, 3, ann), deleted(taskId, 4, ann, 1), deleted(taskId, 5, ann, 1));
    expect(await postingsOf(taskId)).toEqual([`FEE ${ann}`, `REVERSAL ${ann}`]);
  });

  test.each(['one batch', 'batches of their own'])('of an assignment that is told twice, of two employees, in %s, the first one counts', async (how) => {
    const [taskId, ann, bob] = [uuidv7(), uuidv7(), uuidv7()];
    await applyAs(how, created(taskId), assigned(taskId, 2, ann), assigned(taskId, 3, bob, 1));
    expect(await postingsOf(taskId)).toEqual([`FEE ${ann}`]);
  });

  test.each(['one batch', 'batches of their own'])('an assignment that is told again after its deletion, in %s, is charged no more', async (how) => {
    const [taskId, ann] = [uuidv7(), uuidv7()];
    await applyAs(how, created(taskId), assigned(taskId, 2, ann), deleted(taskId, 3, ann), assigned(taskId, 4, ann, 1));
    expect(await postingsOf(taskId)).toEqual([`FEE ${ann}`, `REVERSAL ${ann}`]);
  });

  test('a task that is first heard of when it is renamed has a price, and the last of its names', async () => {
    const taskId = uuidv7();
    await apply(updated(taskId, 1, 'Feed the cat'), updated(taskId, 2, 'Feed the dog'));
    expect(await copyOf(taskId)).toEqual([{ fee: FEE, title: 'Feed the dog' }]);
  });

  test('a task that is first heard of when it is deleted has a price, and nothing moves when nobody had it', async () => {
    const taskId = uuidv7();
    expect(await apply(deleted(taskId, 1, null, 0))).toEqual([]);
    expect(await copyOf(taskId)).toEqual([{ fee: FEE, title: null }]);
    expect(await postingsOf(taskId)).toEqual([]);
  });
});
