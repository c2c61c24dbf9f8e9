import { describe, expect, test } from '@jest/globals';
import { SUBGRAPH_ANSWER_MAX_BYTES } from '../http-post.ts';
import { ResponseProblem } from './field-syntax.ts';
import { ResponseReader } from './response-reader.ts';

type Reading = { status: number; text: string; isReusable: boolean; hasSurplus: boolean } | 'incomplete' | { problem: string };

/** What is read when the bytes come in pieces of that size, and then the end. */
function readInPieces(bytes: Buffer, pieceBytes: number, reader = new ResponseReader()): Reading {
  reader.begin();
  try {
    let isWhole = false;
    for (let at = 0; at < bytes.length && !isWhole; at += pieceBytes) {
      const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
      isWhole = reader.take(piece, piece.length);
      // The connection reads the next bytes into the same memory.
      piece.fill('?');
      if (isWhole && at + pieceBytes < bytes.length) reader.hasSurplus = true;
    }
    if (!isWhole && !reader.endByClose()) return 'incomplete';
  } catch (error) {
    if (error instanceof ResponseProblem) return { problem: error.message };
    throw error;
  }
  const { status, text, isReusable, hasSurplus } = reader;
  return { status, text, isReusable, hasSurplus };
}

/** The same however the bytes are split. */
function read(response: string): Reading {
  const bytes = Buffer.from(response, 'latin1');
  const whole = readInPieces(bytes, bytes.length);
  for (const pieceBytes of [1, 2, 3, 7, 16]) expect(readInPieces(bytes, pieceBytes)).toEqual(whole);
  return whole;
}

const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK';
const CHUNKED = head(OK, 'transfer-encoding: chunked');
const answer = (text: string, isReusable = true, status = 200): Reading => ({ status, text, isReusable, hasSurplus: false });
const problem = (text: string): Reading => ({ problem: expect.stringContaining(text) as unknown as string });

describe('A response', () => {
  test('ends after the bytes that its content-length tells', () => expect(read(`${head(OK, 'content-length: 4')}true`)).toEqual(answer('true')));
  test('may be of any final status', () => expect(read(`${head('HTTP/1.1 503 ', 'content-length: 4')}true`)).toEqual(answer('true', true, 503)));
  test('may have no content', () => expect(read(head(OK, 'content-length: 0'))).toEqual(answer('')));
  test('is decoded as UTF-8, wherever it is split', () => expect(read(`${head(OK, 'content-length: 10')}${Buffer.from('é€😀!').toString('latin1')}`)).toEqual(answer('é€😀!')));
  test('has headers of any case, with white space around values', () => expect(read(`${head(OK, 'CONTENT-LENGTH:   4', 'Connection:\tkeep-alive\t ', 'X:')}true`)).toEqual(answer('true')));
  test('may hold text beyond ASCII in its reason and headers', () => expect(read(`${head('HTTP/1.1 200 sch\xf6n', 'x: \xff\t\x80', 'content-length: 4')}true`)).toEqual(answer('true')));
  test('is read one after the other by the same reader', () => {
    const reader = new ResponseReader();
    const chunked = Buffer.from(`${CHUNKED}4\r\nnull\r\n0\r\n\r\n`);
    const counted = Buffer.from(`${head(OK, 'content-length: 4')}true`);
    for (const pieceBytes of [1, 1000]) {
      expect(readInPieces(chunked, pieceBytes, reader)).toEqual(answer('null'));
      expect(readInPieces(counted, pieceBytes, reader)).toEqual(answer('true'));
      expect(readInPieces(Buffer.from(head('HTTP/1.1 204 ')), pieceBytes, reader)).toEqual(answer('', true, 204));
    }
  });
  test.each([CHUNKED.slice(0, -3), `${CHUNKED}4\r\nnul`, `${CHUNKED}4\r\nnull\r\n0\r\n`, `${head(OK, 'content-length: 4')}tru`, 'HTTP/1.1 2'])('is not taken for whole when the connection ends in it: %j', (cut) => expect(read(cut)).toBe('incomplete'));
});

