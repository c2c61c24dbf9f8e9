import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, startTestService, type TestService } from '../../scripts/test-service.ts';
import { runCommand } from './command-line.ts';

const LOGIN = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken user { roles } } }';
const ANN = { email: 'ann@example.com', password: 'a long password' };

describe('npm run users', () => {
  let users: TestService;
  beforeAll(async () => {
    users = await startTestService('users');
  });
  afterAll(() => users?.stop());

  const run = (args: string[], environment: NodeJS.ProcessEnv = {}) => runCommand('users', args, { USERS_DATABASE_URL: users.database.url, ...environment });
  const token = async () => (await users.gql(LOGIN, ANN)).data?.['login'].accessToken as string;
  const isLetIn = async (accessToken: string) => (await users.gql('{ me { id } }', {}, accessToken)).errors === undefined;

  test('create-admin makes the first admin of an installation that has none, with the password from the environment or the standard input', async () => {
    expect(await users.sql('select from users')).toEqual([]);
    const short = await run(['create-admin', ANN.email], { ADMIN_PASSWORD: 'short' });
    expect(short).toMatchObject({ code: 1, stderr: expect.stringContaining('password must be 12 to 200 characters') });
    const environment = { PATH: process.env['PATH'], USERS_DATABASE_URL: users.database.url };
    const child = spawn(process.execPath, ['operations/users.ts', 'create-admin', ANN.email], { cwd: resolve(import.meta.dirname, '../..'), env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(`${ANN.password}\n`);
    let printed = '';
    child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
    expect(await new Promise((ended) => child.once('close', ended))).toBe(0);
    expect(printed).toBe('ann@example.com is an admin now, and can sign in.\n');
    expect((await users.gql(LOGIN, ANN)).data['login'].user.roles).toEqual(['ADMIN']);
    expect(await users.sql(`select from outbox where type = 'user.created'`)).toHaveLength(1);
    expect(await run(['create-admin', 'bob@example.com'], { ADMIN_PASSWORD: ANN.password })).toMatchObject({ code: 1, stderr: expect.stringContaining('There is an active admin already') });
  });

  test('rotate-keys makes a key that signs later; with --now the old one’s tokens are refused within 2 s', async () => {
    const before = await token();
    expect(await run(['rotate-keys'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\S{43} signs in 15 minutes; /) });
    const { stdout } = await run(['keys']);
    expect(stdout).toMatch(/^KEY +STATE +MADE AT +GONE AT\n\S{43} +signs +\S+ \S+ +\S+ \S+\n\S{43} +signs from \S+ \S+ +/);
    expect(await isLetIn(before)).toBe(true);
    expect(await run(['rotate-keys', '--now'])).toMatchObject({ code: 0, stdout: expect.stringContaining('signs from now on') });
    await eventually(async () => !(await isLetIn(before)), 2_000);
    await eventually(async () => isLetIn(await token()));
    expect((await run(['keys'])).stdout.trim().split('\n')).toHaveLength(2);
  });

  test('what it can do is told by --help, and what it can’t by its exit code', async () => {
    const help = await run(['--help']);
    for (const command of ['create-admin', 'keys', 'rotate-keys', 'USERS_DATABASE_URL']) expect(help.stdout).toContain(command);
    expect(await run(['popug'])).toMatchObject({ code: 2, stderr: expect.stringContaining('There is no command "popug"') });
    expect(await run(['create-admin'])).toMatchObject({ code: 2 });
    expect(await run(['keys'], { USERS_DATABASE_URL: '', TASKS_DATABASE_URL: 'postgres://nobody' })).toMatchObject({ code: 1, stderr: expect.stringContaining('set USERS_DATABASE_URL') });
  });
});
