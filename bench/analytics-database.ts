import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase, type Database } from '@ates/service-kit/database';
import { startPostgres } from '../scripts/embedded-postgres.ts';
import { chooseFreePorts } from '../scripts/free-ports.ts';
import { provisionDatabases, urlOfDatabase } from '../scripts/provision-databases.ts';
import { MIGRATIONS } from '../subgraphs/analytics/migrations/all.ts';
import { checkRoom, fillModel } from './analytics-load.ts';
import { logger } from './ledger-database.ts';
import type { Place } from './tasks-place.ts';

/** A database of Analytics' with years of entries. */
export interface FilledModel {
  /** As it was asked for; drawn are about so many. */
  readonly entries: number;
  readonly database: Database;
  /** As the service's role. */
  readonly url: string;
  /** As the superuser. */
  readonly adminUrl: string;
}

export interface ModelsOptions {
  readonly place: Place;
  /** Of PostgreSQL; what is there already is used as it is. */
  readonly folder: string;
  readonly years: readonly { readonly entries: number; readonly days: number }[];
  readonly employees: number;
  readonly seed: number;
  readonly say: (text: string) => void;
}

const PASSWORD = 'bench';

/** Starts a PostgreSQL with its own settings and durability, and fills a database for each size unless it is there. */
export async function openModels(options: ModelsOptions): Promise<FilledModel[]> {
  const { place, folder, years, employees, seed, say } = options;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o711);
  const [port = 0] = await chooseFreePorts(1);
  const starting = startPostgres({ dataDir: join(folder, 'postgres'), port, superuserPassword: PASSWORD });
  place.stopAtEnd(starting);
  const { superuserUrl } = await starting;
  const models: FilledModel[] = [];
  for (const { entries, days } of years) {
    const name = `analytics_${entries}_${employees}_${days}_${seed}`;
    await provisionDatabases({ superuserUrl, services: [{ name, ownerPassword: PASSWORD, appPassword: PASSWORD }] });
    const url = urlOfDatabase(superuserUrl, name, { name, password: PASSWORD });
    const ownerUrl = urlOfDatabase(superuserUrl, name, { name: `${name}_owner`, password: PASSWORD });
    const adminUrl = urlOfDatabase(superuserUrl, name);
    const database = await openDatabase({ url, ownerUrl, entities: [], migrations: MIGRATIONS, logger });
    place.stopAtEnd(Promise.resolve({ stop: database.close }));
    const marker = join(folder, `filled-${name}`);
    if (existsSync(marker)) say(`the ${entries} entries of ${folder} are used again`);
    else {
      checkRoom(folder, entries, say);
      await fillModel({ adminUrl, folder, entries, employees, days, seed, say });
      writeFileSync(marker, '');
    }
    models.push({ entries, database, url, adminUrl });
  }
  return models;
}
