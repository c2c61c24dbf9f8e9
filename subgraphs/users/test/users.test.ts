import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestService, type TestService } from '../../../scripts/test-service.ts';

const ADMIN = { email: 'admin@ates.test', password: 'popug' };
const LOGIN = 'mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken expiresAt refreshToken user { id email roles } } }';
const CREATE = 'mutation ($input: CreateUserInput!) { createUser(input: $input) { id name email roles status } }';

describe('Users', () => {
  let users: TestService;
  let admin: string;
  let counter = 0;

  beforeAll(async () => {
    users = await startTestService('users', { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password, PASSWORD_MIN_LENGTH: '5' });
    // Users verifies by its own published keys.
    admin = (await login(ADMIN)).accessToken;
  });
  afterAll(() => users?.stop());

  const login = async (credentials: { email: string; password: string }) => (await users.gql(LOGIN, credentials)).data['login'];
  const newUser = (fields: object = {}) => ({ name: 'Ann', email: `ann${(counter += 1)}@ates.test`, password: 'feathers', roles: ['EMPLOYEE'], ...fields });
  const createUser = async (fields: object = {}, token = admin) => users.gql(CREATE, { input: newUser(fields) }, token);
  const signedUp = async (roles: string[] = ['EMPLOYEE']) => {
    const input = newUser({ roles });
    const { data } = await users.gql(CREATE, { input }, admin);
    return { ...data['createUser'], token: (await login(input)).accessToken, input };
  };
  const outbox = (type: string) => users.sql<{ data: any }>('select data from outbox where type = $1 order by seq desc limit 1', [type]);
  const codeOf = (answer: { errors?: readonly { extensions: { code: string } }[] }) => answer.errors?.[0]?.extensions.code;

  describe('signing in', () => {
    test('gives the first admin of an installation a session that lasts five minutes', async () => {
      const session = await login(ADMIN);
      expect(session.user).toMatchObject({ email: ADMIN.email, roles: ['ADMIN'] });
      const [header, claims] = session.accessToken.split('.').slice(0, 2).map((part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()));
      expect(header).toMatchObject({ alg: 'ES256', typ: 'at+jwt', kid: expect.any(String) });
      expect(claims).toMatchObject({ iss: 'ates', aud: 'ates', sub: session.user.id, roles: ['ADMIN'], assurance: 'full', exp: claims.iat + 300 });
      expect(new Date(session.expiresAt).getTime()).toBe(claims.exp * 1_000);
    });

    test('works without regard to the case of the e-mail', async () => {
      expect((await login({ ...ADMIN, email: 'ADMIN@ates.TEST' })).user.email).toBe(ADMIN.email);
    });

    test.each([
      ['a wrong password', { ...ADMIN, password: 'parrot' }, 'WRONG_CREDENTIAL'],
      ['an unknown e-mail', { ...ADMIN, email: 'nobody@ates.test' }, 'UNKNOWN_USER'],
    ])('with %s is refused, in words that do not tell which it was, and recorded', async (_what, credentials, reason) => {
      const answer = await users.gql(LOGIN, credentials);
      expect(answer.errors).toEqual([expect.objectContaining({ message: 'E-mail or password is wrong: check both and try again' })]);
      expect(codeOf(answer)).toBe('UNAUTHENTICATED');
      expect((await outbox('user.denied'))[0]?.data).toMatchObject({ method: 'PASSWORD', reason });
    });

    test('is recorded as an event', async () => {
      const { user } = await login(ADMIN);
      expect((await outbox('user.authenticated'))[0]?.data).toMatchObject({ method: 'PASSWORD', userId: user.id });
    });

    test('keeps neither the password nor the refresh token in the database', async () => {
      const { refreshToken } = await login(ADMIN);
      const [{ dump } = { dump: '' }] = await users.sql<{ dump: string }>(`select (select json_agg(users) from users)::text || (select json_agg(refresh_tokens) from refresh_tokens)::text as dump`);
      expect(dump).not.toContain(refreshToken);
      expect(dump).not.toContain('"popug"');
      expect(dump).toContain('$argon2id$v=19$m=19456,t=2,p=1$');
    });
  });

  describe('creating a user', () => {
    test('is done by an admin, and everybody hears of it with the whole public state', async () => {
      const { data } = await createUser({ name: ' Bob ', roles: ['EMPLOYEE', 'ACCOUNTANT', 'EMPLOYEE'] });
      expect(data['createUser']).toMatchObject({ name: 'Bob', roles: ['EMPLOYEE', 'ACCOUNTANT'], status: 'ACTIVE' });
      const { email } = data['createUser'];
      expect((await outbox('user.created'))[0]?.data).toEqual({ version: 1, name: 'Bob', email, roles: ['EMPLOYEE', 'ACCOUNTANT'], status: 'ACTIVE' });
    });

    test.each([['EMPLOYEE'], ['MANAGER'], ['ACCOUNTANT']])('is refused to an %s, and nothing is made', async (role) => {
      const { token } = await signedUp([role]);
      const before = await users.sql('select from users');
      expect(codeOf(await createUser({}, token))).toBe('FORBIDDEN');
      expect(await users.sql('select from users')).toHaveLength(before.length);
    });

    test('is refused to nobody', async () => {
      expect(codeOf(await createUser({}, ''))).toBe('UNAUTHENTICATED');
    });

    test('with an e-mail that another user has, in any case, is a conflict', async () => {
      expect(codeOf(await createUser({ email: 'Admin@Ates.test' }))).toBe('CONFLICT');
    });

    test.each([
      ['no name', { name: '  ' }],
      ['a name of 101 characters', { name: 'x'.repeat(101) }],
      ['no e-mail address', { email: 'popug' }],
      ['a password that is too short', { password: 'four' }],
      ['no role', { roles: [] }],
    ])('with %s is bad input that names the field', async (_what, fields) => {
      const answer = await createUser(fields);
      expect(codeOf(answer)).toBe('BAD_USER_INPUT');
      expect(answer.errors?.[0]?.message).toContain(Object.keys(fields)[0]);
    });

    test('twice under one key makes one user; with another input the key conflicts', async () => {
      const input = newUser({ idempotencyKey: 'twice' });
      const [first, second] = await Promise.all([users.gql(CREATE, { input }, admin), users.gql(CREATE, { input }, admin)]);
      expect(first.errors ?? second.errors).toBeUndefined();
      expect(second.data['createUser'].id).toBe(first.data['createUser'].id);
      expect(codeOf(await users.gql(CREATE, { input: { ...input, name: 'Somebody else' } }, admin))).toBe('CONFLICT');
      expect(codeOf(await users.gql(CREATE, { input: { ...input, password: 'another one' } }, admin))).toBe('CONFLICT');
    });
  });

  describe('looking users up', () => {
    test('an e-mail is shown to oneself, to admins and to accountants, and to nobody else', async () => {
      const [ann, bob, cleo] = [await signedUp(), await signedUp(), await signedUp(['ACCOUNTANT'])];
      const emailOf = async (token: string) => (await users.gql('query ($id: ID!) { user(id: $id) { email } }', { id: ann.id }, token)).data['user'].email;
      expect(await emailOf(ann.token)).toBe(ann.email);
      expect(await emailOf(admin)).toBe(ann.email);
      expect(await emailOf(cleo.token)).toBe(ann.email);
      expect(await emailOf(bob.token)).toBeNull();
    });

    test('the same through the entities’ door', async () => {
      const [ann, bob] = [await signedUp(), await signedUp()];
      const query = 'query ($r: [_Any!]!) { _entities(representations: $r) { ... on User { id email } } }';
      const r = [{ __typename: 'User', id: ann.id }];
      expect((await users.gql(query, { r }, bob.token)).data['_entities']).toEqual([{ id: ann.id, email: null }]);
      expect(codeOf(await users.gql(query, { r }))).toBe('UNAUTHENTICATED');
    });

    test('users are listed by pages, filtered by role', async () => {
      await signedUp(['MANAGER']);
      await signedUp(['MANAGER']);
      const list = async (variables: object) =>
        (await users.gql('query ($f: UserFilter, $n: Int, $a: String) { users(filter: $f, first: $n, after: $a) { totalCount pageInfo { hasNextPage endCursor } edges { node { id roles } } } }', variables, admin)).data['users'];
      const all = await list({ f: { role: 'MANAGER' }, n: 100 });
      expect(all.edges.length).toBe(all.totalCount);
      expect(all.edges.every(({ node }: any) => node.roles.includes('MANAGER'))).toBe(true);
      const first = await list({ f: { role: 'MANAGER' }, n: 1 });
      expect(first.pageInfo.hasNextPage).toBe(true);
      const rest = await list({ f: { role: 'MANAGER' }, n: 100, a: first.pageInfo.endCursor });
      expect([...first.edges, ...rest.edges]).toEqual(all.edges);
      expect(rest.pageInfo.hasNextPage).toBe(false);
    });

    test('users are found by a part of their name, without case; by e-mail only for those who may see e-mails', async () => {
      const ann = await signedUp();
      const nobody = await signedUp();
      await users.gql('mutation ($id: ID!) { updateUser(id: $id, input: { name: "Zora 100%_Zebra" }) { id } }', { id: ann.id }, admin);
      const found = async (text: string, token = admin) =>
        (await users.gql('query ($f: UserFilter) { users(filter: $f) { totalCount edges { node { id } } } }', { f: { text } }, token)).data['users'].edges.map(({ node }: any) => node.id);
      expect(await found('zora')).toEqual([ann.id]);
      expect(await found('100%_z')).toEqual([ann.id]);
      expect(await found('1%z')).toEqual([]);
      expect(await found(ann.email.toUpperCase())).toEqual([ann.id]);
      expect(await found(ann.email, nobody.token)).toEqual([]);
    });

    test('an id that nobody has is null; a page of 0 or a made-up cursor is bad input', async () => {
      expect((await users.gql('{ user(id: "nobody") { id } }', {}, admin)).data['user']).toBeNull();
      expect((await users.gql(`{ user(id: "${crypto.randomUUID()}") { id } }`, {}, admin)).data['user']).toBeNull();
      expect(codeOf(await users.gql('{ users(first: 0) { totalCount } }', {}, admin))).toBe('BAD_USER_INPUT');
      expect(codeOf(await users.gql('{ users(after: "popug") { totalCount } }', {}, admin))).toBe('BAD_USER_INPUT');
    });

    test('me is whom the token names; without one it is nobody', async () => {
      const ann = await signedUp();
      expect((await users.gql('{ me { id name } }', {}, ann.token)).data['me']).toEqual({ id: ann.id, name: 'Ann' });
      expect(codeOf(await users.gql('{ me { id } }'))).toBe('UNAUTHENTICATED');
    });
  });

  describe('the door', () => {
    test('is closed to whoever does not bring the gateway’s secret, for HTTP and sockets, whatever they ask', async () => {
      for (const query of ['{ __typename }', '{ _service { sdl } }', LOGIN]) {
        for (const headers of [{}, { 'x-gateway-secret': 'guess' }]) {
          const response = await fetch(`${users.url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ query, variables: ADMIN }) });
          expect(response.status).toBe(403);
        }
      }
      const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'sec-websocket-protocol': 'graphql-transport-ws' };
      const { get } = await import('node:http');
      const status = await new Promise((resolve) => get(`${users.url}/graphql`, { headers: upgrade }, (response) => resolve(response.statusCode)).on('upgrade', () => resolve(101)));
      expect(status).toBe(403);
    });

    test('the public keys are published, the private ones are not', async () => {
      const { keys } = (await (await fetch(`${users.url}/.well-known/jwks.json`)).json()) as { keys: Record<string, unknown>[] };
      expect(keys[0]).toMatchObject({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: expect.any(String) });
      expect(keys[0]).not.toHaveProperty('d');
    });

    test('a token that is garbage is refused with 401, before anything is executed', async () => {
      const answer = await users.gql('{ me { id } }', {}, 'garbage');
      expect(answer.status).toBe(401);
      expect(codeOf(answer)).toBe('UNAUTHENTICATED');
    });
  });
});
