import { ConfigurationError, namedValues, readEnv, str, url, wholeNumber } from '@ates/service-kit/env';
import { producerEnv, subgraphEnv } from '@ates/service-kit/subgraph-env';
import type { IdentityProvider } from './outside-users.ts';

/** The configuration of Users; every variable with its meaning. */
export function readUsersConfig() {
  const config = readEnv({
    ...subgraphEnv,
    ...producerEnv,
    ADMIN_EMAIL: str({ default: undefined, desc: 'the first admin, made when there is no active one' }),
    ADMIN_PASSWORD: str({ default: undefined, desc: 'the first admin’s password' }),
    PASSWORD_MIN_LENGTH: wholeNumber(1)({ default: 12, desc: 'characters that a new password needs' }),
    KEY_ROTATION_DAYS: wholeNumber(1)({ default: 30, desc: 'how old a signing key gets' }),
    SIGN_IN_FAILURES_PER_ACCOUNT: wholeNumber(1)({ default: 10, desc: 'failed sign-ins of one account within 15 minutes' }),
    SIGN_IN_FAILURES_PER_ADDRESS: wholeNumber(1)({ default: 100, desc: 'failed sign-ins from one address within 15 minutes' }),
    OIDC_ISSUER: url({ default: undefined, desc: 'an identity provider whose tokens are accepted beside ours' }),
    OIDC_AUDIENCE: str({ default: undefined, desc: '`aud` of its tokens that are meant for this system' }),
    OIDC_ROLES_CLAIM: str({ default: 'roles', desc: 'the claim of its tokens that lists a user’s roles' }),
    OIDC_ROLE_NAMES: namedValues({ default: new Map(), desc: 'what its roles are called here: name=ADMIN,name=MANAGER' }),
  });
  if (config.OIDC_ISSUER !== undefined && config.OIDC_AUDIENCE === undefined) {
    throw new ConfigurationError('OIDC_AUDIENCE: is missing, set it to the audience that the tokens of OIDC_ISSUER name for this system');
  }
  return config;
}

/** The identity provider beside ours, if there is one. */
export function identityProviderOf(config: ReturnType<typeof readUsersConfig>): IdentityProvider | undefined {
  const { OIDC_ISSUER: issuer, OIDC_AUDIENCE: audience, OIDC_ROLES_CLAIM: rolesClaim, OIDC_ROLE_NAMES: roleNames } = config;
  return issuer === undefined || audience === undefined ? undefined : { issuer, audience, rolesClaim, roleNames };
}
