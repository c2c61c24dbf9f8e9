import { openDatabase, type Database } from '@ates/service-kit/database';
import { createLogger } from '@ates/service-kit/logger';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../../scripts/test-service.ts';
import { rotateKeys, rotateOldKeys } from '../src/keys.ts';
import { ADMIN, codeOf, REFRESH, UsersFixture, type From } from './users-fixture.ts';

const ME = '{ me { id } }';

describe('sessions', () => {
  let users: UsersFixture;
  beforeAll(async () => {
    users = await UsersFixture.open();
  });
  afterAll(() => users?.close());

  const refresh = (refreshToken: string, from: From = {}) => users.send(REFRESH, { refreshToken }, from);
  const refreshed = async (refreshToken: string, from: From = {}) => (await refresh(refreshToken, from)).data.refreshSession;
  const refused = (token: string) => eventually(async () => codeOf(await users.send(ME, {}, { token })) === 'UNAUTHENTICATED', 2_000);
  const accepted = async (token: string) => expect(codeOf(await users.send(ME, {}, { token }))).toBeUndefined();
  const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  /** As if the tokens of this session had been used so long ago. */
  const age = (token: string, seconds: number) =>
    users.service.sql(`update refresh_tokens set used_at = used_at - make_interval(secs => $2) where session_id = $1`, [claimsOf(token).sid, seconds]);

  test('a refresh token is used once: the next pair is another one, and has the same session', async () => {
    const first = await users.login(ADMIN);
    const second = await refreshed(first.refreshToken);
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect(claimsOf(second.accessToken).sid).toBe(claimsOf(first.accessToken).sid);
    expect((await refreshed(second.refreshToken)).user.email).toBe(ADMIN.email);
  });

  test('20 refreshes at once by one client get one and the same successor: one family survives', async () => {
    const first = await users.login(ADMIN);
    const from = { address: '203.0.113.7', agent: 'Popugfox' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => refreshed(first.refreshToken, from)));
    expect(new Set(answers.map(({ refreshToken }) => refreshToken)).size).toBe(1);
    for (const { accessToken } of answers) await accepted(accessToken);
    const alive = await users.service.sql('select from refresh_tokens where session_id = $1 and used_at is null', [claimsOf(first.accessToken).sid]);
    expect(alive).toHaveLength(1);
    await expect(refreshed(answers[0].refreshToken, from)).resolves.toMatchObject({ user: { email: ADMIN.email } });
  });

  test.each([
    ['from another address', { address: '203.0.113.8', agent: 'Popugfox' }],
    ['by another agent', { address: '203.0.113.7', agent: 'curl' }],
  ])('a used refresh token that comes %s ends the session for both who hold it, access tokens too', async (_how, thief) => {
    const first = await users.login(ADMIN);
    const second = await refreshed(first.refreshToken, { address: '203.0.113.7', agent: 'Popugfox' });
    expect(codeOf(await refresh(first.refreshToken, thief))).toBe('UNAUTHENTICATED');
    expect(codeOf(await refresh(second.refreshToken, { address: '203.0.113.7', agent: 'Popugfox' }))).toBe('UNAUTHENTICATED');
    await refused(second.accessToken);
  });

  test('a used refresh token that comes after more than 10 s ends the session, also by the same client', async () => {
    const first = await users.login(ADMIN);
    const second = await refreshed(first.refreshToken);
    await age(first.accessToken, 9);
    expect((await refreshed(first.refreshToken)).refreshToken).toBe(second.refreshToken);
    await age(first.accessToken, 2);
    expect(codeOf(await refresh(first.refreshToken))).toBe('UNAUTHENTICATED');
    expect(codeOf(await refresh(second.refreshToken))).toBe('UNAUTHENTICATED');
  });

  test('a refresh token that expired, or whose session is older than 90 days, is refused and ends nothing', async () => {
    const [expired, old] = [await users.login(ADMIN), await users.login(ADMIN)];
    await users.service.sql(`update refresh_tokens set expires_at = now() where session_id = $1`, [claimsOf(expired.accessToken).sid]);
    await users.service.sql(`update sessions set opened_at = now() - interval '91 days' where id = $1`, [claimsOf(old.accessToken).sid]);
    for (const { refreshToken, accessToken } of [expired, old]) {
      expect(codeOf(await refresh(refreshToken))).toBe('UNAUTHENTICATED');
      await accepted(accessToken);
    }
  });

  test('a refresh token that never was is refused', async () => {
    expect(codeOf(await refresh('made up'))).toBe('UNAUTHENTICATED');
  });

  test('logout ends this session and no other, within 2 s for its access token; an unknown token is no error', async () => {
    const [one, other] = [await users.login(ADMIN), await users.login(ADMIN)];
    const logout = (refreshToken: string) => users.send('mutation ($t: String!) { logout(refreshToken: $t) }', { t: refreshToken });
    expect((await logout(one.refreshToken)).data.logout).toBe(true);
    expect(codeOf(await refresh(one.refreshToken))).toBe('UNAUTHENTICATED');
    await refused(one.accessToken);
    await accepted(other.accessToken);
    expect((await logout('made up')).data.logout).toBe(true);
  });

  test('logoutEverywhere ends all of one’s sessions and nobody else’s', async () => {
    const ann = await users.signUp();
    const bob = await users.signUp();
    const elsewhere = await users.login(ann.input);
    expect((await users.send('mutation { logoutEverywhere }', {}, { token: ann.token })).data.logoutEverywhere).toBe(true);
    for (const { token, refreshToken } of [ann, { token: elsewhere.accessToken, refreshToken: elsewhere.refreshToken }]) {
      await refused(token);
      expect(codeOf(await refresh(refreshToken))).toBe('UNAUTHENTICATED');
    }
    await accepted(bob.token);
    await accepted((await users.login(ann.input)).accessToken);
  });

  test('a refresh that races a deactivation gives nothing that outlives it', async () => {
    const admin = await users.adminToken();
    for (let round = 0; round < 5; round++) {
      const ann = await users.signUp(['EMPLOYEE'], admin);
      const [{ data }] = await Promise.all([
        refresh(ann.refreshToken),
        users.send('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id: ann.id }, { token: admin }),
        users.send('mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken } }', ann.input),
      ]);
      if (data?.refreshSession) {
        await refused(data.refreshSession.accessToken);
        expect(codeOf(await refresh(data.refreshSession.refreshToken))).toBe('UNAUTHENTICATED');
      }
      expect(await users.service.sql('select from sessions where user_id = $1 and ended_at is null', [ann.id])).toEqual([]);
    }
  });

  describe('changing the password', () => {
    const change = (token: string, current: string, next: string) => users.send('mutation ($current: String!, $next: String!) { changePassword(current: $current, next: $next) }', { current, next }, { token });

    test('lets the new one in and the old one not, and ends the other sessions', async () => {
      const ann = await users.signUp();
      const elsewhere = await users.login(ann.input);
      expect((await change(ann.token, 'feathers', 'new feathers')).data.changePassword).toBe(true);
      await refused(elsewhere.accessToken);
      expect(codeOf(await refresh(elsewhere.refreshToken))).toBe('UNAUTHENTICATED');
      await accepted(ann.token);
      expect((await refreshed(ann.refreshToken)).user.id).toBe(ann.id);
      await expect(users.login(ann.input)).rejects.toThrow('UNAUTHENTICATED');
      expect((await users.login({ ...ann.input, password: 'new feathers' })).user.id).toBe(ann.id);
    });

    test('needs the current one, and a next one that is long enough, another one and no name or e-mail', async () => {
      const ann = await users.signUp();
      expect(codeOf(await change(ann.token, 'wrong', 'new feathers'))).toBe('FORBIDDEN');
      for (const next of ['four', 'feathers', ann.email]) expect(codeOf(await change(ann.token, 'feathers', next))).toBe('BAD_USER_INPUT');
      expect((await users.login(ann.input)).user.id).toBe(ann.id);
    });

    test('tries of the current one count as failed sign-ins of the account', async () => {
      const ann = await users.signUp();
      for (let attempt = 0; attempt < 10; attempt++) expect(codeOf(await change(ann.token, 'wrong', 'new feathers'))).toBe('FORBIDDEN');
      expect(codeOf(await change(ann.token, 'feathers', 'new feathers'))).toBe('RATE_LIMITED');
    });
  });
});

