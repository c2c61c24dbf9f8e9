import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { createTestDatabase } from '../../../scripts/test-service.ts';
import { MIGRATIONS } from '../migrations/all.ts';

const TABLES = ['business_days', 'business_day_counts', 'assignments', 'task_holders', 'tasks', 'outbox', 'outbox_versions', 'idempotency_keys', 'user_copies'];

/** The tables of Tasks without the service around them, for commands whose clock and chance a test decides. */
export interface MarketDatabase {
  readonly database: Database;
  /** Employees, by their names. */
  employees(...ids: readonly string[]): Promise<void>;
  /** Between tests: no rows. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export async function openMarketDatabase(): Promise<MarketDatabase> {
  const testDatabase = await createTestDatabase('tasks');
  const database = await openDatabase({ url: testDatabase.url, ownerUrl: testDatabase.ownerUrl, entities: [], migrations: MIGRATIONS, logger: createLogger('test', 'silent') });
  return {
    database,
    employees: async (...ids) => void (await database.sql(`insert into user_copies select id, 'Popug', true from unnest($1::uuid[]) as id`, [ids])),
    clear: async () => {
      for (const table of TABLES) await database.sql(`delete from ${table}`);
    },
    close: async () => {
      await database.close();
      await testDatabase.drop();
    },
  };
}
