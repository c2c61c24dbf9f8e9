import { createHash } from 'node:crypto';
import type { Sql } from './database.ts';
import { DomainError } from './domain-error.ts';

/** One call of a mutation that may be repeated under a key. */
export interface KeyedCall {
  /** The operation and who calls it: keys of different users or operations never meet. */
  readonly scope: string;
  readonly key: string | null | undefined;
  /** Everything that the caller asked for; another input under the same key is a conflict. */
  readonly input: unknown;
}

const KEY_LENGTH_MAX = 200;
const KEPT_HOURS = 24;

/** The table that `once` needs; part of a service's first migration. */
export const IDEMPOTENCY_TABLE = `
  create table idempotency_keys (
    scope text not null,
    key text not null,
    request_hash text not null,
    result jsonb,
    created_at timestamptz not null default now(),
    primary key (scope, key)
  )`;

/**
 * Does `work` at most once per key, inside the caller's transaction: a repeated call gets the first one's result,
 * also when both run at the same time (the second waits for the first's commit). Keys are kept for 24 hours.
 * @throws DomainError CONFLICT when the key was used with another input; BAD_USER_INPUT when it is empty or too long.
 */
export async function once<Result>(sql: Sql, { scope, key, input }: KeyedCall, work: () => Promise<Result>): Promise<Result> {
  if (key === null || key === undefined) return work();
  if (key === '' || key.length > KEY_LENGTH_MAX) {
    throw new DomainError('BAD_USER_INPUT', `idempotencyKey has ${key.length} characters; use 1 to ${KEY_LENGTH_MAX}, for example a UUID`);
  }
  const requestHash = createHash('sha256').update(JSON.stringify(input)).digest('hex');
  const claimed = await sql(
    `insert into idempotency_keys as known (scope, key, request_hash) values ($1, $2, $3)
     on conflict (scope, key) do update set request_hash = excluded.request_hash, result = null, created_at = now()
       where known.created_at < now() - make_interval(hours => $4)
     returning 1`,
    [scope, key, requestHash, KEPT_HOURS],
  );
  if (claimed.length === 0) return firstResult<Result>(sql, scope, key, requestHash);
  const result = await work();
  await sql('update idempotency_keys set result = $3::jsonb where scope = $1 and key = $2', [scope, key, JSON.stringify(result)]);
  return result;
}

/** Forgets the keys that are not kept any more. */
export async function forgetOldKeys(sql: Sql): Promise<void> {
  await sql('delete from idempotency_keys where created_at < now() - make_interval(hours => $1)', [KEPT_HOURS]);
}

async function firstResult<Result>(sql: Sql, scope: string, key: string, requestHash: string): Promise<Result> {
  const [first] = await sql<{ request_hash: string; result: Result }>(
    'select request_hash, result from idempotency_keys where scope = $1 and key = $2',
    [scope, key],
  );
  if (first === undefined || first.request_hash !== requestHash) {
    throw new DomainError('CONFLICT', 'This idempotencyKey was used with another input: use a new key for a new request');
  }
  return first.result;
}
