import { TOKEN_ALGORITHM } from '@ates/service-kit/token-format';
import type { Database, Sql } from '@ates/service-kit/database';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';

/** The key that signs at this moment. */
export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
}

/** The signing keys of this installation, as the database has them. */
export interface SigningKeys {
  current(): SigningKey;
  /** The public keys as a JWK Set, for verifiers: also those that will sign soon, and those that did a moment ago. */
  jwks(): { readonly keys: readonly JWK[] };
  /** The ids of these keys. */
  ids(): readonly string[];
  /** Reads them anew. */
  reload(): Promise<void>;
}

interface KeyRow {
  readonly kid: string;
  readonly private_jwk: JWK;
  readonly public_jwk: JWK;
  readonly signs_from: Date;
}

/** Replicas that make or rotate keys take turns. */
const KEYS_LOCK = 7_061_003;
/** A new key is published for so long before it signs: verifiers ask for keys again after 10 minutes at the latest. */
const PUBLISHED_BEFORE = '15 minutes';
/** Tokens live for 5 minutes after the last signature. */
const ACCEPTED_AFTER = '10 minutes';

const READ = `select kid, private_jwk, public_jwk, signs_from from signing_keys
  where retires_at is null or retires_at > now() order by signs_from desc, created_at desc`;

/** The keys of this installation; the first one is made on its first start. */
export async function openSigningKeys(database: Database): Promise<SigningKeys> {
  await database.transaction(async (_em, sql) => {
    await sql('select pg_advisory_xact_lock($1)', [KEYS_LOCK]);
    if ((await sql('select from signing_keys limit 1')).length === 0) await insertKey(sql, '0');
  });
  let rows: readonly KeyRow[] = [];
  let privateKeys = new Map<string, CryptoKey>();
  const reload = async (): Promise<void> => {
    const read = await database.sql<KeyRow>(READ);
    privateKeys = new Map(
      await Promise.all(read.map(async ({ kid, private_jwk }) => [kid, privateKeys.get(kid) ?? ((await importJWK(private_jwk, TOKEN_ALGORITHM)) as CryptoKey)] as const)),
    );
    rows = read;
  };
  await reload();
  return {
    current: () => {
      const key = rows.find(({ signs_from }) => signs_from.getTime() <= Date.now()) ?? rows.at(-1);
      const privateKey = privateKeys.get(key?.kid ?? '');
      if (key === undefined || privateKey === undefined) throw new Error('There is no signing key although one is made at the start');
      return { kid: key.kid, privateKey };
    },
    jwks: () => ({ keys: rows.map(({ kid, public_jwk }) => ({ ...public_jwk, kid, alg: TOKEN_ALGORITHM, use: 'sig' })) }),
    ids: () => rows.map(({ kid }) => kid),
    reload,
  };
}

/**
 * Makes a new key. It is published at once, signs after 15 minutes, and 10 minutes later the old ones are gone.
 * @param immediately when a private key may be known to somebody: the new one signs now, and nothing that the old ones
 * signed is accepted any more
 * @returns the new key's id
 */
export async function rotateKeys(sql: Sql, { immediately }: { readonly immediately: boolean }): Promise<string> {
  await sql('select pg_advisory_xact_lock($1)', [KEYS_LOCK]);
  const kid = await insertKey(sql, immediately ? '0' : PUBLISHED_BEFORE);
  await sql(
    `update signing_keys set retires_at = now() + case when $2 then '0' else $3::interval + $4::interval end
     where kid <> $1 and (retires_at is null or $2)`,
    [kid, immediately, PUBLISHED_BEFORE, ACCEPTED_AFTER],
  );
  return kid;
}

/** Rotates when the newest key is older than `days`, and forgets those that are gone. @returns the new key's id, if there is one */
export async function rotateOldKeys(database: Database, days: number): Promise<string | null> {
  return database.transaction(async (_em, sql) => {
    await sql('select pg_advisory_xact_lock($1)', [KEYS_LOCK]);
    await sql('delete from signing_keys where retires_at < now()');
    const young = await sql('select from signing_keys where created_at > now() - make_interval(days => $1)', [days]);
    return young.length > 0 ? null : rotateKeys(sql, { immediately: false });
  });
}

async function insertKey(sql: Sql, signsAfter: string): Promise<string> {
  const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  await sql('insert into signing_keys (kid, private_jwk, public_jwk, signs_from) values ($1, $2::jsonb, $3::jsonb, now() + $4::interval)', [
    kid,
    JSON.stringify(await exportJWK(privateKey)),
    JSON.stringify(publicJwk),
    signsAfter,
  ]);
  return kid;
}
