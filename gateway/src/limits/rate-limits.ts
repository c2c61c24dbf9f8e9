import { isIPv6 } from 'node:net';
import type { RateLimit } from '../option-values.ts';

export interface RateLimitSettings {
  /** Undefined: no limit. */
  readonly rateLimitUser: RateLimit | undefined;
  readonly rateLimitAddress: RateLimit | undefined;
}

export interface RateLimited {
  readonly retryAfterSeconds: number;
  /** For the client: what was too much, and when to try again. */
  readonly message: string;
}

export interface RateLimits {
  /**
   * Takes `cost` from the user's bucket and from the address's, or from neither.
   * @returns null when it may go on, else when to try again.
   */
  take(who: { readonly userId?: string | undefined; readonly address?: string | undefined }, cost?: number): RateLimited | null;
}

/** Buckets that are remembered, of users and of addresses each: about 10 MB. */
export const KEYS_MAX = 100_000;
/** Networks of IPv6 addresses that are remembered. */
const NETWORKS_MAX = 5_000;
/** Buckets that are looked at for one to forget: more than one would add, so that full ones don't gather. */
const LOOKED_AT = 2;
const LOOKED_AT_WHEN_CROWDED = 16;

/** Limits for users and for addresses, in this process. @param now milliseconds that never go back. */
export function createRateLimits({ rateLimitUser, rateLimitAddress }: RateLimitSettings, now: () => number = () => performance.now()): RateLimits {
  const users = rateLimitUser === undefined ? undefined : createBuckets(rateLimitUser);
  const addresses = rateLimitAddress === undefined ? undefined : createBuckets(rateLimitAddress);
  if (users === undefined && addresses === undefined) return { take: () => null };
  const networks = new Map<string, string>();
  const keyOf = (address: string): string => {
    if (!address.includes(':')) return address;
    let network = networks.get(address);
    if (network === undefined) {
      network = networkOf(address);
      if (networks.size >= NETWORKS_MAX) networks.clear();
      networks.set(address, network);
    }
    return network;
  };
  return {
    take: ({ userId, address }, cost = 1) => {
      const at = now();
      const ofUser = userId === undefined ? undefined : users;
      const ofAddress = address === undefined ? undefined : addresses;
      const addressKey = ofAddress === undefined ? '' : keyOf(address as string);
      const userWaits = ofUser === undefined ? 0 : ofUser.waitMs(userId as string, cost, at);
      const addressWaits = ofAddress === undefined ? 0 : ofAddress.waitMs(addressKey, cost, at);
      if (userWaits > 0 || addressWaits > 0) {
        return userWaits >= addressWaits ? limited('You have', rateLimitUser as RateLimit, userWaits) : limited('Your network address has', rateLimitAddress as RateLimit, addressWaits);
      }
      ofUser?.take(userId as string, cost, at);
      ofAddress?.take(addressKey, cost, at);
      return null;
    },
  };
}

function limited(whose: string, { perSecond, burst }: RateLimit, waitMs: number): RateLimited {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1_000));
  const rate = Number.isInteger(perSecond) ? `${perSecond} a second` : `${Math.round(perSecond * 60)} a minute`;
  const message = `${whose} sent too many operations: at most ${rate}, ${Math.floor(burst)} at once after a pause. Try again in ${retryAfterSeconds} s`;
  return { retryAfterSeconds, message };
}

interface Buckets {
  /** Milliseconds until so much may be taken; 0 at once. */
  waitMs(key: string, cost: number, at: number): number;
  take(key: string, cost: number, at: number): void;
}

/**
 * Token buckets, each one number: the time at which it is full again (a bucket that is not known is full).
 *
 * Memory is bounded, and forgetting is safe: a bucket that is full again says nothing that not knowing it does not say. Each
 * key that is new looks at the next two in a round of all keys and forgets the full ones, so what is kept is about what is not
 * full: after one operation a bucket is full again within 1 / rate seconds, a flood of new keys forgets itself. Only a flood of more
 * than 100,000 keys within that time fills the memory; then each new key takes the place of that one of sixteen which is nearest to
 * being full. A limited key is the farthest from it: to push one out, each of its neighbours in the round would have to be used as much as it,
 * which takes more addresses than the flood would gain, since what it gains is one more burst. Users and addresses have memories of their
 * own: a user's key needs a token that was verified, and can't be flooded from outside.
 */
function createBuckets({ perSecond, burst }: RateLimit): Buckets {
  const msEach = 1_000 / perSecond;
  const capacityMs = burst * msEach;
  const fullAt = new Map<string, number>();
  let round = fullAt.entries();

  const nextInRound = (): [string, number] | undefined => {
    let { value } = round.next();
    if (value === undefined) {
      round = fullAt.entries();
      ({ value } = round.next());
    }
    return value;
  };
  const makeRoom = (at: number): void => {
    const crowded = fullAt.size >= KEYS_MAX;
    let leastKey: string | undefined;
    let least = Infinity;
    for (let looked = 0; looked < (crowded ? LOOKED_AT_WHEN_CROWDED : LOOKED_AT); looked += 1) {
      const entry = nextInRound();
      if (entry === undefined) return;
      const [key, time] = entry;
      if (time <= at) {
        fullAt.delete(key);
        if (crowded) return;
      } else if (time < least) {
        least = time;
        leastKey = key;
      }
    }
    if (crowded && leastKey !== undefined) fullAt.delete(leastKey);
  };

  return {
    waitMs: (key, cost, at) => {
      const time = fullAt.get(key);
      // More than the bucket holds can never be taken: a full one is enough for it.
      return time === undefined || time <= at ? 0 : Math.max(0, time + Math.min(cost, burst) * msEach - at - capacityMs);
    },
    take: (key, cost, at) => {
      const time = fullAt.get(key);
      if (time === undefined) makeRoom(at);
      fullAt.set(key, Math.max(time ?? at, at) + Math.min(cost, burst) * msEach);
    },
  };
}

/** One customer's network: the 64 bits that an IPv6 customer is given, whose other 64 they choose at will; or an IPv4 address. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1] as string;
  const [head, tail] = (address.split('%')[0] as string).toLowerCase().split('::') as [string, string?];
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  const missing = tail === undefined ? 0 : Math.max(0, 8 - groups.length - behind.length);
  const all = [...groups, ...Array<string>(missing).fill('0'), ...behind];
  return `${all.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
