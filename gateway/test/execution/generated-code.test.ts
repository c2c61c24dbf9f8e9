import { describe, expect, test } from '@jest/globals';
import { literalKey, quotedName, readMember } from '../../src/execution/generated-code.ts';

describe('a name that is no GraphQL name', () => {
  test.each(['', '0', 'a b', 'a"', 'a;b', 'a.b', 'a\n', '$', 'ä', '${a}', '"+process.exit()+"'])('never becomes code: %j', (name) => {
    for (const write of [() => readMember('o', name), () => literalKey(name), () => quotedName(name)]) expect(write).toThrow('may not become code');
  });
});

describe('a GraphQL name', () => {
  test('that every object has reads own members alone, and is set as one', () => {
    expect([readMember('o', 'name'), readMember('o', 'constructor'), literalKey('__proto__'), quotedName('_0')]).toEqual(['o.name', 'ownMember(o, "constructor")', '["__proto__"]', '"_0"']);
  });
});
