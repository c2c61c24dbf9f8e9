import { TOKEN_ALGORITHM } from '@ates/service-kit/viewer';
import type { Database } from '@ates/service-kit/database';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose';

export interface SigningKeys {
  /** The key that signs now. */
  readonly kid: string;
  readonly privateKey: CryptoKey;
  /** The public keys as a JWK Set, for verifiers. */
  readonly jwks: { readonly keys: readonly JWK[] };
}

/** Replicas that start at once agree on one first key. */
const FIRST_KEY_LOCK = 7_061_003;

/** The signing keys of this installation, made on its first start and kept in the database. */
export async function loadSigningKeys(database: Database): Promise<SigningKeys> {
  const rows = await database.transaction(async (_em, sql) => {
    await sql('select pg_advisory_xact_lock($1)', [FIRST_KEY_LOCK]);
    const kept = await sql<{ kid: string; private_jwk: JWK; public_jwk: JWK }>(
      'select kid, private_jwk, public_jwk from signing_keys order by created_at desc',
    );
    if (kept.length > 0) return kept;
    const key = await makeKey();
    await sql('insert into signing_keys (kid, private_jwk, public_jwk) values ($1, $2::jsonb, $3::jsonb)', [
      key.kid,
      JSON.stringify(key.private_jwk),
      JSON.stringify(key.public_jwk),
    ]);
    return [key];
  });
  const [newest] = rows;
  if (newest === undefined) throw new Error('There is no signing key although one was just made');
  return {
    kid: newest.kid,
    privateKey: (await importJWK(newest.private_jwk, TOKEN_ALGORITHM)) as CryptoKey,
    jwks: { keys: rows.map(({ kid, public_jwk }) => ({ ...public_jwk, kid, alg: TOKEN_ALGORITHM, use: 'sig' })) },
  };
}

async function makeKey(): Promise<{ kid: string; private_jwk: JWK; public_jwk: JWK }> {
  const { privateKey, publicKey } = await generateKeyPair(TOKEN_ALGORITHM, { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return { kid: await calculateJwkThumbprint(publicJwk), private_jwk: await exportJWK(privateKey), public_jwk: publicJwk };
}
