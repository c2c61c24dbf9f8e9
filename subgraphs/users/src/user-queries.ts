import type { Database } from '@ates/service-kit/database';
import { connectionOf, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import { isId } from '@ates/service-kit/identifiers';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import type { Role, UserStatus } from '@ates/shared-events/user-events';
import type { Denial, SignInMethod } from './sign-in.ts';
import type { UserRow } from './user.entity.ts';

export interface UserFilter {
  readonly role?: Role | null;
  readonly status?: UserStatus | null;
  /** A part of the name, or of the e-mail for those who may see e-mails, without case. */
  readonly text?: string | null;
}

/** What may be shown of a user. */
export type PublicUser = Pick<UserRow, 'id' | 'version' | 'name' | 'email' | 'roles' | 'status'>;

/** An attempt to sign in that was decided. */
export interface SignInAttempt {
  readonly id: string;
  readonly userId: string | null;
  readonly method: SignInMethod;
  readonly deniedBecause: Denial | null;
  readonly attemptedAt: Date;
  readonly clientAddress: string | null;
}

const COLUMNS = 'id, version, name, email, roles, status';

const MATCHING = `($1::text is null or roles @> array[$1]) and ($2::text is null or status = $2)
  and ($3::text is null or name ilike $3 or ($4 and email ilike $3))`;

/** Users by id, one statement for all that an operation asks for at once. */
export function userLoader(database: Database): Loader<string, PublicUser | null> {
  return batchLoader(
    (ids) => database.sql<PublicUser>(`select ${COLUMNS} from users where id = any($1::uuid[])`, [ids]),
    ({ id }) => id,
    (user) => user ?? null,
  );
}

/** A page of users in the order in which they were made. */
export async function listUsers(
  database: Database,
  { filter, seesEmails }: { readonly filter: UserFilter; readonly seesEmails: boolean },
  pageArguments: PageArguments,
): Promise<Connection<PublicUser> & { readonly totalCount: () => Promise<number> }> {
  const page = pageOf(pageArguments);
  const text = filter.text?.trim();
  const matching = [filter.role ?? null, filter.status ?? null, text ? `%${text.replace(/[\\%_]/g, '\\$&')}%` : null, seesEmails];
  const rows = await database.sql<PublicUser>(
    `select ${COLUMNS} from users where ${MATCHING} and ($5::uuid is null or id > $5) order by id limit $6`,
    [...matching, page.after?.[0] ?? null, page.limit + 1],
  );
  return {
    ...connectionOf(rows, page, ({ id }) => [id]),
    totalCount: async () => (await database.sql<{ count: number }>(`select count(*)::int as count from users where ${MATCHING}`, matching))[0]?.count ?? 0,
  };
}

/** A page of attempts to sign in, newest first; those of one user, or all. */
export async function listSignInAttempts(database: Database, userId: string | null, pageArguments: PageArguments): Promise<Connection<SignInAttempt>> {
  const page = pageOf(pageArguments);
  if (userId !== null && !isId(userId)) return connectionOf([], page, () => []);
  // Their ids are UUIDv7: in the order of time.
  const rows = await database.sql<SignInAttempt>(
    `select id, user_id as "userId", method, denied_because as "deniedBecause", attempted_at as "attemptedAt", client_address as "clientAddress"
     from sign_in_attempts where ($1::uuid is null or user_id = $1) and ($2::uuid is null or id < $2) order by id desc limit $3`,
    [userId, page.after?.[0] ?? null, page.limit + 1],
  );
  return connectionOf(rows, page, ({ id }) => [id]);
}
