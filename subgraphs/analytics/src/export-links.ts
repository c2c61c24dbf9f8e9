import type { KeyObject } from 'node:crypto';
import { LINK_LIFETIME_MS, LinkRefused, linkKey, payloadOf, requireFresh, signedToken } from '@ates/service-kit/signed-links';
import { dayRange, type DayRange } from './day-range.ts';

/** A path that the gateway serves, without a token of the user's, until it expires. */
export interface ExportLink {
  readonly url: string;
  readonly expiresAt: Date;
}

const KEY_PURPOSE = 'ates analytics export links v1';
const VERSION = 1;
/** Version 1, nothing 1, expiry in ms 6, the two days as numbers YYYYMMDD, 4 each. With the signature 48 bytes: a multiple of three, so that no two tokens are the same bytes. */
const PAYLOAD_BYTES = 16;

/** The key of links, the same in all replicas: derived from the secret that they share with the gateway. */
export function exportLinkKey(gatewaySecret: string): KeyObject {
  return linkKey(gatewaySecret, KEY_PURPOSE);
}

/** The link to a range of the audit log, from `now` for five minutes. Who may have it is for the caller to know. */
export function exportLink(range: DayRange, key: KeyObject, now: Date): ExportLink {
  const expiresAt = new Date(now.getTime() + LINK_LIFETIME_MS);
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  payload.writeUInt8(VERSION, 0);
  payload.writeUIntBE(expiresAt.getTime(), 2, 6);
  payload.writeUInt32BE(Number(range.from.replaceAll('-', '')), 8);
  payload.writeUInt32BE(Number(range.to.replaceAll('-', '')), 12);
  return { url: `/exports/${signedToken(payload, key)}/${exportFileName(range)}`, expiresAt };
}

/** `audit-2026-11-01-2026-11-30.csv`: of nothing that needs quoting in headers and paths. */
export function exportFileName({ from, to }: DayRange): string {
  return `audit-${from}-${to}.csv`;
}

/**
 * The days that a link asks for.
 * @param link the last two segments of its path
 * @throws LinkRefused with 404 when it is not one of ours as it was made, with 410 when it has expired
 */
export function checkExportLink(link: { readonly token: string; readonly file: string }, key: KeyObject, now: Date): DayRange {
  const payload = payloadOf(link.token, PAYLOAD_BYTES, key);
  const range = payload?.readUInt8(0) === VERSION ? dayRange(dayAt(payload, 8), dayAt(payload, 12)) : null;
  if (payload === null || range === null || exportFileName(range) !== link.file) {
    throw new LinkRefused(404, 'NOT_FOUND', 'There is no such export: the link is damaged or was not made here; copy it whole, or ask for a new one');
  }
  requireFresh(payload.readUIntBE(2, 6), now);
  return range;
}

function dayAt(payload: Buffer, place: number): string {
  return String(payload.readUInt32BE(place)).padStart(8, '0').replace(/^(\d{4})(\d\d)/, '$1-$2-');
}
