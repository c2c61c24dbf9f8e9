import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../../scripts/test-service.ts';
import { ADMIN, codeOf, REFRESH, UPDATE, UsersFixture } from './users-fixture.ts';

const ME = '{ me { id roles } }';
const USER = 'id name email roles status';

describe('changes of users', () => {
  let users: UsersFixture;
  let admin: string;
  beforeAll(async () => {
    users = await UsersFixture.open();
    admin = await users.adminToken();
  });
  afterAll(() => users?.close());

  const update = (id: string, input: object, token = admin) => users.send(UPDATE, { id, input }, { token });
  const change = (mutation: 'deactivateUser' | 'reactivateUser' | 'deleteUser', id: string, token = admin) => users.send(`mutation ($id: ID!) { ${mutation}(id: $id) { ${USER} } }`, { id }, { token });
  const refusedWithin2Seconds = async (token: string) => {
    const startedAt = Date.now();
    await eventually(async () => codeOf(await users.send(ME, {}, { token })) === 'UNAUTHENTICATED');
    expect(Date.now() - startedAt).toBeLessThan(2_000);
  };

  test('a name or an e-mail is changed, and everybody hears of the whole state', async () => {
    const ann = await users.signUp();
    const { data } = await update(ann.id, { name: ' Ann Amazon ', email: `new-${ann.email}` });
    expect(data.updateUser).toEqual({ id: ann.id, name: 'Ann Amazon', email: `new-${ann.email}`, roles: ['EMPLOYEE'], status: 'ACTIVE' });
    expect(await users.lastEvent('user.updated')).toEqual({ version: 2, name: 'Ann Amazon', email: `new-${ann.email}`, roles: ['EMPLOYEE'], status: 'ACTIVE' });
    expect(codeOf(await users.send(ME, {}, { token: ann.token }))).toBeUndefined();
  });

  test('what is the same already is no change and no event', async () => {
    const ann = await users.signUp();
    await update(ann.id, { name: 'Ann', roles: ['EMPLOYEE'] });
    expect(await users.service.sql('select from outbox where aggregate_id = $1', [ann.id])).toHaveLength(1);
  });

  test('an e-mail that another user has, in any case, is a conflict, and nothing changes', async () => {
    const [ann, bob] = [await users.signUp(), await users.signUp()];
    expect(codeOf(await update(ann.id, { name: 'Nobody', email: bob.email.toUpperCase() }))).toBe('CONFLICT');
    expect((await users.send(`query ($id: ID!) { user(id: $id) { name email } }`, { id: ann.id }, { token: admin })).data.user).toEqual({ name: 'Ann', email: ann.email });
  });

  test('changed roles are two events, and the token that says other ones is refused within 2 s; a renewed one says the new ones', async () => {
    const ann = await users.signUp();
    expect((await update(ann.id, { roles: ['EMPLOYEE', 'ACCOUNTANT'] })).data.updateUser.roles).toEqual(['EMPLOYEE', 'ACCOUNTANT']);
    const state = { name: 'Ann', email: ann.email, roles: ['EMPLOYEE', 'ACCOUNTANT'], status: 'ACTIVE' };
    expect(await users.lastEvent('user.updated')).toEqual({ version: 2, ...state });
    expect(await users.lastEvent('user.role_changed')).toEqual({ version: 3, ...state, previousRoles: ['EMPLOYEE'] });
    await refusedWithin2Seconds(ann.token);
    const { accessToken } = (await users.send(REFRESH, { refreshToken: ann.refreshToken })).data.refreshSession;
    expect((await users.send(ME, {}, { token: accessToken })).data.me.roles).toEqual(['EMPLOYEE', 'ACCOUNTANT']);
  });

  test('whoever is deactivated is refused within 2 s, can’t renew nor sign in, until they are active again', async () => {
    const ann = await users.signUp();
    expect((await change('deactivateUser', ann.id)).data.deactivateUser.status).toBe('DEACTIVATED');
    expect(await users.lastEvent('user.deactivated')).toMatchObject({ version: 2, status: 'DEACTIVATED' });
    await refusedWithin2Seconds(ann.token);
    expect(codeOf(await users.send(REFRESH, { refreshToken: ann.refreshToken }))).toBe('UNAUTHENTICATED');
    await expect(users.login(ann.input)).rejects.toThrow('UNAUTHENTICATED');
    expect(await users.lastEvent('user.denied')).toMatchObject({ userId: ann.id, reason: 'NOT_ACTIVE' });
    expect((await change('reactivateUser', ann.id)).data.reactivateUser.status).toBe('ACTIVE');
    expect(await users.lastEvent('user.reactivated')).toMatchObject({ version: 3, status: 'ACTIVE' });
    const { accessToken } = await users.login(ann.input);
    expect(codeOf(await users.send(ME, {}, { token: accessToken }))).toBeUndefined();
  });

  test('a deleted user is nobody: no name, no e-mail, no password, no beak, no address; their e-mail is free, and nothing brings them back', async () => {
    const ann = await users.signUp();
    const { data } = await change('deleteUser', ann.id);
    expect(data.deleteUser).toEqual({ id: ann.id, name: 'A popug who left', email: null, roles: ['EMPLOYEE'], status: 'DELETED' });
    expect(await users.lastEvent('user.deleted')).toEqual({ version: 2, name: 'A popug who left', email: `${ann.id}@deleted.invalid`, roles: ['EMPLOYEE'], status: 'DELETED' });
    await refusedWithin2Seconds(ann.token);
    const [row] = await users.service.sql('select users::text as text, password_hash, beak_print from users where id = $1', [ann.id]);
    expect(row).toMatchObject({ password_hash: null, beak_print: null });
    expect(row?.['text']).not.toContain(ann.email);
    expect(await users.service.sql('select from sign_in_attempts where user_id = $1 and client_address is not null', [ann.id])).toEqual([]);
    expect(codeOf(await change('reactivateUser', ann.id))).toBe('CONFLICT');
    expect(codeOf(await update(ann.id, { name: 'Ann' }))).toBe('CONFLICT');
    expect((await change('deleteUser', ann.id)).data.deleteUser.status).toBe('DELETED');
    expect((await users.send(UPDATE, { id: (await users.signUp()).id, input: { email: ann.email } }, { token: admin })).errors).toBeUndefined();
  });

  test('an id that nobody has is NOT_FOUND', async () => {
    for (const id of ['nobody', crypto.randomUUID()]) expect(codeOf(await change('deactivateUser', id))).toBe('NOT_FOUND');
  });

  test.each([
    ['no name', { name: ' ' }, 'name'],
    ['a name of control characters', { name: 'Ann\u0007' }, 'name'],
    ['a name that turns the direction of text', { name: 'Ann \u202Enna' }, 'name'],
    ['no e-mail address', { email: 'popug' }, 'email'],
    ['no role', { roles: [] }, 'roles'],
  ])('%s is bad input that names the field', async (_what, input, field) => {
    const ann = await users.signUp(['EMPLOYEE'], admin);
    const answer = await update(ann.id, input);
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
    expect(answer.errors?.[0]?.message).toContain(field);
  });

  test('versions follow each other whoever changes at once, and no change is lost', async () => {
    const ann = await users.signUp();
    const answers = await Promise.all(Array.from({ length: 10 }, (_, nth) => update(ann.id, { name: `Ann ${nth}` })));
    expect(answers.flatMap(({ errors }) => errors ?? [])).toEqual([]);
    const versions = await users.service.sql<{ version: number }>('select version from outbox where aggregate_id = $1 order by seq', [ann.id]);
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
  });
});

