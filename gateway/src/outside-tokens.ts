import { DomainError, ERROR_CODES, type ErrorCode } from '@ates/service-kit/domain-error';
import { GATEWAY_SECRET_HEADER } from '@ates/service-kit/gateway-secret';
import { createBoundedCache } from './bounded-cache.ts';
import type { SubgraphEndpoint } from './config.ts';

/** Turns tokens of another identity provider into ours. */
export interface OutsideTokens {
  /** Whether this `Authorization` value says that it is one of the provider's. Only Users can tell whether that is true. */
  isOutside(authorization: string): boolean;
  /**
   * `Bearer <one of our access tokens>` for it, the same until half a minute before that expires.
   * @throws DomainError as Users decides; SERVICE_UNAVAILABLE when it does not answer
   */
  exchange(authorization: string): Promise<string>;
  /** Forgets what it was exchanged for: that is refused by now, though the token may be good. */
  forget(authorization: string): void;
}

interface OutsideTokensParts {
  /** `iss` of the provider's tokens. */
  readonly issuer: string;
  /** Where Users is; undefined while no supergraph is loaded. */
  readonly users: () => SubgraphEndpoint | undefined;
}

interface Exchanged {
  readonly accessToken: string;
  readonly expiresAt: string;
}

const KNOWN_MAX = 10_000;
const TOKEN_LENGTH_MAX = 8_192;
const RENEW_BEFORE_MS = 30_000;
const TIMEOUT_MS = 5_000;
const BEARER = /^bearer /i;

interface Known {
  readonly authorization: Promise<string>;
  /** Milliseconds since the epoch; at first, while the answer is under way, for ever. */
  goodUntil: number;
}

/** Asks Users once for each token, however many requests bring it at once. */
export function createOutsideTokens({ issuer, users }: OutsideTokensParts): OutsideTokens {
  const known = createBoundedCache<Known>(KNOWN_MAX);
  const asked = (given: string): Known => {
    const answer = ask(users(), given.replace(BEARER, ''));
    const exchanged: Known = { authorization: answer.then(({ accessToken }) => `Bearer ${accessToken}`), goodUntil: Number.POSITIVE_INFINITY };
    answer.then(
      ({ expiresAt }) => (exchanged.goodUntil = Date.parse(expiresAt) - RENEW_BEFORE_MS),
      () => (exchanged.goodUntil = 0),
    );
    return exchanged;
  };
  return {
    isOutside: (authorization) => authorization.length <= TOKEN_LENGTH_MAX && BEARER.test(authorization) && issuerOf(authorization.replace(BEARER, '')) === issuer,
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

async function ask(users: SubgraphEndpoint | undefined, token: string): Promise<Exchanged> {
  const unavailable = () => new DomainError('SERVICE_UNAVAILABLE', 'Your token can’t be looked at right now: try again in a few seconds');
  if (users === undefined) throw unavailable();
  const response = await fetch(new URL('/outside-tokens', users.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', [GATEWAY_SECRET_HEADER]: users.secret },
    body: JSON.stringify({ token }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => null);
  const answer = (await response?.json().catch(() => null)) as Partial<Exchanged & { code: ErrorCode; message: string }> | null | undefined;
  if (response?.ok === true && typeof answer?.accessToken === 'string' && typeof answer.expiresAt === 'string') return answer as Exchanged;
  if (answer?.code !== undefined && ERROR_CODES.includes(answer.code) && typeof answer.message === 'string') throw new DomainError(answer.code, answer.message);
  throw unavailable();
}
