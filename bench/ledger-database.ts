import { join } from 'node:path';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import pg from 'pg';
import { startPostgres } from '../scripts/embedded-postgres.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { createTestDatabase } from '../scripts/test-service.ts';
import { MIGRATIONS } from '../subgraphs/accounting/migrations/all.ts';
import type { Place } from './tasks-place.ts';

export const logger = createLogger('bench', process.env['LOG_LEVEL'] ?? 'warn');

/** Starts a PostgreSQL with the stack's own settings and durability, fsync included, for `openLedger`. */
export async function startLedgerServer(place: Place): Promise<void> {
  const [port = 0] = await chooseFreePorts(1);
  const starting = startPostgres({ dataDir: join(place.folder, 'postgres'), port, superuserPassword: 'bench' });
  place.stopAtEnd(starting);
  process.env['ATES_TEST_POSTGRES_URL'] = (await starting).superuserUrl;
}

/** An empty ledger: Accounting's tables as they are migrated, and nobody in them. */
export interface Ledger {
  /** As the service opens it. */
  readonly database: Database;
  /** Leaves the tables as autovacuum would, and the disk with nothing to catch up on. */
  tidy(): Promise<void>;
  drop(): Promise<void>;
}

export async function openLedger(): Promise<Ledger> {
  const tables = await createTestDatabase('accounting');
  const database = await openDatabase({ ...tables, entities: [], migrations: MIGRATIONS, logger });
  return {
    database,
    tidy: async () => {
      await run(tables.ownerUrl, 'vacuum (analyze)');
      await run(process.env['ATES_TEST_POSTGRES_URL'] ?? '', 'checkpoint');
    },
    drop: async () => {
      await database.close();
      await tables.drop();
    },
  };
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement);
  await client.end();
}
