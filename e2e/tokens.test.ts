import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign as signBytes, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CloseCode } from 'graphql-ws';
import pg from 'pg';
import WebSocket from 'ws';
import { findInstallation } from '../operations/installation.ts';
import { rotateKeys } from '../subgraphs/users/src/keys.ts';
import { startStack, until, type Stack } from './stack.ts';

const SERVICES = ['users', 'tasks', 'accounting', 'analytics'] as const;
const ASKED = '{ __typename }';
const encode = (part: unknown): string => Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');

type Claims = Record<string, unknown>;

/** What is needed to forge as well as can be: the key that really signs, and what it really says. */
interface Workshop {
  readonly key: KeyObject;
  readonly kid: string;
  readonly publicPem: string;
  readonly genuine: string;
  readonly claims: Claims;
}

/** A token with these claims and header, signed by the key, as ES256. */
function signed({ key, kid, claims }: Workshop, changes: Claims = {}, header: Claims = {}, by: KeyObject = key): string {
  const text = `${encode({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${encode({ ...claims, ...changes })}`;
  return `${text}.${signBytes('sha256', Buffer.from(text), { key: by, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

function withSecret({ kid, claims }: Workshop, secret: string): string {
  const text = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${encode(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const another = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const now = () => Math.floor(Date.now() / 1_000);
const part = (token: string, place: number): string => token.split('.')[place] ?? '';

/** Each must be refused, by everybody, over HTTP and sockets. */
const FORGERIES: Readonly<Record<string, (workshop: Workshop) => string>> = {
  'is no token': () => 'popug',
  'has one part': ({ genuine }) => part(genuine, 0),
  'has two parts': ({ genuine }) => `${part(genuine, 0)}.${part(genuine, 1)}`,
  'has four parts': ({ genuine }) => `${genuine}.popug`,
  'has no signature': ({ genuine }) => `${part(genuine, 0)}.${part(genuine, 1)}.`,
  'has a signature of zeros': ({ genuine }) => `${part(genuine, 0)}.${part(genuine, 1)}.${Buffer.alloc(64).toString('base64url')}`,
  'has half a signature': ({ genuine }) => genuine.slice(0, -43),
  'has the signature of another token': (workshop) => `${part(workshop.genuine, 0)}.${part(workshop.genuine, 1)}.${part(signed(workshop, { iat: 1 }), 2)}`,
  'has other claims than were signed': ({ genuine, claims }) => `${part(genuine, 0)}.${encode({ ...claims, sub: crypto.randomUUID() })}.${part(genuine, 2)}`,
  'has another header than was signed': ({ genuine, kid }) => `${encode({ alg: 'ES256', typ: 'at+jwt', kid, x: 1 })}.${part(genuine, 1)}.${part(genuine, 2)}`,
  'says that it is unsigned': ({ claims, kid }) => `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${encode(claims)}.`,
  'says that it is unsigned, in capitals, with a signature': ({ claims, kid, genuine }) => `${encode({ alg: 'None', typ: 'at+jwt', kid })}.${encode(claims)}.${part(genuine, 2)}`,
  'is signed with the public key as a shared secret': (workshop) => withSecret(workshop, workshop.publicPem),
  'is signed with the key’s id as a shared secret': (workshop) => withSecret(workshop, workshop.kid),
  'is signed with an empty secret': (workshop) => withSecret(workshop, ''),
  'is signed by another key under the same id': (workshop) => signed(workshop, {}, {}, another.privateKey),
  'is signed by another key under an id of its own': (workshop) => signed(workshop, {}, { kid: 'mine' }, another.privateKey),
  'is signed by another key that it brings along': (workshop) => signed(workshop, {}, { jwk: another.publicKey.export({ format: 'jwk' }) }, another.privateKey),
  'is signed by another key that it tells where to fetch': (workshop) => signed(workshop, {}, { kid: 'mine', jku: 'http://127.0.0.1:9/jwks.json' }, another.privateKey),
  'is signed by an RSA key': ({ claims, kid }) => {
    const text = `${encode({ alg: 'RS256', typ: 'at+jwt', kid })}.${encode(claims)}`;
    return `${text}.${signBytes('sha256', Buffer.from(text), rsa.privateKey).toString('base64url')}`;
  },
  'is signed by a key of another curve': ({ claims, kid }) => {
    const text = `${encode({ alg: 'ES384', typ: 'at+jwt', kid })}.${encode(claims)}`;
    return `${text}.${signBytes('sha384', Buffer.from(text), { key: p384.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  },
  'names no key': (workshop) => signed(workshop, {}, { kid: undefined }),
  'names a file as its key': (workshop) => signed(workshop, {}, { kid: '../../../../dev/null' }),
  'is of another type': (workshop) => signed(workshop, {}, { typ: 'JWT' }),
  'is of no type': (workshop) => signed(workshop, {}, { typ: undefined }),
  'is of another issuer': (workshop) => signed(workshop, { iss: 'popug' }),
  'is of no issuer': (workshop) => signed(workshop, { iss: undefined }),
  'is for another audience': (workshop) => signed(workshop, { aud: 'popug' }),
  'is for no audience': (workshop) => signed(workshop, { aud: undefined }),
  'has expired': (workshop) => signed(workshop, { exp: now() - 1 }),
  'never expires': (workshop) => signed(workshop, { exp: undefined }),
  'is not valid yet': (workshop) => signed(workshop, { nbf: now() + 60 }),
  'does not say whose it is': (workshop) => signed(workshop, { sub: undefined }),
  'has no session': (workshop) => signed(workshop, { sid: undefined }),
  'has no version': (workshop) => signed(workshop, { ver: undefined }),
  'has a version that is text': (workshop) => signed(workshop, { ver: '1' }),
  'has no roles': (workshop) => signed(workshop, { roles: undefined }),
  'has roles that are text': (workshop) => signed(workshop, { roles: 'ADMIN' }),
  'has no assurance': (workshop) => signed(workshop, { assurance: undefined }),
  'has an assurance that nobody knows': (workshop) => signed(workshop, { assurance: 'highest' }),
  'is longer than any of ours': (workshop) => signed(workshop, { filler: randomBytes(4_000).toString('hex') }),
};

describe('tokens', () => {
  let stack: Stack;
  let users: pg.Client;
  let secrets: { subgraphs: Record<string, { gatewaySecret: string }> };
  let ports: Record<string, { port: number }>;
  let admin: string;
  beforeAll(async () => {
    stack = await startStack();
    users = new pg.Client({ connectionString: findInstallation({ DATA_DIR: stack.dataDir }).databaseUrl('users') });
    await users.connect();
    secrets = JSON.parse(readFileSync(join(stack.dataDir, 'secrets.json'), 'utf8'));
    ports = JSON.parse(readFileSync(join(stack.dataDir, 'running.json'), 'utf8')).parts;
    admin = await stack.signIn('admin@ates.test');
  });
  afterAll(async () => {
    await users?.end();
    await stack?.stop();
  });

  const workshop = async (): Promise<Workshop> => {
    const genuine = await stack.signIn('admin@ates.test');
    const kid = JSON.parse(Buffer.from(part(genuine, 0), 'base64url').toString()).kid as string;
    const { rows } = await users.query('select private_jwk, public_jwk from signing_keys where kid = $1', [kid]);
    const publicPem = createPublicKey({ key: rows[0].public_jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string;
    return { key: createPrivateKey({ key: rows[0].private_jwk, format: 'jwk' }), kid, publicPem, genuine, claims: JSON.parse(Buffer.from(part(genuine, 1), 'base64url').toString()) };
  };
  const doors = () => [
    { name: 'gateway', url: stack.url, headers: {} },
    ...SERVICES.map((name) => ({ name, url: `http://127.0.0.1:${ports[name]?.port}/graphql`, headers: { 'x-gateway-secret': secrets.subgraphs[name]?.gatewaySecret ?? '' } })),
  ];

  /** What each door says to a request and to a socket with this `Authorization`. */
  const outcomes = async (authorization: string): Promise<Record<string, string>> => {
    const told = await Promise.all(
      doors().flatMap(({ name, url, headers }) => [
        overHttp(url, headers, authorization).then((outcome) => [`${name} over HTTP`, outcome] as const),
        overSocket(url, headers, authorization, name === 'gateway').then((outcome) => [`${name} over a socket`, outcome] as const),
      ]),
    );
    return Object.fromEntries(told);
  };
  const everywhere = (outcome: string) => Object.fromEntries(['gateway', ...SERVICES].flatMap((name) => [[`${name} over HTTP`, outcome], [`${name} over a socket`, outcome]]));

  test('a genuine token is let in by the gateway and by every subgraph, over HTTP and sockets', async () => {
    expect(await outcomes(`Bearer ${admin}`)).toEqual(everywhere('let in'));
    const forged = await workshop();
    expect(await outcomes(`Bearer ${signed(forged)}`)).toEqual(everywhere('let in'));
  });

  test('there are more than thirty ways to forge one', () => {
    expect(Object.keys(FORGERIES).length).toBeGreaterThanOrEqual(30);
  });

  test.each(Object.entries(FORGERIES))('one that %s is refused everywhere', async (_how, forge) => {
    expect(await outcomes(`Bearer ${forge(await workshop())}`)).toEqual(everywhere('UNAUTHENTICATED'));
  });

  test.each([['another scheme', (token: string) => `Basic ${token}`], ['no scheme', (token: string) => token], ['a second one behind it', (token: string) => `Bearer ${token}, Bearer ${token}`]])(
    'a genuine one with %s is refused everywhere',
    async (_how, write) => {
      expect(await outcomes(write(admin))).toEqual(everywhere('UNAUTHENTICATED'));
    },
  );

  describe('that are stale', () => {
    const made = async (): Promise<{ id: string; email: string; token: string; refreshToken: string }> => {
      const input = { name: 'Passing by', email: `${crypto.randomUUID()}@ates.test`, password: 'feathers', roles: ['EMPLOYEE'] };
      const { data } = await stack.gql<any>('mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }', { input }, admin);
      const session = await stack.gql<any>('mutation ($e: String!) { login(email: $e, password: "feathers") { accessToken refreshToken } }', { e: input.email });
      return { id: data.createUser.id, email: input.email, token: session.data.login.accessToken, refreshToken: session.data.login.refreshToken };
    };
    /** What makes a token stale, whose it is then. */
    const STALE: Readonly<Record<string, (user: { id: string; token: string; refreshToken: string }) => Promise<unknown>>> = {
      'whose session ended': ({ refreshToken }) => stack.gql('mutation ($t: String!) { logout(refreshToken: $t) }', { t: refreshToken }),
      'whose user has other roles': ({ id }) => stack.gql('mutation ($id: ID!) { updateUser(id: $id, input: { roles: [ACCOUNTANT] }) { id } }', { id }, admin),
      'whose user is deactivated': ({ id }) => stack.gql('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id }, admin),
      'whose user is deleted': ({ id }) => stack.gql('mutation ($id: ID!) { deleteUser(id: $id) { id } }', { id }, admin),
      'whose password was changed elsewhere': async ({ id }) => {
        const email = (await stack.gql<any>('query ($id: ID!) { user(id: $id) { email } }', { id }, admin)).data.user.email;
        const elsewhere = await stack.gql<any>('mutation ($e: String!) { login(email: $e, password: "feathers") { accessToken } }', { e: email });
        return stack.gql('mutation { changePassword(current: "feathers", next: "new feathers") }', {}, elsewhere.data.login.accessToken);
      },
    };

    test.each(Object.entries(STALE))('one %s is refused everywhere within 2 s, and its sockets are closed', async (_how, makeStale) => {
      const user = await made();
      expect(await outcomes(`Bearer ${user.token}`)).toEqual(everywhere('let in'));
      const closed = closedWith(stack.wsUrl, user.token);
      const answer = (await makeStale(user)) as { errors?: unknown };
      const staleAt = Date.now();
      expect(answer.errors).toBeUndefined();
      await until('it is refused everywhere', 2_000, async () => Object.values(await outcomes(`Bearer ${user.token}`)).every((outcome) => outcome === 'UNAUTHENTICATED'));
      expect(await closed).toMatch(/^4403 UNAUTHENTICATED/);
      expect(Date.now() - staleAt).toBeLessThan(2_000);
    });

    test('one whose key was withdrawn is refused everywhere within 2 s, and nobody has to sign in again', async () => {
      const user = await made();
      const sql = Object.assign(async (text: string, params: readonly unknown[] = []) => (await users.query(text, [...params])).rows, { later: async () => {} });
      await users.query('begin');
      await rotateKeys(sql as never, { immediately: true });
      await users.query('commit');
      await until('it is refused everywhere', 2_000, async () => Object.values(await outcomes(`Bearer ${user.token}`)).every((outcome) => outcome === 'UNAUTHENTICATED'));
      const { data } = await stack.gql<any>('mutation ($t: String!) { refreshSession(refreshToken: $t) { accessToken } }', { t: user.refreshToken });
      await until('the new one is let in everywhere', 5_000, async () => Object.values(await outcomes(`Bearer ${data.refreshSession.accessToken}`)).every((outcome) => outcome === 'let in'));
      admin = await stack.signIn('admin@ates.test');
    });
  });

  test('the subgraphs’ own doors are closed to whoever is not the gateway, with a genuine token too, for requests and sockets', async () => {
    for (const { name, url } of doors().filter((door) => door.name !== 'gateway')) {
      for (const query of [ASKED, '{ _service { sdl } }', '{ _entities(representations: []) { __typename } }']) {
        for (const headers of [{}, { 'x-gateway-secret': 'guess' }]) {
          const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${admin}`, ...headers }, body: JSON.stringify({ query }) });
          expect([name, response.status]).toEqual([name, 403]);
        }
      }
      await expect(new Promise((resolve, reject) => new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws').once('open', resolve).once('error', reject))).rejects.toThrow('403');
    }
  });
});

async function overHttp(url: string, headers: Record<string, string>, authorization: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', authorization, ...headers }, body: JSON.stringify({ query: ASKED }) });
  const { data, errors } = (await response.json()) as { data?: unknown; errors?: { extensions?: { code?: string } }[] };
  return errors === undefined && data !== undefined ? 'let in' : (errors?.[0]?.extensions?.code ?? `HTTP ${response.status}`);
}

/** The gateway verifies a socket's token when it opens, a subgraph each operation's. */
function overSocket(url: string, headers: Record<string, string>, authorization: string, isGateway: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws', { headers });
    const end = (outcome: string): void => {
      resolve(outcome);
      socket.close();
    };
    socket.once('error', reject);
    socket.once('close', (code, reason) => resolve(code === CloseCode.Forbidden ? (String(reason).split(':')[0] ?? '') : `closed with ${code} ${String(reason)}`));
    socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', ...(isGateway && { payload: { authorization } }) })));
    socket.on('message', (text: Buffer) => {
      const message = JSON.parse(text.toString()) as { type: string; payload?: any };
      if (message.type === 'connection_ack') socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: ASKED, extensions: { authorization } } }));
      if (message.type === 'next') end(message.payload.errors?.[0]?.extensions?.code ?? 'let in');
      if (message.type === 'error') end(message.payload[0]?.extensions?.code ?? 'an error without a code');
    });
  });
}

/** How the gateway closes an idle socket of this user. */
function closedWith(url: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, 'graphql-transport-ws');
    socket.once('error', reject);
    socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })));
    socket.once('close', (code, reason) => resolve(`${code} ${String(reason)}`));
  });
}