describe('A status line', () => {
  test.each(['HTTP/2.0 200 OK', 'HTTP/1.2 200 OK', 'HTTP/0.9 200 OK', 'HTTP/1.10 200 OK', 'HTTP/1. 200 OK', 'HTTP/1.x 200 OK', 'http/1.1 200 OK', 'ICY 200 OK', ' HTTP/1.1 200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1 200', 'HTTP/1.1 2000 OK', 'HTTP/1.1 20 OK', 'HTTP/1.1 099 OK', 'HTTP/1.1 600 OK', 'HTTP/1.1 +20 OK', 'HTTP/1.1\t200 OK', 'HTTP/1.1 200 O\0K', 'HTTP/1.1 200 O\rK', ''])(
    'is refused when it is %j (RFC 9112 §4)',
    (line) => expect(read(head(line, 'content-length: 0'))).toEqual(problem('answer')),
  );
});

describe('A header', () => {
  test.each([' x: 1', '\tx: 1', 'x : 1', ': 1', 'x', 'x y: 1', 'x\0: 1', 'x(: 1', '\xe4: 1'])('is refused when its name is no token before a colon: %j', (line) => expect(read(head(OK, line, 'content-length: 0'))).toEqual(problem('no valid name')));
  test('is refused when it goes on in the next line (RFC 9112 §5.2)', () => expect(read(head(OK, 'x: 1', ' 2', 'content-length: 0'))).toEqual(problem('no valid name')));
  test.each(['x: \0', 'x: a\rb', 'x: \x7f', 'x: \x0b', '\rx: 1'])('is refused with control characters: %j', (line) => expect(read(head(OK, line, 'content-length: 0'))).toHaveProperty('problem'));
  test.each([`${OK}\ncontent-length: 0\r\n\r\n`, `${OK}\r\ncontent-length: 0\n\r\n`, `${OK}\r\ncontent-length: 0\r\n\n`, `${OK}\n\n`, '\n'])('line ends with CR and LF, never with LF alone: %j', (bytes) => expect(read(bytes)).toEqual(problem('ends without CR')));
  test('block is at most 16 KiB, whether it has lines or not', () => {
    expect(read(head(OK, `x: ${'y'.repeat(16_000)}`, 'content-length: 0'))).toEqual(answer(''));
    expect(read(head(OK, `x: ${'y'.repeat(17_000)}`, 'content-length: 0'))).toEqual(problem('larger than 16384 bytes'));
    expect(read('H'.repeat(17_000))).toEqual(problem('larger than 16384 bytes'));
  });
  test('comes with at most 127 others', () => {
    expect(read(head(OK, ...Array.from({ length: 127 }, () => 'x: y'), 'content-length: 0'))).toEqual(answer(''));
    expect(read(head(OK, ...Array.from({ length: 128 }, () => 'x: y'), 'content-length: 0'))).toEqual(problem('more than 128 headers'));
  });
  test.each(['gzip', 'br', 'identity, gzip'])('that says the content is encoded is refused: nobody asked for %s', (coding) => expect(read(head(OK, `content-encoding: ${coding}`, 'content-length: 0'))).toEqual(problem('is encoded')));
  test('that says it is not encoded is none', () => expect(read(head(OK, 'content-encoding: Identity', 'content-length: 0'))).toEqual(answer('')));
});

