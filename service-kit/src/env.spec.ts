import { describe, expect, test } from '@jest/globals';
import { ConfigurationError, namedValues, num, readEnv, secret, str, timeZone } from './env.ts';

const SPECS = { NAME: str(), SECRET: secret(), ZONE: timeZone({ default: 'UTC' }), URLS: namedValues({ default: new Map() }), SIZE: num({ default: 5 }) };

describe('the configuration', () => {
  test('is typed, with its defaults', () => {
    expect(readEnv(SPECS, { NAME: 'tasks', SECRET: 'x'.repeat(16), URLS: 'a=1, b=2' })).toMatchObject({ NAME: 'tasks', ZONE: 'UTC', SIZE: 5, URLS: new Map([['a', '1'], ['b', '2']]) });
  });

  test('complains about all problems in one message', () => {
    const read = () => readEnv(SPECS, { SECRET: 'short', ZONE: 'Mars/Base', URLS: 'nonsense', SIZE: 'many' });
    expect(read).toThrow(ConfigurationError);
    for (const problem of [/5 problem/, /NAME: is missing, set it/, /SECRET: .*16 characters/, /ZONE: "Mars\/Base" is no IANA time zone/, /URLS: "nonsense" is not name=value/, /SIZE/]) {
      expect(read).toThrow(problem);
    }
  });
});
