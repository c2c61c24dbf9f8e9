import { str, num, readEnv } from '@ates/service-kit/env';
import { producerEnv, subgraphEnv } from '@ates/service-kit/subgraph-env';

/** The configuration of Users; every variable with its meaning. */
export function readUsersConfig() {
  return readEnv({
    ...subgraphEnv,
    ...producerEnv,
    ADMIN_EMAIL: str({ default: undefined, desc: 'the first admin, made when there is no user yet' }),
    ADMIN_PASSWORD: str({ default: undefined, desc: 'the first admin’s password' }),
    PASSWORD_MIN_LENGTH: num({ default: 12, desc: 'characters that a new password needs' }),
  });
}