describe('The end of a response (RFC 9112 §6.3)', () => {
  test.each([204, 304])('of status %i is the end of its headers', (status) => {
    expect(read(head(`HTTP/1.1 ${status} `))).toEqual(answer('', true, status));
    expect(read(head(`HTTP/1.1 ${status} `, 'content-length: 3'))).toEqual(answer('', false, status));
    expect(read(head(`HTTP/1.1 ${status} `, 'transfer-encoding: chunked'))).toEqual(answer('', false, status));
  });
  test.each(['gzip', 'gzip, chunked', 'chunked, chunked', 'identity', 'chunked;x', 'xchunked', 'chunked\t', 'chunked ', '\tchunked', ''])('cannot be known with the transfer coding %j', (coding) => expect(read(head(OK, `transfer-encoding: ${coding}`))).toEqual(problem('transfer coding')));
  test('cannot be known with two transfer codings', () => expect(read(head(OK, 'transfer-encoding: chunked', 'transfer-encoding: chunked'))).toEqual(problem('transfer coding')));
  test('cannot be known with chunks and a length, in either order', () => {
    expect(read(head(OK, 'transfer-encoding: chunked', 'content-length: 4'))).toEqual(problem('both'));
    expect(read(head(OK, 'content-length: 4', 'transfer-encoding: chunked'))).toEqual(problem('both'));
  });
  test('cannot be known with chunks in HTTP/1.0 (§6.1)', () => expect(read(head('HTTP/1.0 200 OK', 'transfer-encoding: chunked'))).toEqual(problem('HTTP/1.0')));
  test('cannot be known with two lengths, even alike', () => {
    expect(read(head(OK, 'content-length: 4', 'content-length: 5'))).toEqual(problem('twice'));
    expect(read(head(OK, 'content-length: 4', 'content-length: 4'))).toEqual(problem('twice'));
    expect(read(head(OK, 'content-length: 4, 4'))).toEqual(problem('no valid length'));
  });
  test.each(['', '-1', '+4', '0x4', '4.0', '4 4', '4;', 'a', '1e1', '4\t', '4 ', '\t4', '9'.repeat(16)])('cannot be known with the length %j', (length) => expect(read(head(OK, `content-length: ${length}`))).toEqual(problem('no valid length')));
  test('is the end of the connection when nothing else is told; then that is not used again', () => {
    expect(read(`${head('HTTP/1.0 200 OK')}true`)).toEqual(answer('true', false));
    expect(read(`${head(OK, 'connection: close')}true`)).toEqual(answer('true', false));
    expect(read(`${head(OK)}true`)).toEqual(answer('true', false));
    expect(read(head(OK))).toEqual(answer('', false));
  });
  test('is noticed, and what comes after it', () => {
    expect(read(`${head(OK, 'content-length: 4')}true!`)).toEqual({ ...(answer('true') as object), hasSurplus: true });
    expect(read(`${CHUNKED}0\r\n\r\nH`)).toEqual({ ...(answer('') as object), hasSurplus: true });
    expect(read(`${head('HTTP/1.1 204 ')}H`)).toEqual({ ...(answer('', true, 204) as object), hasSurplus: true });
  });
  test('comes before 16 MiB of content', () => {
    expect(read(head(OK, `content-length: ${SUBGRAPH_ANSWER_MAX_BYTES + 1}`))).toEqual(problem('is larger'));
    expect(read(`${CHUNKED}${(SUBGRAPH_ANSWER_MAX_BYTES + 1).toString(16)}\r\n`)).toEqual(problem('is larger'));
    expect(read(`${CHUNKED}1\r\na\r\n${SUBGRAPH_ANSWER_MAX_BYTES.toString(16)}\r\n`)).toEqual(problem('is larger'));
    const most = 'x'.repeat(SUBGRAPH_ANSWER_MAX_BYTES);
    const inPieces = (begin: string) => readInPieces(Buffer.from(begin + most), 65_536);
    expect(inPieces(head('HTTP/1.0 200 OK')) as object).toHaveProperty('isReusable', false);
    expect(inPieces(`${head('HTTP/1.0 200 OK')}x`)).toEqual(problem('is larger'));
    const whole = inPieces(head(OK, `content-length: ${most.length}`)) as { text: string };
    // Not compared by the matcher, which would want to show the difference.
    expect(whole.text === most).toBe(true);
  });
});

describe('A connection may be used again', () => {
  test.each([
    [OK, 'connection: keep-alive', true],
    [OK, 'connection: Close', false],
    [OK, 'connection: keep-alive, close', false],
    [OK, 'connection: x,close ,y', false],
    [OK, 'connection: closed', true],
    ['HTTP/1.0 200 OK', 'connection: keep-alive', false],
  ])('after %s with %s: %s', (line, field, isReusable) => expect(read(`${head(line, field, 'content-length: 4')}true`)).toEqual(answer('true', isReusable)));

  test.each([
    ['timeout=5', 5],
    ['max=100, Timeout=7', 7],
    ['timeout=x', -1],
    ['notimeout=5', -1],
  ])('as long as the server keeps it: %s', (value, seconds) => {
    const reader = new ResponseReader();
    readInPieces(Buffer.from(head(OK, `keep-alive: ${value}`, 'content-length: 0')), 1_000, reader);
    expect(reader.keepAliveSeconds).toBe(seconds);
  });
});

