import { describe, expect, test } from '@jest/globals';
import { readSubgraphMessage } from './upstream-messages.ts';

describe('What a subgraph sends over its socket', () => {
  const next = (payload: unknown) => readSubgraphMessage(JSON.stringify({ id: '1', type: 'next', payload }));

  test('is an answer with data, with errors, or with both', () => {
    expect(next({ data: { a: 1 } })).toEqual({ type: 'next', id: 1, answer: { data: { a: 1 } } });
    expect(next({ errors: [{ message: 'no' }] })).toEqual({ type: 'next', id: 1, answer: { errors: [{ message: 'no' }] } });
  });

  test.each([[null], ['boom'], [[null]], [{ length: 2 }], [[{}]]])('is no message when its errors are %j', (errors) => {
    expect(next({ errors })).toBeNull();
    expect(next({ data: { a: 1 }, errors })).toBeNull();
  });

  test.each([['no JSON'], ['[]'], ['{"type":"next","id":"1"}'], ['{"type":"error","id":"1","payload":[]}'], ['{"type":"hello"}']])('is no message when it is %s', (text) => {
    expect(readSubgraphMessage(text)).toBeNull();
  });
});
