import { SUBGRAPH_ANSWER_MAX_BYTES } from '../http-post.ts';
import { endOfLine, readStatusLine, ResponseProblem, type StatusLine } from './field-syntax.ts';
import { checkTrailerLine, createFraming, readChunkSize, readFieldLine, resetFraming } from './message-framing.ts';

/** Status line and headers, and once more trailers. */
const HEAD_MAX_BYTES = 16 * 1024;
const FIELDS_MAX = 128;
const INTERIM_RESPONSES_MAX = 10;
const CHUNK_LINE_MAX_BYTES = 1024;
/** All extensions of the chunks of an answer: more than the few that anybody sends, far less than a body of them. */
const CHUNK_EXTENSIONS_MAX_BYTES = 16 * 1024;
const USUAL_CHUNK_LINE_BYTES = 18;
const CRLF_BYTES = 2;
/** A body of a told length up to this is given its memory at once, a larger one or one in chunks as it comes. */
const ALLOCATED_AT_ONCE_MAX_BYTES = 1024 * 1024;
const FIRST_BODY_BYTES = 16 * 1024;
const FIRST_LINE_BYTES = 256;

const LF = 0x0a;

// Where the reader is. The numbers below COUNTED_BODY are read in lines, the others by counting bytes.
const STATUS_LINE = 0;
const FIELDS = 1;
const CHUNK_SIZE = 2;
const CHUNK_END = 3;
const TRAILERS = 4;
const COUNTED_BODY = 5;
const CHUNK = 6;
const BODY_UNTIL_CLOSE = 7;
const WHOLE = 8;

/**
 * Reads the responses of one connection, one after the other, from bytes that are split anywhere (RFC 9112). Where the RFC leaves a choice between
 * repairing and refusing it refuses, since what repairs differently than the next one is how answers get to the wrong requests (§11.2).
 * A class: one for each connection, and no object for each response.
 */
export class ResponseReader {
  status = 0;
  /** Of a whole response. */
  text = '';
  /** Whether the connection may carry another request, as far as the response says. */
  isReusable = false;
  /** Bytes came after the end of the response. */
  hasSurplus = false;
  /** At least one byte of the response, or of an interim one before it, has come. */
  hasBegun = false;
  private stage = WHOLE;
  private readonly statusLine: StatusLine = { status: 0, minorVersion: 0 };
  private readonly framing = createFraming();
  private fieldCount = 0;
  private interimCount = 0;
  private extensionBytes = 0;
  /** Bytes that the lines of this part may still take. */
  private lineBudget = 0;
  /** The beginning of a line that was split, and how long it is. */
  private carried: Buffer | undefined = undefined;
  private carriedLength = 0;
  /** Bytes of the body or chunk that are to come. */
  private remaining = 0;
  private body: Buffer | undefined = undefined;
  private bodyLength = 0;

  /** A request is sent: what comes from now on answers it. */
  begin(): void {
    this.isReusable = false;
    this.hasSurplus = false;
    this.hasBegun = false;
    this.interimCount = 0;
    this.extensionBytes = 0;
    this.bodyLength = 0;
    this.carriedLength = 0;
    this.beginHead();
  }

  /** Seconds that the server keeps an idle connection; -1 when it does not tell. */
  get keepAliveSeconds(): number {
    return this.framing.keepAliveSeconds;
  }

  /**
   * Takes the first `length` bytes, which may be overwritten afterwards.
   * @returns whether the response is whole
   * @throws ResponseProblem; then nothing more may be read from the connection
   */
  take(bytes: Buffer, length: number): boolean {
    this.hasBegun = true;
    let at = 0;
    while (at < length && this.stage !== WHOLE) at = this.stage < COUNTED_BODY ? this.takeLine(bytes, at, length) : this.takeBody(bytes, at, length);
    this.hasSurplus = at < length;
    return this.stage === WHOLE;
  }

