import { describe, expect, test } from '@jest/globals';
import { createHeadStart, joinHeaders, joinRequest } from './request-head.ts';

describe('The head of a request', () => {
  test('names path, query and host, without user and password', () =>
    expect(createHeadStart(new URL('http://ada:secret@books.example:4001/graph ql?x=ü#y'), ['accept', 'application/json'])).toBe(
      'POST /graph%20ql?x=%C3%BC HTTP/1.1\r\nhost: books.example:4001\r\nconnection: keep-alive\r\naccept: application/json\r\n',
    ));
  test('leaves the usual port out', () => expect(createHeadStart(new URL('https://[2001:db8::1]:443/'), [])).toContain('host: [2001:db8::1]\r\n'));
  test.each(['a\r\nb', 'a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'a\u{100}b', '\u{10d}\u{10a}', '😀'])('takes no value %j', (value) => {
    expect(() => joinHeaders(['x', value])).toThrow(TypeError);
    expect(() => joinHeaders(['x', value])).not.toThrow(value);
  });
  test('takes any latin1 text and tabs', () => expect(joinHeaders(['x', 'ä\t\xff'])).toBe('x: ä\t\xff\r\n'));
  test.each(['', 'a b', 'a:', 'a\r\nb', 'ä', 'a\0'])('takes no name %j', (name) => expect(() => joinHeaders([name, 'x'])).toThrow(TypeError));
  test.each(['Host', 'content-length', 'Transfer-Encoding', 'connection', 'expect', 'upgrade', 'accept-encoding'])('is not told %s by others', (name) => expect(() => joinHeaders([name, 'x'])).toThrow('may not be set'));
});

describe('A whole request', () => {
  test('is text when its body is ASCII', () => expect(joinRequest('H: ä\r\n', '{"a":1}')).toBe('H: ä\r\ncontent-length: 7\r\n\r\n{"a":1}'));
  test('counts the body in bytes', () => expect(joinRequest('H: ä\r\n', '€😀')).toEqual(Buffer.concat([Buffer.from('H: ä\r\ncontent-length: 7\r\n\r\n', 'latin1'), Buffer.from('€😀')])));
  test('counts what stands for half a character', () => expect(joinRequest('', 'é\ud800')).toEqual(Buffer.from('content-length: 5\r\n\r\né\ufffd')));
  test('has a length without a body too', () => expect(joinRequest('', '')).toBe('content-length: 0\r\n\r\n'));
});
