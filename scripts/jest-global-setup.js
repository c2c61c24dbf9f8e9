import { startTestPostgres } from './test-postgres.ts';

/** One PostgreSQL for the whole run; tests find it by ATES_TEST_POSTGRES_URL (a superuser's URL). */
export default async function startServers() {
  const postgres = await startTestPostgres();
  process.env['ATES_TEST_POSTGRES_URL'] = postgres.superuserUrl;
  globalThis.atesTestPostgres = postgres;
}
