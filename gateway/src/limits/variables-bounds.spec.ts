import { describe, expect, test } from '@jest/globals';
import { VARIABLE_VALUES_MAX, VARIABLES_NESTING_MAX, variablesViolation } from './variables-bounds.ts';

const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);

describe('The variables of a request', () => {
  test('may hold 10,000 values, 50 levels deep', () => {
    expect(variablesViolation({})).toBeNull();
    expect(variablesViolation({ ids: Array.from({ length: VARIABLE_VALUES_MAX - 2 }, String), nothing: null })).toBeNull();
    expect(variablesViolation({ deep: nested(VARIABLES_NESTING_MAX - 1) })).toBeNull();
  });

  test.each([
    ['10,001 values', { ids: Array(VARIABLE_VALUES_MAX).fill(1) }, 'variableValues'],
    ['10,001 values in objects', { rows: Array.from({ length: VARIABLE_VALUES_MAX / 2 }, (_, id) => ({ id })) }, 'variableValues'],
    ['51 levels', { deep: nested(VARIABLES_NESTING_MAX) }, 'variablesNesting'],
  ])('are refused with %s', (_name, variables, limit) => {
    expect(variablesViolation(variables)?.extensions).toEqual({ code: 'BAD_USER_INPUT', reason: 'VARIABLES_TOO_LARGE', limit, max: expect.any(Number) });
  });

  test('are refused quickly however large they are', () => {
    const variables = JSON.parse(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)},"b":[${'1,'.repeat(100_000)}1]}`) as Record<string, unknown>;
    const startedAt = performance.now();
    expect(variablesViolation(variables)).not.toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(200);
  });
});