  /** The server has ended its side. @returns whether that ends the response (RFC 9112 §6.3, rule 8) */
  endByClose(): boolean {
    if (this.stage !== BODY_UNTIL_CLOSE) return false;
    this.finish();
    return true;
  }

  /** Gives memory and text back. */
  forget(): void {
    this.text = '';
    this.body = undefined;
    this.carried = undefined;
  }

  private beginHead(): void {
    this.stage = STATUS_LINE;
    this.fieldCount = 0;
    this.lineBudget = HEAD_MAX_BYTES;
    resetFraming(this.framing);
  }

  private takeLine(bytes: Buffer, from: number, length: number): number {
    let at = from;
    while (at < length && bytes[at] !== LF) at += 1;
    const isWhole = at < length;
    const next = isWhole ? at + 1 : length;
    this.lineBudget -= next - from;
    if (this.lineBudget < 0) throw new ResponseProblem(this.stage <= FIELDS ? `the headers of the answer are larger than ${HEAD_MAX_BYTES} bytes` : 'the chunks of the answer are not as they should be');
    if (isWhole && this.carriedLength === 0) {
      this.readLine(bytes, from, endOfLine(bytes, from, at));
    } else {
      const line = this.carry(bytes, from, next);
      if (isWhole) {
        const lineFeed = this.carriedLength - 1;
        this.carriedLength = 0;
        this.readLine(line, 0, endOfLine(line, 0, lineFeed));
      }
    }
    return next;
  }

  /** The line as far as it has come. */
  private carry(bytes: Buffer, from: number, to: number): Buffer {
    const needed = this.carriedLength + to - from;
    let line = this.carried;
    if (line === undefined || line.length < needed) {
      line = Buffer.allocUnsafeSlow(Math.max(needed * 2, FIRST_LINE_BYTES));
      this.carried?.copy(line, 0, 0, this.carriedLength);
      this.carried = line;
    }
    bytes.copy(line, this.carriedLength, from, to);
    this.carriedLength = needed;
    return line;
  }

  private readLine(bytes: Buffer, from: number, end: number): void {
    const isEmpty = from === end;
    if (this.stage === FIELDS) {
      if (isEmpty) return this.endHead();
      this.countField();
      readFieldLine(bytes, from, end, this.framing);
    } else if (this.stage === STATUS_LINE) {
      readStatusLine(bytes, from, end, this.statusLine);
      this.stage = FIELDS;
    } else if (this.stage === CHUNK_SIZE) {
      this.beginChunk(bytes, from, end);
    } else if (this.stage === CHUNK_END) {
      if (!isEmpty) throw new ResponseProblem('a chunk of the answer is longer than its size');
      this.awaitChunk();
    } else {
      if (isEmpty) return this.finish();
      this.countField();
      checkTrailerLine(bytes, from, end);
    }
  }

  private countField(): void {
    this.fieldCount += 1;
    if (this.fieldCount > FIELDS_MAX) throw new ResponseProblem(`the answer has more than ${FIELDS_MAX} headers`);
  }

  /** Where the body ends: RFC 9112 §6.3. */
  private endHead(): void {
    const { framing, statusLine } = this;
    const { contentLength, isChunked } = framing;
    if (isChunked && contentLength !== -1) throw new ResponseProblem('the answer has both a length and chunks');
    // §6.1: the framing of such a message is faulty.
    if (isChunked && statusLine.minorVersion === 0) throw new ResponseProblem('the answer is of HTTP/1.0 and has chunks');
    if (statusLine.status < 200) return this.skipInterim();
    if (framing.isEncoded) throw new ResponseProblem('the answer is encoded, which was not asked for');
    this.status = statusLine.status;
    this.isReusable = statusLine.minorVersion === 1 && !framing.isLast;
    if (this.status === 204 || this.status === 304) {
      // It has none; a server that announces one may send it all the same.
      if (isChunked || contentLength > 0) this.isReusable = false;
      this.finish();
    } else if (isChunked) {
      this.awaitChunk();
    } else if (contentLength === -1) {
      this.isReusable = false;
      this.stage = BODY_UNTIL_CLOSE;
    } else {
      if (contentLength > SUBGRAPH_ANSWER_MAX_BYTES) throw tooLarge();
      this.remaining = contentLength;
      this.stage = COUNTED_BODY;
      if (contentLength === 0) this.finish();
    }
  }

