import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import WebSocket from 'ws';
import { startOutsideProvider, type OutsideProvider } from '../subgraphs/users/test/support/sign-in-outside.ts';
import { startStack, until, type Stack } from './stack.ts';

describe('users of another identity provider, through the gateway', () => {
  let provider: OutsideProvider;
  let stack: Stack;
  let admin: string;
  beforeAll(async () => {
    provider = await startOutsideProvider({ dora: { name: 'Dora Outside', email: 'dora@outside.test', email_verified: true, roles: ['popug'] } });
    stack = await startStack({ environment: { OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: 'ates', OIDC_ROLE_NAMES: 'popug=EMPLOYEE' } });
    admin = await stack.signIn('admin@ates.test');
  });
  afterAll(async () => {
    await stack?.stop();
    await provider?.stop();
  });

  const ME = '{ me { id name roles } }';

  test('come in with the provider’s own token, and have a task, a balance and a socket like everybody', async () => {
    const token = await provider.signIn('dora');
    const { data } = await stack.gql<any>(ME, {}, token);
    expect(data.me).toMatchObject({ name: 'Dora Outside', roles: ['EMPLOYEE'] });
    await until('their account is open', 10_000, async () => (await stack.gql<any>('{ myAccount { balance } }', {}, token)).data?.myAccount?.balance === 0);
    const acknowledged = await new Promise((resolve, reject) => {
      const socket = new WebSocket(stack.wsUrl, 'graphql-transport-ws');
      socket.once('error', reject);
      socket.once('close', (code, reason) => resolve(`${code} ${String(reason)}`));
      socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })));
      socket.once('message', (text: Buffer) => {
        resolve(JSON.parse(text.toString()).type);
        socket.close();
      });
    });
    expect(acknowledged).toBe('connection_ack');
  });

  test('are asked for once, and have the roles that an admin gives them here at their next request, with the same token', async () => {
    const token = await provider.signIn('dora');
    const { id } = (await stack.gql<any>(ME, {}, token)).data.me;
    expect((await stack.gql('{ companyEarnings }', {}, token)).errors?.[0]?.extensions?.code).toBe('FORBIDDEN');
    await stack.gql('mutation ($id: ID!) { updateUser(id: $id, input: { roles: [ACCOUNTANT] }) { id } }', { id }, admin);
    await until('the new role holds', 2_000, async () => (await stack.gql('{ companyEarnings }', {}, token)).errors === undefined);
    await stack.gql('mutation ($id: ID!) { deactivateUser(id: $id) { id } }', { id }, admin);
    await until('they are refused', 2_000, async () => (await stack.gql(ME, {}, token)).errors?.[0]?.extensions?.code === 'UNAUTHENTICATED');
  });

  test('with a token for somebody else, or a made-up one in the provider’s name, are refused', async () => {
    const [header, claims] = (await provider.signIn('dora')).split('.');
    for (const token of [await provider.signIn('dora', 'urn:other'), `${header}.${claims}.AAAA`]) {
      const { status, errors } = await stack.gql(ME, {}, token);
      expect([status, errors?.[0]?.extensions?.code]).toEqual([401, 'UNAUTHENTICATED']);
    }
  });
});
