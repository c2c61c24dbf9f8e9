import { describe, expect, test } from '@jest/globals';
import { buildSchema, parse, specifiedRules, validate } from 'graphql';
import { validationRulesFor } from './validation-rules.ts';

const schema = buildSchema('type Query { a: Int } type Mutation { open: Int reopen: Int other: Int } type Subscription { events: Int }');
const problemsOf = (query: string, singleRootFields: string[] = ['open', 'reopen']): string[] =>
  validate(schema, parse(query), [...specifiedRules, ...validationRulesFor({ singleRootFields })]).map(({ message }) => message);

describe('Single root fields', () => {
  test.each([
    ['under aliases', 'mutation { a: open b: open }'],
    ['two of them', 'mutation { open reopen }'],
    ['in fragments', 'mutation { ...A ... { open } } fragment A on Mutation { b: reopen }'],
    ['in a fragment that is spread twice', 'mutation { ...A ...B } fragment A on Mutation { ...B } fragment B on Mutation { open }'],
  ])('stand in an operation once: %s they are refused', (_name, query) => {
    expect(problemsOf(query)).toEqual(['An operation may hold one of open, reopen, once: send them one after the other']);
  });

  test('stand beside others, and in each operation of a document', () => {
    expect(problemsOf('mutation A { open other } mutation B { reopen }')).toEqual([]);
  });

  test('are none by default', () => {
    expect(problemsOf('mutation { a: open b: open reopen }', [])).toEqual([]);
  });
});

describe('The root field of a subscription', () => {
  test.each([
    ['with @skip', 'subscription ($if: Boolean!) { events @skip(if: $if) }'],
    ['with @include in fragments', 'subscription ($if: Boolean!) { ...A } fragment A on Subscription { ... @include(if: $if) { events } }'],
  ])('is refused %s', (_name, query) => {
    expect(() => problemsOf(query)).toThrow(/cannot have @skip or @include/);
  });
});
