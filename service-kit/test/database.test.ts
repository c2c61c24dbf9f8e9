import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Migration } from '@mikro-orm/migrations';
import { createTestDatabase, type TestDatabase } from '../../scripts/test-service.ts';
import { openDatabase, type Database } from '../src/database.ts';
import { IDEMPOTENCY_TABLE, once } from '../src/idempotency.ts';
import { createLogger } from '../src/logger.ts';

class MigrationNotes extends Migration {
  override up(): void {
    this.addSql('create table notes (id integer primary key, text text not null)');
    this.addSql(IDEMPOTENCY_TABLE);
  }
}

describe('the database', () => {
  let testDatabase: TestDatabase;
  let database: Database;
  const open = () => openDatabase({ url: testDatabase.url, ownerUrl: testDatabase.ownerUrl, entities: [], migrations: [MigrationNotes], logger: createLogger('test', 'silent') });
  const notes = async () => (await database.sql<{ text: string }>('select text from notes order by id')).map(({ text }) => text);
  const note = 'insert into notes values ($1, $2)';

  beforeAll(async () => {
    testDatabase = await createTestDatabase('notes');
  });
  afterAll(() => testDatabase?.drop());
  beforeEach(async () => {
    database ??= await open();
    await database.sql('delete from notes');
  });
  afterAll(() => database?.close());

  test('is migrated once by however many replicas start', async () => {
    const replicas = await Promise.all(Array.from({ length: 4 }, open));
    await Promise.all(replicas.map((replica) => replica.close()));
    expect(await database.sql('select name from mikro_orm_migrations')).toHaveLength(1);
  });

  test('keeps all of a transaction, statements that wait for the commit too, in their order', async () => {
    await database.sqlTransaction(async (sql) => {
      await sql(note, [1, 'first']);
      await sql.later(note, [2, 'second']);
      await sql.later(`update notes set text = text || '!' where id = 2`);
      expect((await sql('select from notes')).length).toBe(2);
      await sql.later(note, [3, 'third']);
    });
    expect(await notes()).toEqual(['first', 'second!', 'third']);
  });

  test('keeps a transaction that has nothing but statements that wait', async () => {
    await database.sqlTransaction((sql) => sql.later(note, [1, 'only']));
    expect(await notes()).toEqual(['only']);
  });

  test.each([
    ['a statement', async (sql: Parameters<Parameters<Database['sqlTransaction']>[0]>[0]) => void (await sql(note, [1, 'again']))],
    ['a statement that waits for the commit', (sql: Parameters<Parameters<Database['sqlTransaction']>[0]>[0]) => sql.later(note, [1, 'again'])],
    ['the work itself', () => Promise.reject(new Error('duplicate thought'))],
  ])('keeps nothing of a transaction when %s fails, and works on', async (_what, fail) => {
    const attempt = database.sqlTransaction(async (sql) => {
      await sql(note, [1, 'first']);
      await sql.later(note, [2, 'second']);
      await fail(sql);
      await sql.later(note, [3, 'third']);
    });
    await expect(attempt).rejects.toThrow(/duplicate/);
    expect(await notes()).toEqual([]);
    await database.sqlTransaction(async (sql) => void (await sql(note, [4, 'fourth'])));
    expect(await notes()).toEqual(['fourth']);
  });

  test('does not pass for committed when the work swallowed the error of a statement', async () => {
    const attempt = database.sqlTransaction(async (sql) => {
      await sql(note, [1, 'first']);
      await sql(note, [1, 'again']).catch(() => {});
    });
    await expect(attempt).rejects.toThrow('rolled back');
    expect(await notes()).toEqual([]);
  });

  test('survives the loss of its connections', async () => {
    await expect(database.sqlTransaction((sql) => sql('select pg_terminate_backend(pg_backend_pid())'))).rejects.toThrow(/terminat/);
    await database.sqlTransaction(async (sql) => void (await sql(note, [1, 'after'])));
    expect(await notes()).toEqual(['after']);
  });

  test('gives numbers and times exactly', async () => {
    const [row] = await database.sql(`select 9007199254740993::bigint as big, '2026-11-20'::date as day, '2026-11-20 10:15:00.123+00'::timestamptz as moment where $1`, [true]);
    expect(row).toEqual({ big: '9007199254740993', day: '2026-11-20', moment: new Date('2026-11-20T10:15:00.123Z') });
  });

  test('does keyed work once, also when the first try failed', async () => {
    const call = { scope: 'note', key: 'k', input: { text: 'x' } };
    const work = (fails: boolean) => database.sqlTransaction((sql) => once(sql, call, () => (fails ? Promise.reject(new Error('not now')) : sql(note, [1, 'x']).then(() => 'done'))));
    await expect(work(true)).rejects.toThrow('not now');
    expect([await work(false), await work(false)]).toEqual(['done', 'done']);
    expect(await notes()).toEqual(['x']);
  });
});
