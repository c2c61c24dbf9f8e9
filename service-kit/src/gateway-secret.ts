import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** The header by which the gateway proves itself to a subgraph. */
export const GATEWAY_SECRET_HEADER = 'x-gateway-secret';
/** `extensions.reason` of the answer to whoever lacks the secret: a gateway that gets it is configured wrongly, its user is not to blame. */
export const STRANGER_REFUSED = 'NOT_THE_GATEWAY';

/** Tells whether a request brings the secret, in the same time whatever it brings. */
export function secretCheck(secret: string): (request: IncomingMessage) => boolean {
  const expected = createHash('sha256').update(secret).digest();
  return (request) => {
    const given = request.headers[GATEWAY_SECRET_HEADER];
    return typeof given === 'string' && timingSafeEqual(createHash('sha256').update(given).digest(), expected);
  };
}
