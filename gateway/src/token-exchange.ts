import { DomainError, ERROR_CODES, type ErrorCode } from '@ates/service-kit/domain-error';
import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import { createBoundedCache } from './bounded-cache.ts';
import type { SubgraphEndpoint } from './config.ts';

/** Turns tokens of another issuer into trusted ones. */
export interface TokenExchange {
  /** Whether this `Authorization` value says that it is one of that issuer's. Only the subgraph that exchanges them can tell whether that is true. */
  isForeign(authorization: string): boolean;
  /**
   * `Bearer <a trusted access token>` for it, the same until half a minute before that expires.
   * @throws DomainError as the subgraph decides; SERVICE_UNAVAILABLE when it does not answer
   */
  exchange(authorization: string): Promise<string>;
  /** Forgets what it was exchanged for: that is refused by now, though the token may be good. */
  forget(authorization: string): void;
}

interface TokenExchangeParts {
  /** `iss` of the tokens to exchange. */
  readonly issuer: string;
  /** Where the subgraph is that exchanges them; undefined while no supergraph is loaded. */
  readonly endpoint: () => SubgraphEndpoint | undefined;
}

interface Exchanged {
  readonly accessToken: string;
  /** When that expires, as a date in ISO 8601. */
  readonly expiresAt: string;
}

interface Known {
  readonly authorization: Promise<string>;
  /** Milliseconds since the epoch; at first, while the answer is under way, for ever. */
  goodUntil: number;
}

/** At the subgraph: `POST { token }` is answered with what is `Exchanged`, or `{ code, message }`. */
const EXCHANGE_PATH = '/outside-tokens';
const KNOWN_MAX = 10_000;
const TOKEN_LENGTH_MAX = 8_192;
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 5_000;
const BEARER = /^bearer /i;

/** Asks the subgraph once for each token, however many requests bring it at once. */
export function createTokenExchange({ issuer, endpoint }: TokenExchangeParts): TokenExchange {
  const known = createBoundedCache<Known>(KNOWN_MAX);
  const asked = (given: string): Known => {
    const answer = ask(endpoint(), given.replace(BEARER, ''));
    const exchanged: Known = { authorization: answer.then(({ accessToken }) => `Bearer ${accessToken}`), goodUntil: Number.POSITIVE_INFINITY };
    answer.then(
      ({ expiresAt }) => (exchanged.goodUntil = Date.parse(expiresAt) - RENEW_BEFORE_MS),
      () => (exchanged.goodUntil = 0),
    );
    return exchanged;
  };
  return {
    isForeign: (authorization) => authorization.length <= TOKEN_LENGTH_MAX && BEARER.test(authorization) && issuerOf(authorization.replace(BEARER, '')) === issuer,
    exchange: (authorization) => {
      const before = known.get(authorization);
      if (before !== undefined && before.goodUntil > Date.now()) return before.authorization;
      const exchanged = asked(authorization);
      known.set(authorization, exchanged);
      return exchanged.authorization;
    },
    forget: (authorization) => {
      const before = known.get(authorization);
      if (before !== undefined) before.goodUntil = 0;
    },
  };
}

/** What the token says of itself, verified by nobody. */
function issuerOf(token: string): unknown {
  try {
    return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iss?: unknown }).iss;
  } catch {
    return undefined;
  }
}

async function ask(subgraph: SubgraphEndpoint | undefined, token: string): Promise<Exchanged> {
  const unavailable = () => new DomainError('SERVICE_UNAVAILABLE', 'Your token can’t be looked at right now: try again in a few seconds');
  if (subgraph === undefined) throw unavailable();
  const response = await fetch(new URL(EXCHANGE_PATH, subgraph.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(subgraph.secret !== undefined && { [GATEWAY_SECRET_HEADER]: subgraph.secret }) },
    body: JSON.stringify({ token }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => null);
  const answer = (await response?.json().catch(() => null)) as Partial<Exchanged & { code: ErrorCode; message: string }> | null | undefined;
  if (response?.ok === true && typeof answer?.accessToken === 'string' && typeof answer.expiresAt === 'string') return answer as Exchanged;
  if (answer?.code !== undefined && ERROR_CODES.includes(answer.code) && typeof answer.message === 'string') throw new DomainError(answer.code, answer.message);
  throw unavailable();
}
