import { createHash } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from './support/eventually.ts';
import { startStack, type GraphQLAnswer, type Stack } from './support/stack.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const extensionsOf = ({ errors }: Pick<GraphQLAnswer, 'errors'>): Record<string, unknown> | undefined => errors?.[0]?.extensions;

let stack: Stack | undefined;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'limits-test-'));
});
afterEach(async () => {
  await stack?.stop();
  stack = undefined;
});
afterAll(() => rm(folder, { recursive: true }));

const start = async (environment: Record<string, string>): Promise<Stack> => (stack = await startStack({}, environment));

/** What an operation over a socket ends with: its first answer, or its errors. */
async function overSocket(running: Stack, payload: { query: string; extensions?: Record<string, unknown> }): Promise<Pick<GraphQLAnswer, 'data' | 'errors'>> {
  const client = await running.socketClient();
  return new Promise((resolve, reject) => {
    client.subscribe(payload, {
      next: (answer) => resolve(answer as unknown as GraphQLAnswer),
      error: (errors) => resolve({ data: undefined, errors: errors as GraphQLAnswer['errors'] }),
      complete: () => reject(new Error('it was completed without an answer')),
    });
  });
}

describe('The cost of an operation', () => {
  test('is bounded, over HTTP and over sockets, and the refusal tells both figures and what to do', async () => {
    const running = await start({ MAX_COST: '200', ASSUMED_LIST_SIZE: '10' });
    const dear = '{ books { reviews { book { id } } } }';
    const refused = await running.query(dear);
    expect(refused.status).toBe(400);
    expect(refused.errors).toMatchObject([{ message: expect.stringMatching(/costs 210, more than the 200 .* Ask for shorter lists/) }]);
    for (const answer of [refused, await overSocket(running, { query: dear })]) {
      expect(extensionsOf(answer)).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_TOO_EXPENSIVE', cost: 210, maxCost: 200 });
    }
    expect((await running.query('{ books { reviews { id } } }')).errors).toBeUndefined();
  });
});

describe('A rate limit', () => {
  test('refuses a user’s operations beyond it, over HTTP with Retry-After and over sockets, and nobody else’s', async () => {
    const running = await start({ RATE_LIMIT_USER: '6/m' });
    for (let n = 0; n < 6; n += 1) expect((await running.query('{ whoami }')).errors).toBeUndefined();
    const refused = await running.query('{ whoami }');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
    expect(refused.errors?.[0]?.message).toMatch(/^You have sent too many operations: at most 6 a minute, 6 at once after a pause\. Try again in \d+ s$/);
    for (const answer of [refused, await overSocket(running, { query: '{ whoami }' })]) {
      expect(extensionsOf(answer)).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) });
    }
    const bob = await running.issuer.bearer({ userId: 'bob' });
    expect((await running.query('{ whoami }', { authorization: bob })).errors).toBeUndefined();
  });

  test('refuses an address’s operations beyond it, whoever sends them', async () => {
    const running = await start({ RATE_LIMIT_ADDRESS: '6/m', TRUSTED_PROXIES: '1' });
    const from = (address: string) => running.query('{ __typename }', { authorization: null, headers: { 'x-forwarded-for': address } });
    for (let n = 0; n < 6; n += 1) expect((await from('192.0.2.1')).status).toBe(200);
    expect((await from('192.0.2.1')).status).toBe(429);
    expect((await from('192.0.2.2')).status).toBe(200);
    for (let n = 0; n < 6; n += 1) expect((await from(`2001:db8::${n}`)).status).toBe(200);
    expect((await from('2001:db8::ffff')).status).toBe(429);
  });
});

describe('Introspection', () => {
  test('that is off is refused, and no guess is corrected', async () => {
    const running = await start({ INTROSPECTION: 'off' });
    const refused = await running.query('{ __schema { queryType { name } } }');
    expect([refused.status, extensionsOf(refused)?.['code']]).toEqual([400, 'BAD_USER_INPUT']);
    expect((await running.query('{ whoamI }')).text).not.toContain('whoami');
    expect((await running.query('{ __typename }')).data).toEqual({ __typename: 'Query' });
  });
});

describe('A safelist', () => {
  const listed = 'query Me { me { id } }';
  const plannedBy = async ({ url }: Stack): Promise<string | undefined> => {
    const metrics = await (await fetch(url.replace('/graphql', '/metrics'))).text();
    return /^gateway_operation_compile_seconds_count\S* (\d+)$/m.exec(metrics)?.[1];
  };

  test('made of a folder of documents lets these run and nothing else, by text or by id, over HTTP and over sockets', async () => {
    await writeFile(join(folder, 'me.graphql'), `# who is asking\n${listed}\n`);
    const manifest = join(folder, 'made.json');
    const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../src/make-safelist.ts'), '--out', manifest, folder]);
    expect(stdout).toMatch(/^1 operations of 1 files/);
    const { operations } = JSON.parse(await readFile(manifest, 'utf8')) as { operations: { id: string }[] };
    const running = await start({ SAFELIST: 'enforce', SAFELIST_FILE: manifest });

    expect((await running.query(listed)).errors).toBeUndefined();
    expect((await overSocket(running, { query: `${listed} # again` })).errors).toBeUndefined();
    const authorization = await running.issuer.bearer();
    const byId = (id: string | undefined) => running.post(JSON.stringify({ extensions: { persistedQuery: { version: 1, sha256Hash: id } } }), { authorization });
    expect((await byId(operations[0]?.id)).errors).toBeUndefined();
    expect(extensionsOf(await running.post(JSON.stringify({ documentId: 'unknown' }), { authorization }))).toMatchObject({ reason: 'PERSISTED_QUERY_NOT_IN_LIST' });
    const unknown = await byId(sha256('{ whoami }'));
    expect([unknown.status, extensionsOf(unknown)]).toEqual([400, { code: 'BAD_USER_INPUT', reason: 'PERSISTED_QUERY_NOT_IN_LIST' }]);
    const planned = await plannedBy(running);
    for (const answer of [await running.query('{ whoami }'), await overSocket(running, { query: '{ whoami }' })]) {
      expect(extensionsOf(answer)).toEqual({ code: 'BAD_USER_INPUT', reason: 'OPERATION_NOT_SAFELISTED' });
    }
    expect(await plannedBy(running)).toBe(planned);
  });

  test('is loaded again when its file changes', async () => {
    const file = join(folder, 'changing.json');
    await writeFile(file, JSON.stringify({ me: listed }));
    const running = await start({ SAFELIST: 'enforce', SAFELIST_FILE: file });
    expect([(await running.query('{ whoami }')).status, (await running.query(listed)).status]).toEqual([400, 200]);
    await writeFile(file, JSON.stringify({ who: '{ whoami }' }));
    await eventually('the new list is in force', async () => (await running.query('{ whoami }')).status === 200);
    expect((await running.query(listed)).status).toBe(400);
  });

  test('that logs lets everything run and tells once of what is not listed', async () => {
    const file = join(folder, 'logged.json');
    await writeFile(file, JSON.stringify({ me: listed }));
    const running = await start({ SAFELIST: 'log', SAFELIST_FILE: file });
    for (const query of [listed, 'query Who { whoami }', 'query Who { whoami }']) expect((await running.query(query)).errors).toBeUndefined();
    expect(running.logs.filter(({ msg }) => String(msg).startsWith('an operation is not in the safelist'))).toMatchObject([{ operations: ['Who'] }]);
  });
});
