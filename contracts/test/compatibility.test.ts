import { describe, expect, test } from '@jest/globals';
import { breakingChanges, type JsonSchema } from '../compatibility.ts';
import { brokenContracts } from '../published.ts';

const PUBLISHED = {
  $id: 'urn:ates:tasks:task.fed.v1',
  title: 'task.fed.v1',
  description: 'Somebody was fed',
  type: 'object',
  required: ['version', 'title', 'meal', 'by', 'mood'],
  properties: {
    version: { type: 'integer', minimum: 1 },
    title: { type: 'string' },
    note: { type: 'string' },
    meal: { type: 'object', required: ['grams'], properties: { grams: { type: 'integer' } } },
    by: { type: 'array', minItems: 1, items: { anyOf: [{ const: 'ANN' }, { const: 'BOB' }] } },
    mood: { anyOf: [{ type: 'string' }, { type: 'null' }] },
  },
};
const { properties } = PUBLISHED;
const withFields = (fields: Record<string, JsonSchema>, required = PUBLISHED.required): JsonSchema => ({ ...PUBLISHED, required, properties: { ...properties, ...fields } });
const without = (field: string): JsonSchema => ({ ...withFields(Object.fromEntries(Object.entries(properties).filter(([name]) => name !== field))), properties: Object.fromEntries(Object.entries(properties).filter(([name]) => name !== field)) });

describe('A published version', () => {
  test.each<[string, JsonSchema]>([
    ['nothing at all', PUBLISHED],
    ['an optional field', withFields({ spoon: { type: 'string' } })],
    ['an optional field in an object', withFields({ meal: { ...properties.meal, properties: { grams: { type: 'integer' }, taste: { type: 'string' } } } })],
    ['a field that is itself called title or required', withFields({ required: { type: 'boolean' } })],
    ['its description', { ...PUBLISHED, description: 'Somebody was given food' }],
    ["a field's description", withFields({ title: { type: 'string', description: 'In any language.' } })],
    ['that it is deprecated', { ...PUBLISHED, deprecated: true }],
    ['the order in which required fields are named', { ...PUBLISHED, required: [...PUBLISHED.required].reverse() }],
  ])('may get %s', (_change, current) => {
    expect(breakingChanges(PUBLISHED, current)).toEqual([]);
  });

  test.each<[string, JsonSchema, string[]]>([
    ['a required field less', { ...without('title'), required: ['version', 'meal', 'by', 'mood'] }, ['data.title was removed']],
    ['an optional field less', without('note'), ['data.note was removed']],
    ['a required field more', withFields({ spoon: { type: 'string' } }, [...PUBLISHED.required, 'spoon']), ['data.spoon was added and is required']],
    ['an optional field made required', { ...PUBLISHED, required: [...PUBLISHED.required, 'note'] }, ['data.note was optional, is required']],
    ['a required field made optional', { ...PUBLISHED, required: ['version', 'meal', 'by', 'mood'] }, ['data.title was required, is optional']],
    ['another type', withFields({ title: { type: 'integer' } }), ['data.title: type was "string", is "integer"']],
    ['a new constraint', withFields({ title: { type: 'string', pattern: '^x' } }), ['data.title: pattern was nothing, is "^x"']],
    ['a constraint less', withFields({ version: { type: 'integer' } }), ['data.version: minimum was 1, is nothing']],
    ['no room for unknown fields', { ...PUBLISHED, additionalProperties: false }, ['data: additionalProperties was nothing, is false']],
    ['a required field more in an object', withFields({ meal: { type: 'object', required: ['grams', 'taste'], properties: { grams: { type: 'integer' }, taste: { type: 'string' } } } }), ['data.meal.taste was added and is required']],
    ['another type in an object', withFields({ meal: { ...properties.meal, properties: { grams: { type: 'number' } } } }), ['data.meal.grams: type was "integer", is "number"']],
    ['one more value to choose from', withFields({ by: { ...properties.by, items: { anyOf: [{ const: 'ANN' }, { const: 'BOB' }, { const: 'CLEO' }] } } }), ['data.by[]: what it may be was [{"const":"ANN"},{"const":"BOB"}], is [{"const":"ANN"},{"const":"BOB"},{"const":"CLEO"}]']],
    ['another value to choose from', withFields({ by: { ...properties.by, items: { anyOf: [{ const: 'ANN' }, { const: 'CLEO' }] } } }), ['data.by[]: const was "BOB", is "CLEO"']],
    ['no null where there was one', withFields({ mood: { type: 'string' } }), ['data.mood: type was nothing, is "string"', 'data.mood: what it may be was [{"type":"string"},{"type":"null"}], is []']],
    ['no choice of elements', withFields({ by: { type: 'array', minItems: 1 } }), ['data.by[]: what it may be was [{"const":"ANN"},{"const":"BOB"}], is []']],
    ['another producer', { ...PUBLISHED, $id: 'urn:ates:users:task.fed.v1' }, ['data: $id was "urn:ates:tasks:task.fed.v1", is "urn:ates:users:task.fed.v1"']],
  ])('must not get %s', (_change, current, told) => {
    expect(breakingChanges(PUBLISHED, current)).toEqual(told);
  });

  const published = new Map<string, JsonSchema>([['task.fed.v1', PUBLISHED]]);

  test('must not leave the catalogue', () => {
    expect(brokenContracts(published, new Map())).toEqual([expect.stringMatching(/^task\.fed\.v1 .*put it back$/)]);
  });

  test('that changed is told with what to do instead', () => {
    expect(brokenContracts(published, new Map([['task.fed.v1', withFields({ title: { type: 'null' } })]]))).toEqual([
      expect.stringMatching(/^task\.fed\.v1: data\.title: type was "string", is "null"\. .*make task\.fed\.v2/),
    ]);
  });

  test('may have a new one beside it', () => {
    expect(brokenContracts(published, new Map([...published, ['task.fed.v2', without('title')]]))).toEqual([]);
  });
});
