import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';
import { DomainError, type ErrorCode } from './domain-error.ts';

/** Long enough for a click, too short to be worth keeping: the link itself is the permission. */
export const LINK_LIFETIME_MS = 5 * 60_000;

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]+$/;

/** Why a link is not followed; its message is for whoever clicked. */
export class LinkRefused extends DomainError {
  readonly status: number;

  constructor(status: number, code: ErrorCode, message: string) {
    super(code, message);
    this.status = status;
  }
}

/** A key for links of one purpose, the same wherever the secret is: links of another purpose are strangers to it. */
export function linkKey(secret: string, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', purpose, KEY_BYTES)));
}

/**
 * What a link carries, with its signature (HMAC-SHA-256), as base64url.
 * @param payload so many bytes that with 32 more they are a multiple of three: else two tokens could be the same bytes
 */
export function signedToken(payload: Buffer, key: KeyObject): string {
  return Buffer.concat([payload, signatureOf(payload, key)]).toString('base64url');
}

/** What a token carries; null when it is none that was signed with this key. Whether it has expired is for the caller to look. */
export function payloadOf(token: string, payloadBytes: number, key: KeyObject): Buffer | null {
  if (token.length !== Math.ceil(((payloadBytes + SIGNATURE_BYTES) * 4) / 3) || !TOKEN.test(token)) return null;
  const bytes = Buffer.from(token, 'base64url');
  const payload = bytes.subarray(0, payloadBytes);
  return timingSafeEqual(bytes.subarray(payloadBytes), signatureOf(payload, key)) ? payload : null;
}

/** @throws LinkRefused with 410 when a link's time is over */
export function requireFresh(expiresAtMs: number, now: Date): void {
  if (expiresAtMs > now.getTime()) return;
  throw new LinkRefused(410, 'NOT_FOUND', `This link has expired, links are good for ${LINK_LIFETIME_MS / 60_000} minutes: ask for a new link`);
}

function signatureOf(payload: Buffer, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(payload).digest();
}
