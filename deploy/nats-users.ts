import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorizationText, OPERATOR, serviceUsers } from '../scripts/nats-access.ts';

const FIRST_LINE = '# Made from scripts/nats-access.ts; after a change there:   sh scripts/run.sh --without-nats deploy/nats-users.ts';

/** What deploy/nats.conf includes: all users, their passwords by the names that deploy/make-env.sh gives them. */
export function natsUsersConf(): string {
  const passwordOf = (user: string): string => `$NATS_${user.toUpperCase()}_PASSWORD`;
  return `${FIRST_LINE}\n${authorizationText([{ name: OPERATOR, password: passwordOf(OPERATOR) }, ...serviceUsers(passwordOf)])}`;
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, 'nats-users.conf'), natsUsersConf());
