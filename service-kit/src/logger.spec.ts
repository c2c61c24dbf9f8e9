import { describe, expect, test } from '@jest/globals';
import { createLogger } from './logger.ts';

const logged = (write: (logger: ReturnType<typeof createLogger>) => void): Record<string, any> => {
  const lines: string[] = [];
  write(createLogger('test', 'info', { write: (line) => void lines.push(line) }));
  return JSON.parse(lines.join('')) as Record<string, any>;
};

describe('a log line', () => {
  test('has its service, its level in words and an ISO time', () => {
    expect(logged((logger) => logger.info('hello'))).toMatchObject({ service: 'test', level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), msg: 'hello' });
  });

  test('never has the contents of a row that the database refused', () => {
    const error = Object.assign(new Error('null value in column "version"\n - detail: Failing row contains (1, ann@ates.test, $argon2id$hash).'), {
      detail: 'Failing row contains (1, ann@ates.test, $argon2id$hash).',
      table: 'users',
    });
    const line = logged((logger) => logger.error({ err: error }, 'it failed'));
    expect(line).toMatchObject({ err: { message: 'null value in column "version"', table: 'users' } });
    expect(JSON.stringify(line)).not.toMatch(/ann@ates|argon2/);
  });

  test('never has a password or a token', () => {
    expect(JSON.stringify(logged((logger) => logger.info({ password: 'popug', refreshToken: 'abc', body: { password: 'popug' } }, 'x')))).not.toMatch(/popug|abc/);
  });
});
