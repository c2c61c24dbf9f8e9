import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { v7 as uuidv7 } from 'uuid';
import { createTestDatabase, type TestDatabase } from '../../../scripts/test-service.ts';
import { COMPANY_ACCOUNT } from '../migrations/2026-11-20-accounting.ts';
import { Migration20261121Closing } from '../migrations/2026-11-21-closing.ts';
import { MIGRATIONS } from '../migrations/all.ts';
import { countPosted, nextDayToClose, recordMarkers } from '../src/day-register.ts';

const DAY = '2026-11-19';

/** A ledger of the version before days were closed, with what it had read of Users and Tasks. */
describe('A ledger from before there were closes', () => {
  let tables: TestDatabase;
  let database: Database;
  const [ann, account, taskId, marker, posting] = [uuidv7(), uuidv7(), uuidv7(), uuidv7(), uuidv7()];
  const open = (migrations: typeof MIGRATIONS) => openDatabase({ url: tables.url, ownerUrl: tables.ownerUrl, entities: [], migrations, logger: createLogger('accounting', 'fatal') });

  beforeAll(async () => {
    tables = await createTestDatabase('accounting');
    const before = await open(MIGRATIONS.slice(0, MIGRATIONS.indexOf(Migration20261121Closing)));
    await before.sql(`insert into user_copies (user_id, name) values ($1, 'Ann')`, [ann]);
    await before.sql(`insert into prices values ($1, 1000, 2000, now())`, [taskId]);
    await before.sql(`insert into accounts (id, kind, owner_id) values ($1, 'EMPLOYEE', $2)`, [account, ann]);
    await before.sql(
      `with posted as (
         insert into postings (id, kind, cause, from_account, to_account, amount, task_id, business_day, description, posted_at)
         values ($1, 'FEE', 'fee/x/1', $2, '${COMPANY_ACCOUNT}', 1000, $3, $4, 'Fee', now())
       ), entered as (
         insert into entries (id, posting_id, side, account_id, number, amount, balance_after, business_day)
         values (uuidv7(), $1, -1, $2, 1, -1000, -1000, $4), (uuidv7(), $1, 1, '${COMPANY_ACCOUNT}', 1, 1000, 1000, $4)
       ) update accounts set entry_count = 1, balance = case id when $2 then -1000 else 1000 end where id in ($2, '${COMPANY_ACCOUNT}')`,
      [posting, account, taskId, DAY],
    );
    await before.sql(`insert into inbox_versions values ('/users', $1, 3), ('/tasks', $2, 2), ('/tasks', $3, 1)`, [ann, taskId, marker]);
    await before.sql(`insert into inbox (event_id) values ($1)`, [uuidv7()]);
    await before.sql(`insert into inbox_positions (stream, partition, position, message_id) values ('USERS', 0, 7, 'x'), ('TASKS', 3, 9, 'y')`);
    await before.close();
    database = await open(MIGRATIONS);
  });
  afterAll(async () => {
    await database?.close();
    await tables?.drop();
  });

  test('reads users and the ends of days once more, and of tasks nothing that it has applied', async () => {
    expect(await database.sql('select position::int, message_id from inbox_positions')).toEqual([{ position: 0, message_id: '' }, { position: 0, message_id: '' }]);
    expect(await database.sql('select source, aggregate_id, version from inbox_versions')).toEqual([{ source: '/tasks', aggregate_id: taskId, version: 2 }]);
    expect(await database.sql('select from inbox')).toEqual([]);
  });

  test('has counted what is posted, and closes a day once its end has been told again', async () => {
    const now = new Date('2026-11-20T10:00:00Z');
    const next = { timeZone: 'UTC', now };
    expect(await nextDayToClose(database.sql, next)).toMatchObject({ day: DAY, posted: { assignments: 1, completions: 0, deletions: null }, marked: null });
    const ended = { dataschema: 'tasks.day_ended.v1', data: { businessDay: DAY, endedAt: now.toISOString(), assignments: 1, completions: 0, deletions: 2 } };
    await recordMarkers(database.sql, [ended as never]);
    // How many were deleted that nobody had was not counted then: it is not compared.
    await countPosted(database.sql, new Map([[DAY, { assignments: 0, completions: 0, deletions: 1 }]]));
    expect(await nextDayToClose(database.sql, next)).toMatchObject({ posted: { deletions: null }, marked: { assignments: 1, deletions: 2 } });
  });
});
