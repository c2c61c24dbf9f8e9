import { describe, expect, test } from '@jest/globals';
import { answerText } from './answer-text.ts';

describe('The text of an answer', () => {
  test('is its JSON, the same again for the same object', () => {
    const answer = { data: { a: [1, null, 'two'] } };
    expect(answerText(answer)).toBe('{"data":{"a":[1,null,"two"]}}');
    expect(answerText(answer)).toBe('{"data":{"a":[1,null,"two"]}}');
    expect(answerText({ data: null })).toBe('{"data":null}');
  });

  test('that can be read but is nested too deeply to be written is an error, and no exception', () => {
    const deep = JSON.parse(`${'['.repeat(60_000)}${']'.repeat(60_000)}`) as unknown;
    expect(JSON.parse(answerText({ data: { odd: deep } }))).toMatchObject({ data: null, errors: [{ extensions: { code: 'INTERNAL' } }] });
  });
});
