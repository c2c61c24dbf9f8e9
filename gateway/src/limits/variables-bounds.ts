import type { GraphQLError } from 'graphql';
import { limitError } from './limit-error.ts';

/** Values in the variables of a request: each member and each item, at any depth. */
export const VARIABLE_VALUES_MAX = 10_000;
/** Lists and objects within one another. */
export const VARIABLES_NESTING_MAX = 50;

/**
 * What a request's variables have too much of: values or nesting. It looks at 10,000 values at most, and at none twice.
 * @returns the violation, BAD_USER_INPUT with the reason VARIABLES_TOO_LARGE, its `limit` and `max`; null without.
 */
export function variablesViolation(variables: Readonly<Record<string, unknown>>): GraphQLError | null {
  const waiting: object[] = [variables];
  const depths: number[] = [1];
  let values = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const depth = depths.pop() as number;
    if (depth > VARIABLES_NESTING_MAX) return refusal(`are nested deeper than ${VARIABLES_NESTING_MAX} levels`, 'variablesNesting', VARIABLES_NESTING_MAX);
    const members: readonly unknown[] = Array.isArray(next) ? next : Object.values(next);
    values += members.length;
    if (values > VARIABLE_VALUES_MAX) return refusal(`hold more than ${VARIABLE_VALUES_MAX} values`, 'variableValues', VARIABLE_VALUES_MAX);
    for (const value of members) {
      if (typeof value !== 'object' || value === null) continue;
      waiting.push(value);
      depths.push(depth + 1);
    }
  }
  return null;
}

function refusal(problem: string, limit: string, max: number): GraphQLError {
  return limitError(`The variables ${problem}: send them in several requests`, { reason: 'VARIABLES_TOO_LARGE', limit, max });
}
