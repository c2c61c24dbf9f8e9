import { host, port, secret, str, url, wholeNumber } from './env.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

/** The variables that every subgraph reads. */
export const subgraphEnv = {
  HOST: host({ default: '127.0.0.1', desc: 'the address to listen on; private, only the gateway comes here' }),
  PORT: port({ desc: 'the port to listen on' }),
  DATABASE_URL: url({ desc: 'the service’s own database, as its application role' }),
  OWNER_DATABASE_URL: url({ desc: 'the same database as the role that owns the tables; for migrations' }),
  NATS_URL: url({ desc: 'for example nats://user:password@127.0.0.1:4222' }),
  GATEWAY_SECRET: secret({ desc: 'what the gateway brings to be answered; one per subgraph' }),
  JWKS_URL: url({ desc: 'where the public signing keys are published' }),
  JWKS_FILE: str({ default: undefined, desc: 'a file in which fetched keys are kept, for a start while they cannot be fetched' }),
  TOKEN_ISSUER: str({ default: 'ates', desc: '`iss` of access tokens' }),
  TOKEN_AUDIENCE: str({ default: 'ates', desc: '`aud` of access tokens' }),
  LOG_LEVEL: str({ default: 'info', choices: LOG_LEVELS, desc: 'what is logged' }),
};

/** Whose tokens are trusted, as an authenticator wants to know it. */
export function tokenTrust(env: { readonly JWKS_URL: string; readonly JWKS_FILE?: string | undefined; readonly TOKEN_ISSUER: string; readonly TOKEN_AUDIENCE: string }) {
  return { jwksUrl: env.JWKS_URL, jwksFile: env.JWKS_FILE, issuer: env.TOKEN_ISSUER, audience: env.TOKEN_AUDIENCE };
}

/** The variables of a service that produces events. */
export const producerEnv = {
  OUTBOX_KEEP_DAYS: wholeNumber(30)({ default: 90, desc: 'how long published events are kept, to fill a lost stream again' }),
  OUTBOX_MAX_AGE_MS: wholeNumber(1_000)({ default: 30_000, desc: 'from when on an event that is not published makes the service unready' }),
};
