import { createHash } from 'node:crypto';
import type { Sql } from '@ates/service-kit/database';
import { DomainError } from '@ates/service-kit/domain-error';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';

/** Who tries to sign in as whom. */
export interface Attempt {
  readonly emailKey: string;
  /** Null when nobody knows, as for a call without a gateway. */
  readonly clientAddress: string | null;
}

export interface SignInLimits {
  /**
   * Counts an attempt as failed before it is decided, so that many at once can't slip through together.
   * @throws DomainError RATE_LIMITED with `retryAfterSeconds`, for an account or an address with too many failures
   */
  begin(attempt: Attempt): Promise<void>;
  /** Takes the failure back that was counted, and forgets the account's. */
  succeeded(attempt: Attempt): Promise<void>;
}

export interface LimitOptions {
  /** Failures of one account, known or not, within 15 minutes. */
  readonly perAccount: number;
  /** Failures from one address, for whichever accounts, within 15 minutes. */
  readonly perAddress: number;
}

const WINDOW_SECONDS = 15 * 60;
const TABLE = 'sign_in_failures';

/** Failed sign-ins, counted in PostgreSQL for all replicas. */
export function createSignInLimits(sql: Sql, { perAccount, perAddress }: LimitOptions): SignInLimits {
  // The library's way to PostgreSQL is one method of a client.
  const storeClient = { query: async ({ text, values }: { text: string; values: unknown[] }) => ({ rows: await sql(text, values) }) };
  const limiter = (keyPrefix: string, points: number) =>
    new RateLimiterPostgres({ storeClient, storeType: 'client', tableName: TABLE, tableCreated: true, keyPrefix, points, duration: WINDOW_SECONDS });
  const [accounts, addresses] = [limiter('account', perAccount), limiter('address', perAddress)];
  const count = async (by: RateLimiterPostgres, key: string, whose: string): Promise<void> => {
    try {
      await by.consume(key);
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      const retryAfterSeconds = Math.ceil(error.msBeforeNext / 1_000);
      throw new DomainError('RATE_LIMITED', `Too many failed sign-ins ${whose}: try again in ${retryAfterSeconds} s`, { retryAfterSeconds });
    }
  };
  return {
    begin: async ({ emailKey, clientAddress }) => {
      if (clientAddress !== null) await count(addresses, networkOf(clientAddress), 'from your address');
      await count(accounts, accountKey(emailKey), 'for this account');
    },
    succeeded: async ({ emailKey, clientAddress }) => {
      await Promise.all([accounts.delete(accountKey(emailKey)), clientAddress === null ? null : addresses.reward(networkOf(clientAddress))]);
    },
  };
}

/** An IPv6 address without its second half: that much is given to one household, which could try from each of them. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const full = tail === undefined ? groups : [...groups, ...Array.from({ length: Math.max(8 - groups.length - after.length, 0) }, () => '0'), ...after];
  return `${full.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}

/** No e-mail of somebody who only tried it is kept. */
function accountKey(emailKey: string): string {
  return createHash('sha256').update(emailKey).digest('hex');
}
