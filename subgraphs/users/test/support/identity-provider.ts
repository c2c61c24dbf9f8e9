import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider, { type Configuration } from 'oidc-provider';

/**
 * A real OpenID provider, as a process of its own: prints its issuer, then serves until it is ended. Whoever signs in there may
 * say any name: it is their `sub`. What is known of them is in ACCOUNTS, as JSON: { "<sub>": { claims } }.
 */
const accounts = JSON.parse(process.env['ACCOUNTS'] ?? '{}') as Record<string, Record<string, unknown>>;
const server = createServer();
await new Promise<void>((listening) => void server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const configuration: Configuration = {
  clients: [{ client_id: 'ates', client_secret: 'popug', redirect_uris: ['https://ates.test/callback'], grant_types: ['authorization_code'] }],
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub, ...accounts[sub] }) }),
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  features: {
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:ates',
      useGrantedResource: () => true,
      getResourceServerInfo: (_context, resource) => ({
        scope: 'openid email profile',
        audience: resource === 'urn:other' ? 'other' : 'ates',
        accessTokenFormat: 'jwt',
        accessTokenTTL: 3_600,
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  // As many providers are set up to: what is needed is in the access token.
  extraTokenClaims: (_context, token) => ('accountId' in token ? accounts[token.accountId] : undefined),
  pkce: { required: () => false },
  cookies: { keys: ['a key for tests'] },
};
const provider = new Provider(issuer, configuration);
const serve = provider.callback();
server.on('request', (request, response) => void serve(request, response));
process.stdout.write(`${issuer}\n`);