describe('the last active admin', () => {
  let users: UsersFixture;
  beforeAll(async () => {
    users = await UsersFixture.open();
  });
  afterAll(() => users?.close());

  const asAdmin = async (mutation: string, variables: object, token?: string) => users.send(mutation, variables, { token: token ?? (await users.adminToken()) });
  const oneself = async () => (await users.login(ADMIN)).user.id as string;

  test('can be neither demoted, nor deactivated, nor deleted', async () => {
    const id = await oneself();
    expect(codeOf(await asAdmin(UPDATE, { id, input: { roles: ['EMPLOYEE'] } }))).toBe('CONFLICT');
    for (const mutation of ['deactivateUser', 'deleteUser']) expect(codeOf(await asAdmin(`mutation ($id: ID!) { ${mutation}(id: $id) { id } }`, { id }))).toBe('CONFLICT');
    expect((await users.login(ADMIN)).user.roles).toEqual(['ADMIN']);
  });

  test('stays when two admins demote each other in the same moment', async () => {
    const first = await oneself();
    for (let round = 0; round < 5; round++) {
      const second = await users.signUp(['ADMIN']);
      const token = await users.adminToken();
      const answers = await Promise.all([
        asAdmin(UPDATE, { id: second.id, input: { roles: ['EMPLOYEE'] } }, token),
        asAdmin(UPDATE, { id: first, input: { roles: ['EMPLOYEE'] } }, second.token),
      ]);
      expect(answers.map(codeOf).filter((code) => code === undefined)).toHaveLength(1);
      const [left] = await users.service.sql<{ id: string }>(`select id from users where status = 'ACTIVE' and roles @> array['ADMIN']`);
      expect(left).toBeDefined();
      // For the next round: the first one is the admin again.
      if (left?.id !== first) {
        await eventually(async () => (await asAdmin(UPDATE, { id: first, input: { roles: ['ADMIN'] } }, second.token)).errors === undefined);
        await asAdmin(UPDATE, { id: second.id, input: { roles: ['EMPLOYEE'] } }, await users.adminToken());
      }
    }
  });
});