describe('A chunked body (RFC 9112 §7.1)', () => {
  test('is joined, with sizes in hexadecimal digits', () => expect(read(`${CHUNKED}1\r\na\r\n0B\r\nbcdefghijkl\r\n0000000000000002\r\nmn\r\n0\r\n\r\n`)).toEqual(answer('abcdefghijklmn')));
  test('may have extensions, which mean nothing', () => expect(read(`${CHUNKED}1;x\r\na\r\n1;y=z;q="a;\\""\r\nb\r\n0;last\r\n\r\n`)).toEqual(answer('ab')));
  test('may have trailers, which are dropped', () => expect(read(`${CHUNKED}1\r\na\r\n0\r\nx: y\r\nexpires: never\r\n\r\n`)).toEqual(answer('a')));
  test.each(['', 'g', ' 1', '1 ', '1\t', '-1', '+1', '0x1', '1;', '1 ;x', '1;x y', '1;x="', '1;x=\0', '1,1', '00000000000000001', '1;x\ry'])('has no size %j', (size) => expect(read(`${CHUNKED}${size}\r\na\r\n0\r\n\r\n`)).toHaveProperty('problem'));
  test.each(['1\r\nab\r\n0\r\n\r\n', '1\r\na\n0\r\n\r\n', '1\r\na0\r\n\r\n', '1\na\r\n0\r\n\r\n', '1\r\na\r\n\r\n0\r\n\r\n', '1\r\na\r\n0\r\n\n', '1\r\na\r\n0\n\r\n'])('is refused when a chunk is framed as %j', (chunks) => expect(read(CHUNKED + chunks)).toHaveProperty('problem'));
  test.each(['content-length: 1', 'transfer-encoding: chunked', ' x: y', 'x', 'x: \0'])('is refused with the trailer %j', (trailer) => expect(read(`${CHUNKED}1\r\na\r\n0\r\n${trailer}\r\n\r\n`)).toHaveProperty('problem'));
  test('has bounded extensions and trailers', () => {
    expect(read(`${CHUNKED}1;${'x'.repeat(1_100)}\r\na\r\n0\r\n\r\n`)).toEqual(problem('chunks'));
    expect(read(`${CHUNKED}${`1;${'x'.repeat(1_000)}\r\na\r\n`.repeat(17)}0\r\n\r\n`)).toEqual(problem('too many extensions'));
    expect(read(`${CHUNKED}0\r\n${'x: y\r\n'.repeat(129)}\r\n`)).toEqual(problem('more than 128 headers'));
    expect(read(`${CHUNKED}0\r\nx: ${'y'.repeat(17_000)}\r\n\r\n`)).toEqual(problem('chunks'));
  });
});

describe('Interim responses (RFC 9110 §15.2)', () => {
  const final = `${head(OK, 'content-length: 4')}true`;
  test('are skipped', () => expect(read(head('HTTP/1.1 100 Continue') + head('HTTP/1.1 103 Early Hints', 'link: x') + final)).toEqual(answer('true')));
  test('are at most ten', () => {
    expect(read(head('HTTP/1.1 102 ').repeat(10) + final)).toEqual(answer('true'));
    expect(read(head('HTTP/1.1 102 ').repeat(11) + final)).toEqual(problem('not asked for'));
  });
  test('never change the protocol', () => expect(read(head('HTTP/1.1 101 Switching Protocols', 'connection: upgrade', 'upgrade: websocket') + final)).toEqual(problem('not asked for')));
  test('are none in HTTP/1.0', () => expect(read(head('HTTP/1.0 100 ') + final)).toEqual(problem('not asked for')));
  test.each(['content-length: 0', 'transfer-encoding: chunked', 'connection: close'])('have no content, and a response after them: %s', (field) => expect(read(head('HTTP/1.1 100 ', field) + final)).toEqual(problem('not asked for')));
});
