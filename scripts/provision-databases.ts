import pg from 'pg';

/** A service that has a database of its own, named like the service. */
export interface ServiceDatabase {
  /** Name of the service, its database and its role; lower-case letters, digits and `_`. */
  readonly name: string;
  /** Password of `<name>_owner`, who owns the database and runs the migrations. */
  readonly ownerPassword: string;
  /** Password of `<name>`, as whom the service works: rows only, no tables. */
  readonly appPassword: string;
}

export interface ProvisionOptions {
  /** A superuser's URL, any database of the server. */
  readonly superuserUrl: string;
  readonly services: readonly ServiceDatabase[];
}

const APP_STATEMENT_TIMEOUT_MS = 5_000;
const APP_IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000;
const PROVISIONING_LOCK = 4_261_001;

/**
 * Makes a database and two roles for each service, or brings the existing ones to the same state (so run it at every start).
 * A service's roles can connect to its own database only. Copies of this that run at the same time wait for one another.
 * @throws PostgreSQL's error, or an Error when a name can't be one
 */
export async function provisionDatabases({ superuserUrl, services }: ProvisionOptions): Promise<void> {
  for (const { name } of services) {
    if (!/^[a-z][a-z0-9_]{0,40}$/.test(name)) throw new Error(`"${name}" can't name a database: use lower-case letters, digits and "_".`);
  }
  await withClient(superuserUrl, async (server) => {
    await server.query('select pg_advisory_lock($1)', [PROVISIONING_LOCK]);
    for (const database of ['postgres', 'template1']) await server.query(`revoke all on database ${database} from public`);
    for (const service of services) {
      await provideRoles(server, service);
      await provideDatabase(server, service.name);
    }
  });
  await Promise.all(services.map(({ name }) => withClient(urlOfDatabase(superuserUrl, name), (client) => grantInside(client, name))));
}

/** The same URL with another role or database. */
export function urlOfDatabase(url: string, database: string, role?: { readonly name: string; readonly password: string }): string {
  const result = new URL(url);
  result.pathname = `/${database}`;
  if (role !== undefined) {
    result.username = role.name;
    result.password = encodeURIComponent(role.password);
  }
  return result.href;
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function provideRoles(server: pg.Client, { name, ownerPassword, appPassword }: ServiceDatabase): Promise<void> {
  const roles = [[`${name}_owner`, ownerPassword], [name, appPassword]] as const;
  for (const [role, password] of roles) {
    const { rowCount } = await server.query('select from pg_roles where rolname = $1', [role]);
    const attributes = 'login nosuperuser nocreatedb nocreaterole noreplication nobypassrls';
    const verb = rowCount === 0 ? 'create' : 'alter';
    await server.query(`${verb} role ${role} with ${attributes} password ${pg.escapeLiteral(password)}`);
  }
  await server.query(`alter role ${name} set statement_timeout = '${APP_STATEMENT_TIMEOUT_MS}ms'`);
  await server.query(`alter role ${name} set idle_in_transaction_session_timeout = '${APP_IDLE_IN_TRANSACTION_TIMEOUT_MS}ms'`);
}

async function provideDatabase(server: pg.Client, name: string): Promise<void> {
  const { rowCount } = await server.query('select from pg_database where datname = $1', [name]);
  if (rowCount === 0) await server.query(`create database ${name} owner ${name}_owner`);
  await server.query(`revoke all on database ${name} from public`);
  await server.query(`revoke all on database ${name} from ${name}`);
  await server.query(`grant connect on database ${name} to ${name}, ${name}_owner`);
}

async function grantInside(client: pg.Client, name: string): Promise<void> {
  const byOwner = `alter default privileges for role ${name}_owner`;
  await client.query(`
    alter schema public owner to ${name}_owner;
    revoke all on schema public from public;
    grant usage on schema public to ${name};
    ${byOwner} grant select, insert, update, delete on tables to ${name};
    ${byOwner} grant usage, select on sequences to ${name};
    ${byOwner} revoke execute on functions from public;
    ${byOwner} grant execute on functions to ${name};
    ${byOwner} grant usage on schemas to ${name};
  `);
}

/**
 * The program: SUPERUSER_DATABASE_URL, SERVICES (names, by commas), and for each service <NAME>_OWNER_PASSWORD and <NAME>_APP_PASSWORD.
 * @throws naming every variable that is missing
 */
async function provisionFromEnvironment(environment: NodeJS.ProcessEnv): Promise<void> {
  const missing: string[] = [];
  const required = (name: string): string => {
    const value = environment[name] ?? '';
    if (value === '') missing.push(name);
    return value;
  };
  const superuserUrl = required('SUPERUSER_DATABASE_URL');
  const names = required('SERVICES').split(',').map((name) => name.trim()).filter((name) => name !== '');
  const services = names.map((name) => ({
    name,
    ownerPassword: required(`${name.toUpperCase()}_OWNER_PASSWORD`),
    appPassword: required(`${name.toUpperCase()}_APP_PASSWORD`),
  }));
  if (missing.length > 0) throw new Error(`Set the environment variables ${missing.join(', ')} and run this again.`);
  await provisionDatabases({ superuserUrl, services });
  process.stdout.write(`databases and roles are there: ${names.join(', ')}\n`);
}

if (import.meta.main) await provisionFromEnvironment(process.env);
