import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ADMIN, codeOf, LOGIN, UsersFixture, type From } from './users-fixture.ts';

const ATTEMPTS = 'query ($userId: ID, $first: Int, $after: String) { signInAttempts(userId: $userId, first: $first, after: $after) { edges { node { user { id } method deniedBecause attemptedAt clientAddress } } pageInfo { hasNextPage endCursor } } }';

describe('signing in', () => {
  let users: UsersFixture;
  let admin: string;
  beforeAll(async () => {
    users = await UsersFixture.open({ SIGN_IN_FAILURES_PER_ADDRESS: '30' });
    admin = await users.adminToken();
  });
  afterAll(() => users?.close());

  const attempt = (email: string, password: string, from: From = {}) => users.send(LOGIN, { email, password }, from);
  let address = 0;
  const newAddress = () => `198.51.100.${(address += 1)}`;

  describe('guessing', () => {
    test('ten failures of an account are the end of it for a quarter of an hour, whatever the address; the refusal says when to try again', async () => {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      for (let nth = 0; nth < 10; nth++) expect(codeOf(await attempt(ann.email, 'wrong', { address: newAddress() }))).toBe('UNAUTHENTICATED');
      const answer = await attempt(ann.email, ann.input.password, { address: newAddress() });
      expect(codeOf(answer)).toBe('RATE_LIMITED');
      const [error] = answer.errors ?? [];
      const { retryAfterSeconds = 0 } = (error?.extensions ?? {}) as { retryAfterSeconds?: number };
      expect(retryAfterSeconds).toBeGreaterThan(800);
      expect(retryAfterSeconds).toBeLessThanOrEqual(900);
      expect(error?.message).toContain(`try again in ${retryAfterSeconds} s`);
    });

    test('an e-mail that nobody has is counted the same', async () => {
      for (let nth = 0; nth < 10; nth++) expect(codeOf(await attempt('nobody@ates.test', 'wrong', { address: newAddress() }))).toBe('UNAUTHENTICATED');
      expect(codeOf(await attempt('NOBODY@ates.test', 'wrong', { address: newAddress() }))).toBe('RATE_LIMITED');
    });

    test('a hundred guesses at once are ten', async () => {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      const codes = (await Promise.all(Array.from({ length: 100 }, (_, nth) => attempt(ann.email, `guess ${nth}`)))).map(codeOf);
      expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(10);
      expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(90);
    });

    test('a success forgets the account’s failures', async () => {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      for (let round = 0; round < 2; round++) {
        for (let nth = 0; nth < 9; nth++) await attempt(ann.email, 'wrong', { address: newAddress() });
        expect(codeOf(await attempt(ann.email, ann.input.password))).toBeUndefined();
      }
    });

    test('one address fails 30 times for whichever accounts; the household’s other IPv6 addresses count as the same, others do not', async () => {
      for (let nth = 0; nth < 30; nth++) expect(codeOf(await attempt(`somebody${nth}@ates.test`, 'wrong', { address: `2001:db8:1:2::${nth.toString(16)}` }))).toBe('UNAUTHENTICATED');
      expect(codeOf(await attempt(ADMIN.email, ADMIN.password, { address: '2001:db8:1:2:3:4:5:6' }))).toBe('RATE_LIMITED');
      expect(codeOf(await attempt(ADMIN.email, ADMIN.password, { address: '2001:db8:1:3::1' }))).toBeUndefined();
    });

    test('successes from one address never end it', async () => {
      const from = { address: newAddress() };
      for (let nth = 0; nth < 35; nth++) expect(codeOf(await attempt(ADMIN.email, ADMIN.password, from))).toBeUndefined();
    });

    test.each([
      ['aliases', '{ login(email: $e, password: $p) { accessToken } second: login(email: $e, password: $p) { accessToken } }'],
      ['a fragment', '{ ...two login(email: $e, password: $p) { accessToken } } fragment two on Mutation { first: login(email: $e, password: $p) { accessToken } }'],
    ])('an operation tries one credential, also by %s', async (_how, selection) => {
      const answer = await users.send(`mutation ($e: String!, $p: String!) ${selection}`, { e: ADMIN.email, p: ADMIN.password });
      expect(answer.errors?.map(({ extensions }) => extensions.code)).toEqual(['BAD_USER_INPUT']);
    });

    test('an unknown e-mail takes as long as a wrong password', async () => {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      const timed = async (email: string) => {
        await users.service.sql('delete from sign_in_failures');
        const startedAt = performance.now();
        await attempt(email, 'wrong', { address: newAddress() });
        return performance.now() - startedAt;
      };
      const [unknown, wrong]: [number[], number[]] = [[], []];
      // In turns, so that whatever else the machine does slows both.
      for (let nth = 0; nth < 40; nth++) {
        unknown.push(await timed(`nobody${nth}@ates.test`));
        wrong.push(await timed(ann.email));
      }
      // The least of many: what the work itself takes, whatever else the machine does.
      const ratio = Math.min(...unknown) / Math.min(...wrong);
      expect(ratio).toBeGreaterThan(0.75);
      expect(ratio).toBeLessThan(1.35);
    }, 30_000);
  });

  test('is counted in /metrics by how it ended', async () => {
    const metrics = await (await fetch(`${users.service.url}/metrics`)).text();
    for (const outcome of ['AUTHENTICATED', 'UNKNOWN_USER', 'WRONG_CREDENTIAL', 'RATE_LIMITED']) {
      expect(metrics).toMatch(new RegExp(`ates_sign_ins_total\\{method="PASSWORD",outcome="${outcome}",service="users"\\} [1-9]`));
    }
  });

  describe('attempts', () => {
    test('are listed for admins, newest first, by user, page by page, with method, reason and address', async () => {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      const from = { address: newAddress() };
      await attempt(ann.email, 'wrong', from);
      await attempt(ann.email, ann.input.password, from);
      const page = async (variables: object) => (await users.send(ATTEMPTS, { userId: ann.id, ...variables }, { token: admin })).data.signInAttempts;
      const all = await page({});
      expect(all.edges.map(({ node }: any) => node)).toEqual([
        { user: { id: ann.id }, method: 'PASSWORD', deniedBecause: null, attemptedAt: expect.any(String), clientAddress: from.address },
        { user: { id: ann.id }, method: 'PASSWORD', deniedBecause: 'WRONG_CREDENTIAL', attemptedAt: expect.any(String), clientAddress: from.address },
        expect.objectContaining({ deniedBecause: null, clientAddress: null }),
      ]);
      const first = await page({ first: 2 });
      const rest = await page({ first: 2, after: first.pageInfo.endCursor });
      expect([...first.edges, ...rest.edges].map(({ node }: any) => node)).toEqual(all.edges.map(({ node }: any) => node));
      expect(rest.pageInfo.hasNextPage).toBe(false);
    });

    test('with an e-mail that nobody has are listed without a user', async () => {
      const from = { address: newAddress() };
      await attempt('nobody.at.all@ates.test', 'wrong', from);
      const { edges } = (await users.send(ATTEMPTS, { first: 5 }, { token: admin })).data.signInAttempts;
      expect(edges.map(({ node }: any) => node)).toContainEqual({ user: null, method: 'PASSWORD', deniedBecause: 'UNKNOWN_USER', attemptedAt: expect.any(String), clientAddress: from.address });
    });

    test.each(['EMPLOYEE', 'MANAGER', 'ACCOUNTANT'])('are not for an %s', async (role) => {
      const { token } = await users.signUp([role], admin);
      expect(codeOf(await users.send(ATTEMPTS, {}, { token }))).toBe('FORBIDDEN');
    });
  });
});
