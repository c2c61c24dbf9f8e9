import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { passportJwtSecret, type JSONWebKey } from 'jwks-rsa';
import type { SecretOrKeyProvider } from 'passport-jwt';
import type { Logger } from './logger.ts';

/** Where the keys that verify tokens come from. */
export interface PublishedKeysOptions {
  readonly jwksUrl: string;
  /** Where the keys fetched last are kept, for a start while the issuer is down. */
  readonly jwksFile?: string | undefined;
  readonly logger?: Logger | undefined;
}

export interface PublishedKeys {
  /** The key that verifies a token, for passport-jwt. */
  readonly keyOf: SecretOrKeyProvider;
  /** Whether the issuer has stopped publishing a key: the keys were fetched, and it was not among them. */
  isWithdrawn(keyId: string): boolean;
}

/** The keys can't be had: that says nothing about a token. */
export class SigningKeysUnavailable extends Error {}

const KEYS_MAX_AGE_MS = 10 * 60_000;
const KEYS_STALE_MAX_AGE_MS = 24 * 60 * 60_000;
const KEYS_TIMEOUT_MS = 3_000;
const REQUESTS_PER_MINUTE = 30;
const RETRY_MS = 1_000;
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

interface Jwks {
  readonly keys: readonly JSONWebKey[];
}

/**
 * The issuer's public keys by their ids, fetched at once and every 10 minutes, so that they are known before the first token comes; kept
 * for a day while the issuer can't be reached: in memory, and in a file, if there is one for it. A key that is not there is asked for, at
 * most 30 times a minute. One that is not among those fetched last is trusted no more, whoever remembers it.
 */
export function publishedKeys({ jwksUrl, jwksFile, logger }: PublishedKeysOptions): PublishedKeys {
  let fetchFailed = false;
  let latest: { readonly jwks: Jwks; readonly at: number } = { jwks: { keys: [] }, at: 0 };
  const fetchOrRead = async (): Promise<Jwks> => {
    try {
      const { jwks, text } = await fetchKeys(jwksUrl);
      latest = { jwks, at: Date.now() };
      fetchFailed = false;
      if (jwksFile !== undefined) {
        await keep(jwksFile, text).catch((error: unknown) => logger?.error({ err: error, jwksFile }, 'the signing keys cannot be kept in their file: give the process the right to write it'));
      }
      return jwks;
    } catch (error) {
      const isNews = !fetchFailed;
      fetchFailed = true;
      if (jwksFile === undefined) throw error;
      const kept = await readKept(jwksFile).catch(() => null);
      if (kept === null) throw error;
      if (isNews) logger?.warn({ err: error, jwksFile }, 'the signing keys cannot be fetched, those of the file are used');
      return kept;
    }
  };
  let asking: Promise<Jwks> | null = null;
  /** One question at a time, for whoever wants to know. */
  const ask = (): Promise<Jwks> =>
    (asking ??= fetchOrRead().finally(() => {
      asking = null;
    }));
  stayInformed(ask, () => fetchFailed);
  const keyOf = passportJwtSecret({
    jwksUri: jwksUrl,
    fetcher: ask,
    getKeysInterceptor: async () => (Date.now() - latest.at < KEYS_STALE_MAX_AGE_MS ? [...latest.jwks.keys] : []),
    cache: true,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cacheMaxAgeFallback: KEYS_STALE_MAX_AGE_MS,
    rateLimit: true,
    jwksRequestsPerMinute: REQUESTS_PER_MINUTE,
    handleSigningKeyError: (error, done) => {
      const isUnknown = error?.name === 'SigningKeyNotFoundError' && !fetchFailed;
      done(error === null || isUnknown ? error : new SigningKeysUnavailable(error.message, { cause: error }));
    },
  });
  return { keyOf, isWithdrawn: (keyId) => latest.at > 0 && latest.jwks.keys.every(({ kid }) => kid !== keyId) };
}

/** Asks now, soon again while there is no answer, and then now and then; for as long as the process lives. */
function stayInformed(ask: () => Promise<unknown>, failed: () => boolean): void {
  const round = async (): Promise<void> => {
    await ask().catch(() => {});
    setTimeout(() => void round(), failed() ? RETRY_MS : KEYS_MAX_AGE_MS).unref();
  };
  void round();
}

async function fetchKeys(url: string): Promise<{ jwks: Jwks; text: string }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(KEYS_TIMEOUT_MS) });
  if (!response.ok) throw new Error(`the signing keys were answered with ${response.status}`);
  const text = await response.text();
  return { jwks: parseKeys(text), text };
}

function parseKeys(text: string): Jwks {
  const { keys } = (JSON.parse(text) ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0) throw new Error('there are no signing keys in what was read');
  return { keys: keys as JSONWebKey[] };
}

/** Replaces the file in one step: a reader finds the old keys or the new ones. */
async function keep(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: FOLDER_MODE });
  const unfinished = `${file}.${process.pid}.unfinished`;
  await writeFile(unfinished, text, { mode: FILE_MODE });
  await rename(unfinished, file);
}

/** What the file holds, null when it is too old to be trusted. */
async function readKept(file: string): Promise<Jwks | null> {
  const { mtimeMs } = await stat(file);
  return Date.now() - mtimeMs > KEYS_STALE_MAX_AGE_MS ? null : parseKeys(await readFile(file, 'utf8'));
}