describe('signing keys', () => {
  let users: UsersFixture;
  let database: Database;
  beforeAll(async () => {
    users = await UsersFixture.open();
    database = await openDatabase({ url: users.service.database.url, ownerUrl: null, entities: [], migrations: [], logger: createLogger('test', 'silent') });
  });
  afterAll(async () => {
    await database?.close();
    await users?.close();
  });

  const published = async () => ((await (await fetch(`${users.service.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string; d?: string }[] }).keys;
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid as string;
  const signsWithAnotherThan = (kid: string) =>
    eventually(async () => {
      const { accessToken } = await users.login(ADMIN);
      return kidOf(accessToken) === kid ? null : (accessToken as string);
    });

  test('that are 30 days old are rotated: the next one is published before it signs, the old one is accepted after it signed', async () => {
    const { accessToken: before } = await users.login(ADMIN);
    expect(await rotateOldKeys(database, 30)).toBeNull();
    await users.service.sql(`update signing_keys set created_at = now() - interval '31 days'`);
    const next = await rotateOldKeys(database, 30);
    await eventually(async () => (await published()).some(({ kid }) => kid === next));
    expect((await published()).map(({ d }) => d)).toEqual([undefined, undefined]);
    expect(kidOf((await users.login(ADMIN)).accessToken)).toBe(kidOf(before));
    // A quarter of an hour later.
    await users.service.sql(`update signing_keys set signs_from = now() where signs_from > now()`);
    const after = await signsWithAnotherThan(kidOf(before));
    expect(kidOf(after)).toBe(next);
    for (const token of [before, after]) expect(codeOf(await users.send(ME, {}, { token }))).toBeUndefined();
    // Ten minutes after that.
    await users.service.sql('update signing_keys set retires_at = now() where retires_at is not null');
    await eventually(async () => codeOf(await users.send(ME, {}, { token: before })) === 'UNAUTHENTICATED', 2_000);
    expect(codeOf(await users.send(ME, {}, { token: after }))).toBeUndefined();
    await rotateOldKeys(database, 30);
    expect(await users.service.sql('select from signing_keys')).toHaveLength(1);
  });

  test('that somebody may know are replaced at once, and what they signed is refused within 2 s', async () => {
    const { accessToken: before, refreshToken } = await users.login(ADMIN);
    await database.transaction((_em, sql) => rotateKeys(sql, { immediately: true }));
    await eventually(async () => codeOf(await users.send(ME, {}, { token: before })) === 'UNAUTHENTICATED', 2_000);
    const { data } = await users.send(REFRESH, { refreshToken });
    expect(kidOf(data.refreshSession.accessToken)).not.toBe(kidOf(before));
    expect(codeOf(await users.send(ME, {}, { token: data.refreshSession.accessToken }))).toBeUndefined();
  });
});
