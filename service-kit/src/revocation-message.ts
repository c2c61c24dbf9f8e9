/** What is refused from now on: tokens of a user that are older than a version of the user's state, or those of one session. */
export type NewRevocation = { readonly userId: string; readonly belowVersion: number } | { readonly sessionId: string };

/** The same with its place in the order of commits. */
export type Revocation = NewRevocation & { readonly seq: number };

/** What is told of revocations: `entries` are all those with `after < seq <= last`, unless they are older than 10 minutes. */
export interface RevocationMessage {
  /** When it was sent, ISO 8601; for logs only, clocks differ. */
  readonly at: string;
  /** Ids of the keys that may sign tokens now. */
  readonly keys: readonly string[];
  readonly after: number;
  readonly last: number;
  readonly entries: readonly Revocation[];
  /** In replies: there is more after `last`. */
  readonly more: boolean;
}

/** Core NATS, outside of every stream: a message that nobody hears is not kept. */
export const REVOCATIONS_SUBJECT = 'live.users.revocations';
/** Request `{ after }`, reply a RevocationMessage. */
export const REVOCATIONS_SINCE_SUBJECT = 'live.users.revocations.since';
/** Entries in one message at most; what is beyond is told by the next one. */
export const REVOCATION_ENTRIES_MAX = 2_000;

/** Reads a message. @throws Error for whatever is none: NATS lets any service name a subject as where its answers go. */
export function parseRevocationMessage(text: string): RevocationMessage {
  const { at, keys, after, last, entries, more } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  if (!isPosition(after) || !isPosition(last) || last < after) throw new Error('after and last are no positions in order');
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) throw new Error('keys is no list of key ids');
  if (!Array.isArray(entries) || !entries.every(isEntry)) throw new Error('entries is no list of revocations');
  return { at: String(at), keys, after, last, entries, more: more === true };
}

/** Reads the position in a request. @throws Error when there is none. */
export function parseRevocationsRequest(text: string): number {
  const { after } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
  if (!isPosition(after)) throw new Error('after is no position');
  return after;
}

function isPosition(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isEntry(value: unknown): value is Revocation {
  const { seq, userId, belowVersion, sessionId } = (value ?? {}) as Record<string, unknown>;
  if (!isPosition(seq)) return false;
  return typeof sessionId === 'string' || (typeof userId === 'string' && isPosition(belowVersion));
}
