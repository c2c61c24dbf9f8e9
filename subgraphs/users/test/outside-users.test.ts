import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { codeOf, UsersFixture } from './users-fixture.ts';
import { startOutsideProvider, type OutsideProvider } from './support/sign-in-outside.ts';

const ACCOUNTS = {
  ann: { name: 'Ann Outside', email: 'ann@outside.test', email_verified: true, roles: ['popug'] },
  boss: { name: 'The Boss', email: 'boss@outside.test', email_verified: true, roles: ['chief', 'accountant', 'unheard of'] },
  both: { name: 'Both', email: 'admin@ates.test', email_verified: true },
  unverified: { name: 'Who', email: 'who@outside.test', email_verified: false },
  imported: { name: 'Another name there', email: 'another@outside.test', email_verified: true, roles: ['chief'] },
  twice: { name: 'Twice', email: 'twice@outside.test', email_verified: true },
};

describe('users of another identity provider', () => {
  let provider: OutsideProvider;
  let users: UsersFixture;
  let admin: string;
  beforeAll(async () => {
    provider = await startOutsideProvider(ACCOUNTS);
    users = await UsersFixture.open({ OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: 'ates', OIDC_ROLE_NAMES: 'chief=ADMIN,popug=EMPLOYEE' });
    admin = await users.adminToken();
  });
  afterAll(async () => {
    await users?.close();
    await provider?.stop();
  });

  const exchange = async (token: string, secret = users.service.secret) => {
    const response = await fetch(`${users.service.url}/outside-tokens`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-gateway-secret': secret }, body: JSON.stringify({ token }) });
    return { status: response.status, ...((await response.json()) as { accessToken?: string; expiresAt?: string; code?: string; message?: string }) };
  };
  const meBy = async (token: string) => (await users.send('{ me { id name email roles status } }', {}, { token })).data?.me;
  const importUser = (input: object) => users.send('mutation ($input: ImportUserInput!) { importUser(input: $input) { id name roles } }', { input }, { token: admin });

  test('whoever is seen for the first time is a user from then on, of what their token says', async () => {
    const { accessToken = '', expiresAt } = await exchange(await provider.signIn('ann'));
    expect(await meBy(accessToken)).toMatchObject({ name: 'Ann Outside', email: 'ann@outside.test', roles: ['EMPLOYEE'], status: 'ACTIVE' });
    expect(new Date(String(expiresAt)).getTime() - Date.now()).toBeLessThanOrEqual(300_000);
    expect(await users.lastEvent('user.created')).toMatchObject({ name: 'Ann Outside', roles: ['EMPLOYEE'] });
    const again = await exchange(await provider.signIn('ann'));
    expect((await meBy(String(again.accessToken))).id).toBe((await meBy(accessToken)).id);
  });

  test('the provider’s roles have our names by the configuration; one that says nothing here is left out', async () => {
    const { accessToken = '' } = await exchange(await provider.signIn('boss'));
    expect((await meBy(accessToken)).roles).toEqual(['ADMIN', 'ACCOUNTANT']);
  });

  test('two first requests at once make one user', async () => {
    const token = await provider.signIn('twice');
    const answers = await Promise.all(Array.from({ length: 5 }, () => exchange(token)));
    expect(new Set(await Promise.all(answers.map(async ({ accessToken }) => (await meBy(String(accessToken))).id))).size).toBe(1);
  });

  test('an imported user has the roles that the admin gave, whatever the provider says, and no password opens their account', async () => {
    const { data } = await importUser({ subject: 'imported', name: 'Imported', email: 'imported@ates.test', roles: ['EMPLOYEE'] });
    const { accessToken = '' } = await exchange(await provider.signIn('imported'));
    expect(await meBy(accessToken)).toMatchObject({ id: data.importUser.id, name: 'Imported', roles: ['EMPLOYEE'] });
    await expect(users.login({ email: 'imported@ates.test', password: '' })).rejects.toThrow('UNAUTHENTICATED');
    expect(codeOf(await importUser({ subject: 'imported', name: 'Again', email: 'again@ates.test', roles: ['EMPLOYEE'] }))).toBe('CONFLICT');
    expect(codeOf(await users.send('mutation { changePassword(current: "", next: "feathers") }', {}, { token: accessToken }))).toBe('FORBIDDEN');
  });

  test('an e-mail that a user here has lets nobody in as them', async () => {
    expect(await exchange(await provider.signIn('both'))).toMatchObject({ status: 409, code: 'CONFLICT' });
  });

  test.each(['unverified', 'unknown'])('who has no verified e-mail (%s) is not made a user', async (sub) => {
    expect(await exchange(await provider.signIn(sub))).toMatchObject({ status: 401, code: 'UNAUTHENTICATED', message: expect.stringContaining('importUser') });
  });

  test('whoever was deactivated here is refused, though the provider lets them in', async () => {
    const { accessToken = '' } = await exchange(await provider.signIn('ann'));
    const { id } = await meBy(accessToken);
    await users.send('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id }, { token: admin });
    expect(await exchange(await provider.signIn('ann'))).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    await users.send('mutation ($id: ID!) { reactivateUser(id: $id) { id } }', { id }, { token: admin });
    expect((await exchange(await provider.signIn('ann'))).status).toBe(200);
  });

  test.each<[string, () => Promise<string>]>([
    ['is for another audience', () => provider.signIn('ann', 'urn:other')],
    ['is no token', async () => 'popug'],
    ['has another signature', async () => `${(await provider.signIn('ann')).split('.').slice(0, 2).join('.')}.AAAA`],
    ['is signed by a shared secret', () => new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('ann').setIssuer(provider.issuer).setAudience('ates').setExpirationTime('5m').sign(new TextEncoder().encode('popug'.repeat(10)))],
    ['is unsigned', async () => `${btoa('{"alg":"none"}').replaceAll('=', '')}.${(await provider.signIn('ann')).split('.')[1]}.`],
    ['is one of ours', async () => admin],
  ])('a token that %s is refused', async (_what, make) => {
    expect(await exchange(await make())).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
  });

  test('the exchange is for the gateway only', async () => {
    expect((await exchange(await provider.signIn('ann'), 'a guess')).status).toBe(403);
  });
});

describe('an installation without another identity provider', () => {
  test('refuses every outside token, and imports nobody', async () => {
    const users = await UsersFixture.open();
    try {
      const response = await fetch(`${users.service.url}/outside-tokens`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-gateway-secret': users.service.secret }, body: '{"token":"x"}' });
      expect(response.status).toBe(401);
      const input = { subject: 's', name: 'Ann', email: 'ann@ates.test', roles: ['EMPLOYEE'] };
      expect(codeOf(await users.send('mutation ($input: ImportUserInput!) { importUser(input: $input) { id } }', { input }, { token: await users.adminToken() }))).toBe('BAD_USER_INPUT');
    } finally {
      await users.close();
    }
  });
});