  /** RFC 9110 §15.2: a client reads them also when it does not expect them. Nobody asked for another protocol (101); HTTP/1.0 has none; none has content (§6.4.1), or is the last. */
  private skipInterim(): void {
    this.interimCount += 1;
    const { contentLength, isChunked, isLast } = this.framing;
    const { status, minorVersion } = this.statusLine;
    const isInterim = status !== 101 && minorVersion === 1 && contentLength === -1 && !isChunked && !isLast;
    if (!isInterim || this.interimCount > INTERIM_RESPONSES_MAX) throw new ResponseProblem('the answer is preceded by what was not asked for');
    this.beginHead();
  }

  private awaitChunk(): void {
    this.stage = CHUNK_SIZE;
    this.lineBudget = CHUNK_LINE_MAX_BYTES;
  }

  private beginChunk(bytes: Buffer, from: number, end: number): void {
    const size = readChunkSize(bytes, from, end);
    if (end - from > USUAL_CHUNK_LINE_BYTES) this.extensionBytes += end - from;
    if (this.extensionBytes > CHUNK_EXTENSIONS_MAX_BYTES) throw new ResponseProblem('the chunks of the answer have too many extensions');
    if (this.bodyLength + size > SUBGRAPH_ANSWER_MAX_BYTES) throw tooLarge();
    this.remaining = size;
    this.stage = CHUNK;
    if (size > 0) return;
    this.stage = TRAILERS;
    this.lineBudget = HEAD_MAX_BYTES;
    this.fieldCount = 0;
  }

  private takeBody(bytes: Buffer, from: number, length: number): number {
    if (this.stage === BODY_UNTIL_CLOSE) {
      if (this.bodyLength + length - from > SUBGRAPH_ANSWER_MAX_BYTES) throw tooLarge();
      this.append(bytes, from, length);
      return length;
    }
    const next = Math.min(length, from + this.remaining);
    this.remaining -= next - from;
    if (this.stage === COUNTED_BODY && this.remaining === 0 && this.bodyLength === 0) {
      this.text = bytes.toString('utf8', from, next);
      this.stage = WHOLE;
      return next;
    }
    this.append(bytes, from, next);
    if (this.remaining > 0) return next;
    if (this.stage === COUNTED_BODY) {
      this.finish();
    } else {
      this.stage = CHUNK_END;
      this.lineBudget = CRLF_BYTES;
    }
    return next;
  }

  private append(bytes: Buffer, from: number, to: number): void {
    const needed = this.bodyLength + to - from;
    if (this.body === undefined || this.body.length < needed) this.grow(needed);
    bytes.copy(this.body as Buffer, this.bodyLength, from, to);
    this.bodyLength = needed;
  }

  /** To what is needed and, for what is to come, at most as much again: a server that only announces a body costs nothing. */
  private grow(needed: number): void {
    const known = this.stage === COUNTED_BODY ? needed + this.remaining : Number.POSITIVE_INFINITY;
    const size = known <= ALLOCATED_AT_ONCE_MAX_BYTES ? known : Math.min(known, SUBGRAPH_ANSWER_MAX_BYTES, Math.max(needed * 2, FIRST_BODY_BYTES));
    const larger = Buffer.allocUnsafeSlow(size);
    this.body?.copy(larger, 0, 0, this.bodyLength);
    this.body = larger;
  }

  private finish(): void {
    this.text = this.body === undefined ? '' : this.body.toString('utf8', 0, this.bodyLength);
    this.body = undefined;
    this.stage = WHOLE;
  }
}

function tooLarge(): ResponseProblem {
  return new ResponseProblem(`the answer is larger than ${SUBGRAPH_ANSWER_MAX_BYTES} bytes`);
}
