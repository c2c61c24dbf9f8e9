import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { beakOf, beakPicture, draw, photoOf } from './beak-pictures.ts';
import { codeOf, REFRESH, SESSION, UsersFixture, type SignedUpUser } from './users-fixture.ts';

describe('signing in by beak', () => {
  let users: UsersFixture;
  let ann: SignedUpUser;
  beforeAll(async () => {
    users = await UsersFixture.open();
    ann = await users.signUp(['ADMIN']);
    await enroll(ann.token, await beakPicture(1));
  });
  afterAll(() => users?.close());

  const enroll = (token: string, photo: Buffer | string) => users.send('mutation ($photo: String!) { enrollBeak(photo: $photo) { id } }', { photo: typeof photo === 'string' ? photo : photo.toString('base64') }, { token });
  const sign = (email: string, photo: Buffer | string) =>
    users.send(`mutation ($email: String!, $photo: String!) { loginWithBeak(email: $email, photo: $photo) { ${SESSION} } }`, { email, photo: typeof photo === 'string' ? photo : photo.toString('base64') });
  const changed = async () => photoOf(await draw(beakOf(1)), { scale: 0.7, crop: [0.03, 0.02, 0.04, 0.01], brightness: 1.1, jpeg: 70 });

  test('another photo of the same beak opens a session of low assurance, which stays one when it is renewed', async () => {
    const { data } = await sign(ann.email, await changed());
    const assuranceOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).assurance;
    expect(data.loginWithBeak.user.id).toBe(ann.id);
    expect(assuranceOf(data.loginWithBeak.accessToken)).toBe('low');
    const renewed = await users.send(REFRESH, { refreshToken: data.loginWithBeak.refreshToken });
    expect(assuranceOf(renewed.data.refreshSession.accessToken)).toBe('low');
    expect(await users.lastEvent('user.authenticated')).toMatchObject({ method: 'BEAK', userId: ann.id });
  });

  test('it may not do what a role gives, nor change the password or the beak', async () => {
    const token = (await sign(ann.email, await beakPicture(1))).data.loginWithBeak.accessToken;
    for (const operation of ['{ signInAttempts { edges { cursor } } }', 'mutation { changePassword(current: "feathers", next: "new feathers") }']) {
      const answer = await users.send(operation, {}, { token });
      expect(answer.errors?.[0]?.extensions).toMatchObject({ code: 'FORBIDDEN', reason: 'LOW_ASSURANCE' });
    }
    expect(codeOf(await enroll(token, await beakPicture(2)))).toBe('FORBIDDEN');
    expect((await users.send('{ me { email } }', {}, { token })).data.me.email).toBe(ann.email);
  });

  test.each([
    ['somebody else’s beak', () => ann.email, () => beakPicture(2), 'WRONG_CREDENTIAL'],
    ['an e-mail that nobody has', () => 'nobody@ates.test', () => beakPicture(1), 'UNKNOWN_USER'],
  ])('%s is refused in the same words, and recorded', async (_what, email, photo, reason) => {
    const answer = await sign(email(), await photo());
    expect(answer.errors?.[0]?.message).toBe('Nobody with this e-mail has this beak: try a clearer photo, or sign in with the password');
    expect(codeOf(answer)).toBe('UNAUTHENTICATED');
    expect(await users.lastEvent('user.denied')).toMatchObject({ method: 'BEAK', reason });
  });

  test('who has enrolled no beak is refused', async () => {
    const bob = await users.signUp();
    expect(codeOf(await sign(bob.email, await beakPicture(1)))).toBe('UNAUTHENTICATED');
  });

  test('a beak that is enrolled anew takes the place of the one before', async () => {
    const cleo = await users.signUp();
    await enroll(cleo.token, await beakPicture(3));
    await enroll(cleo.token, await beakPicture(4));
    expect(codeOf(await sign(cleo.email, await beakPicture(3)))).toBe('UNAUTHENTICATED');
    expect(codeOf(await sign(cleo.email, await beakPicture(4)))).toBeUndefined();
  });

  test('what is no photo is BAD_USER_INPUT, and no attempt', async () => {
    const before = await users.service.sql('select from sign_in_attempts');
    for (const photo of ['', 'popug', Buffer.from('<svg/>')]) {
      expect(codeOf(await sign(ann.email, photo))).toBe('BAD_USER_INPUT');
      expect(codeOf(await enroll(ann.token, photo))).toBe('BAD_USER_INPUT');
    }
    expect(await users.service.sql('select from sign_in_attempts')).toHaveLength(before.length);
  });

  test('ten other beaks are the end of guessing, for passwords too', async () => {
    const dan = await users.signUp();
    await enroll(dan.token, await beakPicture(5));
    for (let number = 10; number < 20; number++) expect(codeOf(await sign(dan.email, await beakPicture(number)))).toBe('UNAUTHENTICATED');
    expect(codeOf(await sign(dan.email, await beakPicture(5)))).toBe('RATE_LIMITED');
    await expect(users.login(dan.input)).rejects.toThrow('RATE_LIMITED');
  });
});
