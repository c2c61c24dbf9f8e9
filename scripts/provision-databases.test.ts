import { execFileSync } from 'node:child_process';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { provisionDatabases, urlOfDatabase } from './provision-databases.ts';

const superuserUrl = process.env['ATES_TEST_POSTGRES_URL'] ?? '';
const services = [
  { name: 'parrots', ownerPassword: "it's/an@owner", appPassword: 'p%20rrot app' },
  { name: 'seeds', ownerPassword: 'seeds-owner', appPassword: 'seeds-app' },
];
const [parrots, seeds] = services as [(typeof services)[number], (typeof services)[number]];
const asOwner = (service: typeof parrots, database = service.name): string => urlOfDatabase(superuserUrl, database, { name: `${service.name}_owner`, password: service.ownerPassword });
const asApp = (service: typeof parrots, database = service.name): string => urlOfDatabase(superuserUrl, database, { name: service.name, password: service.appPassword });

const open: pg.Client[] = [];

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  open.push(client);
  return client;
}

beforeAll(() => provisionDatabases({ superuserUrl, services }));

afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end()));
});

describe('a service', () => {
  test('works with the rows, sequences and functions that its owner made, before and after', async () => {
    const owner = await connect(asOwner(parrots));
    await owner.query('create table if not exists nest (id bigserial primary key, egg text)');
    await owner.query("create or replace function hatch() returns text language sql as 'select $$peep$$'");
    const app = await connect(asApp(parrots));
    await app.query("insert into nest (egg) values ('white')");
    await app.query("update nest set egg = 'blue'");
    expect((await app.query('select egg, hatch() from nest')).rows).toEqual([{ egg: 'blue', hatch: 'peep' }]);
    await app.query('delete from nest');
  });

  test.each(['create table t (id int)', 'create schema s', 'create temporary table t (id int)', 'truncate nest', 'drop table nest', 'alter table nest add column x int'])('may not %s', async (statement) => {
    const owner = await connect(asOwner(parrots));
    await owner.query('create table if not exists nest (id bigserial primary key, egg text)');
    const app = await connect(asApp(parrots));
    await expect(app.query(statement)).rejects.toThrow(/permission denied|must be owner/);
  });

  test("can't connect to the database of another service, nor to the server's own", async () => {
    for (const url of [asApp(parrots, 'seeds'), asOwner(parrots, 'seeds'), asApp(seeds, 'parrots'), asApp(parrots, 'postgres'), asApp(parrots, 'template1')]) {
      await expect(connect(url)).rejects.toThrow('permission denied for database');
    }
  });

  test('is cut off after 5 s in a statement and 10 s idle in a transaction; its owner, who migrates, is not', async () => {
    const timeouts = "select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle";
    expect((await (await connect(asApp(parrots))).query(timeouts)).rows).toEqual([{ statement: '5s', idle: '10s' }]);
    expect((await (await connect(asOwner(parrots))).query(timeouts)).rows).toEqual([{ statement: '0', idle: '0' }]);
  });
});

test('doing it again changes the passwords and keeps the data, also when two do it at once', async () => {
  await (await connect(asOwner(seeds))).query('create table if not exists bag as select 7 as seeds');
  const changed = services.map((service) => ({ ...service, appPassword: `${service.appPassword}-2` }));
  await Promise.all([provisionDatabases({ superuserUrl, services: changed }), provisionDatabases({ superuserUrl, services: changed })]);
  await expect(connect(asApp(seeds))).rejects.toThrow('password authentication failed');
  const app = await connect(asApp({ ...seeds, appPassword: 'seeds-app-2' }));
  expect((await app.query('select seeds from bag')).rows).toEqual([{ seeds: 7 }]);
  await provisionDatabases({ superuserUrl, services });
});

test('refuses a name that is no identifier', async () => {
  await expect(provisionDatabases({ superuserUrl, services: [{ ...seeds, name: 'x"; drop database seeds; --' }] })).rejects.toThrow("can't name a database");
});

describe('as a program', () => {
  const program = (environment: NodeJS.ProcessEnv): string =>
    execFileSync(process.execPath, [`${import.meta.dirname}/provision-databases.ts`], { env: { PATH: process.env['PATH'], ...environment }, encoding: 'utf8', stdio: 'pipe' });

  test('reads everything from the environment', async () => {
    const output = program({ SUPERUSER_DATABASE_URL: superuserUrl, SERVICES: 'seeds', SEEDS_OWNER_PASSWORD: seeds.ownerPassword, SEEDS_APP_PASSWORD: seeds.appPassword });
    expect(output).toContain('seeds');
    await connect(asApp(seeds));
  });

  test('names all variables that are missing', () => {
    expect(() => program({ SERVICES: 'seeds' })).toThrow('SUPERUSER_DATABASE_URL, SEEDS_OWNER_PASSWORD, SEEDS_APP_PASSWORD');
  });
});
