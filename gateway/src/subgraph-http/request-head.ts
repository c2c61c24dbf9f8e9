/** What a request may not tell: it would be framed, routed or kept otherwise than this client means (RFC 9110 §7.6.1, RFC 9112 §6). */
const RESERVED_NAMES = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'expect', 'te', 'trailer', 'proxy-connection', 'http2-settings', 'accept-encoding']);

/** RFC 9110 §5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** All but HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5): CR, LF and NUL would end the line, letters beyond latin1 would become any of them. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Names come from this program and are few: each is checked once. */
const goodNames = new Set<string>();
const GOOD_NAMES_MAX = 200;

/** The first lines of all requests to one path, checked and joined once, up to the headers that differ. */
export function createHeadStart(url: URL, headers: readonly string[]): string {
  return `POST ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\n${joinHeaders(headers)}`;
}

/**
 * @param headers names and values in turn
 * @throws TypeError for what may not be sent; its message holds no value, which may be a secret
 */
export function joinHeaders(headers: readonly string[]): string {
  let joined = '';
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] as string;
    const value = headers[index + 1] as string;
    if (!goodNames.has(name)) checkName(name);
    if (NO_VALUE.test(value)) throw new TypeError(`the header ${name} has a character that no header may have`);
    joined += `${name}: ${value}\r\n`;
  }
  return joined;
}

function checkName(name: string): void {
  if (!TOKEN.test(name)) throw new TypeError('a header has no valid name');
  if (RESERVED_NAMES.has(name.toLowerCase())) throw new TypeError(`the header ${name} may not be set`);
  if (goodNames.size < GOOD_NAMES_MAX) goodNames.add(name);
}

/**
 * A whole request in one piece, so that it is one write and mostly one packet.
 * @returns characters of one byte each, to be written as latin1, or bytes where the body has others
 */
export function joinRequest(head: string, body: string): string | Buffer {
  const bytes = Buffer.byteLength(body);
  // As many bytes as characters: all of them are ASCII, for which latin1 and UTF-8 are the same.
  if (bytes === body.length) return `${head}content-length: ${bytes}\r\n\r\n${body}`;
  const encoded = Buffer.from(body);
  return Buffer.concat([Buffer.from(`${head}content-length: ${encoded.length}\r\n\r\n`, 'latin1'), encoded]);
}
