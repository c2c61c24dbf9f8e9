import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { LINK_LIFETIME_MS } from '@ates/service-kit/signed-links';
import { checkStatementLink, statementLink, statementLinkKey, type StatementFormat } from './statement-links.ts';
import { periodOf, type StatementPeriod } from './statement-period.ts';

const NOW = new Date('2026-11-20T10:00:00.123Z');
const ACCOUNT = '01931111-2222-7333-8444-0055566677ff';
const key = statementLinkKey('the secret of the subgraph');
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const linkOf = (label: string, format: StatementFormat) => statementLink({ accountId: ACCOUNT, period: periodOf(label) as StatementPeriod, format, now: NOW, key });
const segmentsOf = (url: string) => {
  const [, , token = '', file = ''] = url.split('/');
  return { token, file };
};
const refusal = (link: { token: string; file: string }, options: { now?: Date; with?: typeof key } = {}): { status?: number; message?: string; code?: string } => {
  try {
    checkStatementLink(link, options.with ?? key, options.now ?? NOW);
    return {};
  } catch (error) {
    return error as { status: number };
  }
};

describe('A link to a statement', () => {
  test.each([
    ['2026-11-20', 'CSV', 'statement-2026-11-20.csv'],
    ['2026-11', 'PDF', 'statement-2026-11.pdf'],
  ] as const)('of %s as %s says what it is of, and that for five minutes', (label, format, file) => {
    const { url, expiresAt } = linkOf(label, format);
    expect(url).toMatch(new RegExp(`^/statements/[A-Za-z0-9_-]{80}/${file}$`));
    expect(expiresAt).toEqual(new Date('2026-11-20T10:05:00.123Z'));
    expect(checkStatementLink(segmentsOf(url), key, NOW)).toMatchObject({ accountId: ACCOUNT, period: periodOf(label), format });
  });

  test('is refused with another character at any place of its token', () => {
    const { token, file } = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    const altered = token.split('').flatMap((letter, place) =>
      ALPHABET.split('').filter((other) => other !== letter).map((other) => token.slice(0, place) + other + token.slice(place + 1)),
    );
    expect(altered).toHaveLength(80 * 63);
    expect(altered.filter((candidate) => refusal({ token: candidate, file }).status !== 404)).toEqual([]);
  });

  test('is refused with the name of another document', () => {
    const { token } = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    for (const file of ['statement-2026-11-21.csv', 'statement-2026-11-20.pdf', 'statement-2026-11.csv', 'statement-2026-11-20.csv ', '']) {
      expect(refusal({ token, file })).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    }
  });

  test.each(['', 'A', 'A'.repeat(79), 'A'.repeat(80), 'A'.repeat(81), 'A'.repeat(100_000), `${'A'.repeat(79)}=`, `${'A'.repeat(79)}ä`, '../'.repeat(27), `${'A'.repeat(79)}\n`])(
    'that is no link at all is refused in words (%#)',
    (token) => expect(refusal({ token, file: 'statement-2026-11-20.csv' })).toMatchObject({ status: 404, message: expect.stringContaining('ask for a new one') }),
  );

  test('is refused when it was made with another secret', () => {
    const link = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    expect(refusal(link, { with: statementLinkKey('the secret of the subgraph ') }).status).toBe(404);
    expect(refusal(link, { with: statementLinkKey('the secret of the subgraph') })).toEqual({});
  });

  test('works until the moment when it expires, and then says that a new one is needed', () => {
    const link = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    expect(refusal(link, { now: new Date(NOW.getTime() + LINK_LIFETIME_MS - 1) })).toEqual({});
    const expired = refusal(link, { now: new Date(NOW.getTime() + LINK_LIFETIME_MS) });
    expect(expired).toMatchObject({ status: 410, message: 'This link has expired, links are good for 5 minutes: ask for a new link' });
  });

  test('that has expired says so to whoever has it whole, and to nobody else', () => {
    const { token, file } = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    const late = new Date(NOW.getTime() + 2 * LINK_LIFETIME_MS);
    expect(refusal({ token: `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`, file }, { now: late }).status).toBe(404);
  });

  test.each([
    ['another version', { 0: 2 }],
    ['an unknown format', { 1: 7 }],
    ['a period that no calendar has', { 24: 255 }],
  ])('of %s is refused though its signature is right', (_, change) => {
    const { token, file } = segmentsOf(linkOf('2026-11-20', 'CSV').url);
    const payload = Buffer.from(token, 'base64url').subarray(0, 28);
    for (const [place, byte] of Object.entries(change)) payload[Number(place)] = byte;
    const signed = Buffer.concat([payload, createHmac('sha256', key).update(payload).digest()]).toString('base64url');
    expect(refusal({ token: signed, file }).status).toBe(404);
  });
});
