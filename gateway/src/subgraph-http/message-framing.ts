import { checkText, endOfName, isNamed, ResponseProblem, valueOf } from './field-syntax.ts';

/** What the fields of an answer say about where it ends and whether the connection goes on. */
export interface Framing {
  /** Bytes; -1 when it is not told. */
  contentLength: number;
  isChunked: boolean;
  /** `Connection: close`. */
  isLast: boolean;
  /** Of `Keep-Alive: timeout=`; -1 when it is not told. */
  keepAliveSeconds: number;
  isEncoded: boolean;
}

export function createFraming(): Framing {
  return { contentLength: -1, isChunked: false, isLast: false, keepAliveSeconds: -1, isEncoded: false };
}

export function resetFraming(framing: Framing): void {
  framing.contentLength = -1;
  framing.isChunked = false;
  framing.isLast = false;
  framing.keepAliveSeconds = -1;
  framing.isEncoded = false;
}

/**
 * What frames a message may have spaces before it, but not the tabs and the blanks after it that RFC 9110 §5.6.3 allows too: nobody
 * writes them, and other readers, undici among them, stumble over them. More digits are no exact number here.
 */
const CONTENT_LENGTH = /^ *(\d{1,15})$/;
const CHUNKED = /^ *chunked$/i;
const IDENTITY = /^(?:identity)?$/i;
const CLOSE = /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i;
const KEEP_ALIVE_SECONDS = /(?:^|[\t ,;])timeout=(\d{1,6})(?:[\t ,;]|$)/i;

/**
 * Reads one field line of a head; most fields are checked and forgotten.
 * @throws ResponseProblem where RFC 9112 §6.3 leaves it to the recipient what to make of it: a length that is no number or told twice
 *   (even alike), a transfer coding other than `chunked`, told once
 */
export function readFieldLine(bytes: Buffer, from: number, end: number, framing: Framing): void {
  const nameEnd = endOfName(bytes, from, end);
  checkText(bytes, nameEnd + 1, end);
  switch (nameEnd - from) {
    case 'connection'.length:
      if (isNamed(bytes, from, 'connection')) framing.isLast ||= CLOSE.test(valueOf(bytes, nameEnd + 1, end));
      else if (isNamed(bytes, from, 'keep-alive')) framing.keepAliveSeconds = keepAliveSecondsOf(valueOf(bytes, nameEnd + 1, end));
      break;
    case 'content-length'.length:
      if (isNamed(bytes, from, 'content-length')) setContentLength(framing, bytes.toString('latin1', nameEnd + 1, end));
      break;
    case 'content-encoding'.length:
      if (isNamed(bytes, from, 'content-encoding')) framing.isEncoded ||= !IDENTITY.test(valueOf(bytes, nameEnd + 1, end));
      break;
    case 'transfer-encoding'.length:
      if (isNamed(bytes, from, 'transfer-encoding')) setChunked(framing, bytes.toString('latin1', nameEnd + 1, end));
      break;
    default:
  }
}

function setContentLength(framing: Framing, value: string): void {
  if (framing.contentLength !== -1) throw new ResponseProblem('the answer tells its length twice');
  const length = CONTENT_LENGTH.exec(value)?.[1];
  if (length === undefined) throw new ResponseProblem('the answer has no valid length');
  framing.contentLength = Number(length);
}

function setChunked(framing: Framing, value: string): void {
  if (framing.isChunked || !CHUNKED.test(value)) throw new ResponseProblem('the answer has another transfer coding than "chunked", once');
  framing.isChunked = true;
}

function keepAliveSecondsOf(value: string): number {
  const seconds = KEEP_ALIVE_SECONDS.exec(value)?.[1];
  return seconds === undefined ? -1 : Number(seconds);
}

/**
 * Checks a field after the last chunk; it is dropped (RFC 9110 §6.5).
 * @throws ResponseProblem also for fields that would frame the message: §6.5.1 does not allow them here
 */
export function checkTrailerLine(bytes: Buffer, from: number, end: number): void {
  const nameEnd = endOfName(bytes, from, end);
  checkText(bytes, nameEnd + 1, end);
  const length = nameEnd - from;
  const isFraming = (length === 14 && isNamed(bytes, from, 'content-length')) || (length === 17 && isNamed(bytes, from, 'transfer-encoding'));
  if (isFraming) throw new ResponseProblem('the answer is framed again by a trailer');
}

/** `chunk-size` and `chunk-ext` (RFC 9112 §7.1), without the white space that §7.1.1 wants to be read but never written. */
const CHUNK_SIZE_LINE = /^([\dA-Fa-f]{1,16})((?:;[\w!#$%&'*+.^`|~-]+(?:=(?:[\w!#$%&'*+.^`|~-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*)$/;
const DIGITS_OF_USUAL_SIZES = 6;

/**
 * The size of the next chunk; extensions are ignored.
 * @throws ResponseProblem
 */
export function readChunkSize(bytes: Buffer, from: number, end: number): number {
  let size = 0;
  const digits = end - from;
  if (digits > 0 && digits <= DIGITS_OF_USUAL_SIZES) {
    for (let at = from; at < end; at += 1) size = size * 16 + hexDigit(bytes[at] as number);
    if (!Number.isNaN(size)) return size;
  }
  const told = CHUNK_SIZE_LINE.exec(bytes.toString('latin1', from, end))?.[1];
  if (told === undefined) throw new ResponseProblem('a chunk of the answer has no valid size');
  return Number.parseInt(told, 16);
}

/** NaN where there is none. */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}
