import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '@ates/service-kit/logger';
import type { RevocationFeed } from '@ates/service-kit/revocations';
import { createAuthenticator } from '@ates/service-kit/viewer';
import { createGatewayAuthenticator } from '../src/authenticate.ts';
import { createTokenExchange, type TokenExchange } from '../src/token-exchange.ts';
import { AUDIENCE, ISSUER as TRUSTED_ISSUER, startTokenIssuer } from './support/token-issuer.ts';

const ISSUER = 'https://other.test/?realm=x';
const NO_REVOCATIONS = { isRevoked: () => false, isCurrent: () => true, onRevoked: () => () => {} } as unknown as RevocationFeed;
const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1_000).toISOString();
const tokenOf = (iss: unknown): string => `Bearer x.${Buffer.from(JSON.stringify({ iss })).toString('base64url')}.x`;

describe('Tokens of another issuer', () => {
  let subgraph: Server;
  let exchange: TokenExchange;
  let answer: RequestListener;
  const asked: { url: string | undefined; headers: IncomingHttpHeaders; body: unknown }[] = [];
  const answerWith = (status: number, body: object) => (answer = (_request, response) => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)));

  beforeAll(async () => {
    subgraph = createServer((request, response) => {
      void text(request).then((body) => {
        asked.push({ url: request.url, headers: request.headers, body: JSON.parse(body) });
        answer(request, response);
      });
    });
    await once(subgraph.listen(0, '127.0.0.1'), 'listening');
  });
  beforeEach(() => {
    asked.length = 0;
    const url = `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/graphql`;
    exchange = createTokenExchange({ issuer: ISSUER, endpoint: () => ({ name: 'doorkeeper', url, secret: 'the secret of the doorkeeper' }) });
    answerWith(200, { accessToken: 'a.trusted.one', expiresAt: inSeconds(300) });
  });
  afterAll(() => {
    subgraph.closeAllConnections();
    subgraph.close();
  });

  test('are known by what they say of themselves, and nothing else is', () => {
    expect([tokenOf(ISSUER), tokenOf(ISSUER).replace('Bearer', 'bearer')].map(exchange.isForeign)).toEqual([true, true]);
    expect([tokenOf('https://third.test'), tokenOf(null), 'Bearer', 'Bearer x', 'Basic eDp5', '', `Bearer ${'x'.repeat(9_000)}`].map(exchange.isForeign)).toEqual(Array.from({ length: 7 }, () => false));
  });

  test('are exchanged by the subgraph, once for all requests that bring one', async () => {
    const all = await Promise.all([1, 2, 3].map(() => exchange.exchange(tokenOf(ISSUER))));
    expect(new Set([...all, await exchange.exchange(tokenOf(ISSUER))])).toEqual(new Set(['Bearer a.trusted.one']));
    expect(asked).toEqual([{ url: '/outside-tokens', body: { token: tokenOf(ISSUER).slice('Bearer '.length) }, headers: expect.objectContaining({ 'x-gateway-secret': 'the secret of the doorkeeper' }) }]);
  });

  test('are exchanged anew when they are forgotten, and half a minute before what they were exchanged for expires', async () => {
    await exchange.exchange(tokenOf(ISSUER));
    exchange.forget(tokenOf(ISSUER));
    answerWith(200, { accessToken: 'another.one', expiresAt: inSeconds(29) });
    expect(await exchange.exchange(tokenOf(ISSUER))).toBe('Bearer another.one');
    await exchange.exchange(tokenOf(ISSUER));
    expect(asked).toHaveLength(3);
  });

  test('are exchanged anew when what they were exchanged for is refused', async () => {
    const issuer = await startTokenIssuer();
    try {
      const authenticator = createAuthenticator({ jwksUrl: issuer.jwksUrl, issuer: TRUSTED_ISSUER, audience: AUDIENCE, revocations: NO_REVOCATIONS, logger: createLogger('test', 'silent') });
      const { identify } = createGatewayAuthenticator(authenticator, exchange);
      answerWith(200, { accessToken: (await issuer.bearer({ expiresInSeconds: -1 })).slice('Bearer '.length), expiresAt: inSeconds(300) });
      await expect(identify(tokenOf(ISSUER))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(asked).toHaveLength(2);
    } finally {
      await issuer.stop();
    }
  });

  test('are refused in the words of the subgraph, and asked for again the next time', async () => {
    answerWith(401, { code: 'UNAUTHENTICATED', message: 'That realm is closed: use another' });
    await expect(exchange.exchange(tokenOf(ISSUER))).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: 'That realm is closed: use another' });
    answerWith(200, { accessToken: 'a.trusted.one', expiresAt: inSeconds(300) });
    expect(await exchange.exchange(tokenOf(ISSUER))).toBe('Bearer a.trusted.one');
  });

  test.each([
    ['anything else', () => answerWith(500, { message: 'select * from users' })],
    ['no JSON', () => (answer = (_request, response) => void response.end('<html>'))],
    ['a code of its own', () => answerWith(400, { code: 'TEAPOT', message: 'secret' })],
  ])('cannot be looked at when the subgraph answers with %s', async (_what, prepare) => {
    prepare();
    await expect(exchange.exchange(tokenOf(ISSUER))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: expect.stringContaining('try again in a few seconds') });
  });

  test('cannot be looked at either while it is not known where the subgraph is', async () => {
    const lost = createTokenExchange({ issuer: ISSUER, endpoint: () => undefined });
    await expect(lost.exchange(tokenOf(ISSUER))).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  });
});
