import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestService, type TestService } from '../../../scripts/test-service.ts';

const ADMIN = { email: 'admin@ates.test', password: 'popug' };
const LOGIN = `mutation ($email: String!, $password: String!) { login(email: $email, password: $password) { accessToken expiresAt refreshToken user { id email roles } } }`;

describe('signing in', () => {
  let users: TestService;
  beforeAll(async () => {
    users = await startTestService('users', { ADMIN_EMAIL: ADMIN.email, ADMIN_PASSWORD: ADMIN.password, PASSWORD_MIN_LENGTH: '5' });
  });
  afterAll(() => users?.stop());

  test('the first admin of an installation can sign in and sees their own e-mail', async () => {
    const { data, errors } = await users.gql(LOGIN, ADMIN);
    expect(errors).toBeUndefined();
    expect(data['login'].user).toMatchObject({ email: ADMIN.email, roles: ['ADMIN'] });
    expect(data['login'].accessToken.split('.')).toHaveLength(3);
  });
});
