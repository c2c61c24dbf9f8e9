/** What a subgraph sent is not the answer of an HTTP/1.1 server that can be trusted with this connection. The message holds nothing of what was sent. */
export class ResponseProblem extends Error {}

const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;
const TO_LOWER = 0x20;

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 1 for the bytes of a `token` (RFC 9110 §5.6.2). */
const IS_TOKEN = tableOf((byte) => TOKEN_CHARACTERS.includes(String.fromCharCode(byte)));

/** 1 for the bytes of a `field-value` and a `reason-phrase`: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5, RFC 9112 §4). */
const IS_TEXT = tableOf((byte) => byte === TAB || (byte >= SPACE && byte !== 0x7f));

function tableOf(isIn: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isIn(byte) ? 1 : 0));
}

/**
 * Where a line ends, without its CRLF.
 * @param lineFeed where its LF is
 * @throws ResponseProblem when there is no CR before it: RFC 9112 §2.2 lets a recipient take a bare LF, §11.2 says what comes of it
 */
export function endOfLine(bytes: Buffer, start: number, lineFeed: number): number {
  if (lineFeed === start || bytes[lineFeed - 1] !== CR) throw new ResponseProblem('a line of the answer ends without CR');
  return lineFeed - 1;
}

const VERSION_START = 'HTTP/1.';
const VERSION_LENGTH = VERSION_START.length + 1;
const STATUS_END = VERSION_LENGTH + 1 + 3;
const STATUS_MIN = 100;
const STATUS_MAX = 599;

/** What `readStatusLine` has read: allocated once for each connection. */
export interface StatusLine {
  status: number;
  /** 0 or 1, of HTTP/1.x. */
  minorVersion: number;
}

/**
 * Reads `HTTP/1.1 200 OK` (RFC 9112 §4). HTTP/1.0 and HTTP/1.1 only; statuses outside of 100..599 are invalid (RFC 9110 §15).
 * @throws ResponseProblem
 */
export function readStatusLine(bytes: Buffer, from: number, end: number, into: StatusLine): void {
  // The space after the status is there without a reason phrase too.
  if (end - from < STATUS_END + 1 || !startsWith(bytes, from, VERSION_START)) throw new ResponseProblem('the answer does not begin as one of HTTP/1.1');
  const minorVersion = digitAt(bytes, from + VERSION_LENGTH - 1);
  // NaN, too.
  if (!(minorVersion <= 1)) throw new ResponseProblem('the answer is of another version than HTTP/1.0 and HTTP/1.1');
  const at = from + VERSION_LENGTH + 1;
  const status = digitAt(bytes, at) * 100 + digitAt(bytes, at + 1) * 10 + digitAt(bytes, at + 2);
  const hasSpaces = bytes[at - 1] === SPACE && bytes[from + STATUS_END] === SPACE;
  if (!hasSpaces || !(status >= STATUS_MIN && status <= STATUS_MAX)) throw new ResponseProblem('the answer has no valid status');
  checkText(bytes, from + STATUS_END + 1, end);
  into.status = status;
  into.minorVersion = minorVersion;
}

function startsWith(bytes: Buffer, from: number, text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (bytes[from + index] !== text.charCodeAt(index)) return false;
  return true;
}

/** NaN where there is no digit. */
function digitAt(bytes: Buffer, at: number): number {
  const byte = bytes[at] ?? 0;
  return byte >= ZERO && byte <= NINE ? byte - ZERO : Number.NaN;
}

/**
 * Where the name of a field line ends (RFC 9112 §5.1): at a colon, with nothing between. Lines that continue the one before
 * (obs-fold, §5.2) have no name and are refused so.
 * @throws ResponseProblem
 */
export function endOfName(bytes: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && IS_TOKEN[bytes[at] as number] === 1) at += 1;
  if (at === from || at === end || bytes[at] !== COLON) throw new ResponseProblem('a header of the answer has no valid name');
  return at;
}

/** @throws ResponseProblem for control characters, a CR alone among them */
export function checkText(bytes: Buffer, from: number, end: number): void {
  for (let at = from; at < end; at += 1) if (IS_TEXT[bytes[at] as number] === 0) throw new ResponseProblem('a header of the answer has a control character');
}

/** A field's value without the white space around it (RFC 9110 §5.5); one character for each byte. */
export function valueOf(bytes: Buffer, from: number, end: number): string {
  let start = from;
  let stop = end;
  while (start < stop && isBlank(bytes[start])) start += 1;
  while (stop > start && isBlank(bytes[stop - 1])) stop -= 1;
  return bytes.toString('latin1', start, stop);
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

/** Whether a valid name of a field is this one, given in lower case (RFC 9110 §5.1: case does not matter). */
export function isNamed(bytes: Buffer, from: number, lowerCaseName: string): boolean {
  // Only letters become other letters by this; of the other characters of a token none becomes a letter or a hyphen.
  for (let index = 0; index < lowerCaseName.length; index += 1) if (((bytes[from + index] as number) | TO_LOWER) !== lowerCaseName.charCodeAt(index)) return false;
  return true;
}
