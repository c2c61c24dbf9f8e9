import type { KeyObject } from 'node:crypto';
import { LINK_LIFETIME_MS, linkKey, LinkRefused, payloadOf, requireFresh, signedToken } from '@ates/service-kit/signed-links';
import { periodOf, type StatementPeriod } from './statement-period.ts';

export type StatementFormat = 'CSV' | 'PDF';

/** Which document. */
export interface StatementRequest {
  readonly accountId: string;
  readonly period: StatementPeriod;
  readonly format: StatementFormat;
}

/** A path that the gateway serves, without a token of the user's, until it expires. */
export interface StatementLink {
  readonly url: string;
  readonly expiresAt: Date;
}

const FORMATS: readonly StatementFormat[] = ['CSV', 'PDF'];
const KEY_PURPOSE = 'ates accounting statement links v1';
const VERSION = 1;
/**
 * Version 1, format 1, account 16, expiry in ms 6, period as the number YYYYMMDD (DD 00: the month) 4. With the signature
 * 60 bytes: a multiple of three, so that no two tokens are the same bytes.
 */
const PAYLOAD_BYTES = 28;

/** The key of links, the same in all replicas: derived from the secret that they share with the gateway. */
export function statementLinkKey(gatewaySecret: string): KeyObject {
  return linkKey(gatewaySecret, KEY_PURPOSE);
}

/** The link to a document, from `now` for five minutes. Who may have it is for the caller to know. */
export function statementLink({ now, key, ...request }: StatementRequest & { readonly now: Date; readonly key: KeyObject }): StatementLink {
  const expiresAt = new Date(now.getTime() + LINK_LIFETIME_MS);
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  payload.writeUInt8(VERSION, 0);
  payload.writeUInt8(FORMATS.indexOf(request.format), 1);
  payload.write(request.accountId.replaceAll('-', ''), 2, 'hex');
  payload.writeUIntBE(expiresAt.getTime(), 18, 6);
  payload.writeUInt32BE(Number(request.period.label.replaceAll('-', '').padEnd(8, '0')), 24);
  return { url: `/statements/${signedToken(payload, key)}/${statementFileName(request)}`, expiresAt };
}

/** `statement-2026-11-20.csv`: of nothing that a person has typed, so that it needs no quoting in headers and paths. */
export function statementFileName({ period, format }: Pick<StatementRequest, 'period' | 'format'>): string {
  return `statement-${period.label}.${format.toLowerCase()}`;
}

/**
 * What a link asks for.
 * @param link the last two segments of its path
 * @throws LinkRefused with 404 when it is not one of ours as it was made, with 410 when it has expired
 */
export function checkStatementLink(link: { readonly token: string; readonly file: string }, key: KeyObject, now: Date): StatementRequest {
  const payload = payloadOf(link.token, PAYLOAD_BYTES, key);
  const request = payload === null ? null : requestIn(payload);
  if (request === null || statementFileName(request) !== link.file) {
    throw new LinkRefused(404, 'NOT_FOUND', 'There is no such statement: the link is damaged or was not made here; copy it whole, or ask for a new one');
  }
  requireFresh(request.expiresAtMs, now);
  return request;
}

function requestIn(payload: Buffer): (StatementRequest & { readonly expiresAtMs: number }) | null {
  const digits = String(payload.readUInt32BE(24)).padStart(8, '0');
  const [year, month, day] = [digits.slice(0, 4), digits.slice(4, 6), digits.slice(6)];
  const period = periodOf(day === '00' ? `${year}-${month}` : `${year}-${month}-${day}`);
  const format = FORMATS[payload.readUInt8(1)];
  if (payload.readUInt8(0) !== VERSION || period === null || format === undefined) return null;
  const accountId = payload.toString('hex', 2, 18).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  return { accountId, period, format, expiresAtMs: payload.readUIntBE(18, 6) };
}
