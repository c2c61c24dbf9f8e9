import { join } from 'node:path';
import { startTestPostgres } from './test-postgres.ts';

/** One PostgreSQL for the whole run; tests find it by ATES_TEST_POSTGRES_URL (a superuser's URL). */
export default async function startServers() {
  // Tests start some two hundred processes of the same sources: what one has compiled, the next ones need not.
  process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../.cache/compile');
  const postgres = await startTestPostgres();
  process.env['ATES_TEST_POSTGRES_URL'] = postgres.superuserUrl;
  globalThis.atesTestPostgres = postgres;
}
