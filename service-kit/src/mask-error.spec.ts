import { describe, expect, test } from '@jest/globals';
import { GraphQLError } from 'graphql';
import { DomainError } from './domain-error.ts';
import { createLogger } from './logger.ts';
import { maskError } from './mask-error.ts';

const LOGGER = createLogger('test', 'silent');
const AT = { message: 'as thrown', path: ['completeTask'] };
const masked = (thrown: Error) => maskError(AT, new GraphQLError(thrown.message, { path: ['completeTask'], originalError: thrown }), LOGGER);
const sqlError = (code: string): Error => Object.assign(new Error('canceling statement on hidden_table'), { code });

describe('what a caller is told of an error', () => {
  test('that is a refusal: its words, its code and its details', () => {
    expect(masked(new DomainError('CONFLICT', 'Reload it', { version: 2 }))).toEqual({ message: 'Reload it', path: ['completeTask'], extensions: { code: 'CONFLICT', version: 2 } });
  });

  test.each(['57014', '40P01', '40001', '55P03', '57P01', '08006', '53300', 'ECONNREFUSED'])('that passes by itself (%s): to try again, and nothing of what it says', (code) => {
    const { message, extensions } = masked(sqlError(code));
    expect(extensions?.['code']).toBe('SERVICE_UNAVAILABLE');
    expect(message).toMatch(/try again.*idempotencyKey/);
    expect(message).not.toMatch(/hidden_table/);
  });

  test.each(['42P01', '23505', '22003', 'ERR_INVALID_ARG_TYPE'])('that does not (%s): only that there was one', (code) => {
    const { message, extensions } = masked(sqlError(code));
    expect(extensions?.['code']).toBe('INTERNAL');
    expect(message).not.toMatch(/hidden_table/);
  });
});
