import type { Database } from '@ates/service-kit/database';
import { connectionOf, pageOf, type Connection, type PageArguments } from '@ates/service-kit/connection';
import { batchLoader, type Loader } from '@ates/service-kit/loader';
import type { Role, UserStatus } from '@ates/shared-events/user-events';
import { UserEntity, type UserRow } from './user.entity.ts';

export interface UserFilter {
  readonly role?: Role | null;
  readonly status?: UserStatus | null;
}

/** What may be shown of a user. */
export type PublicUser = Pick<UserRow, 'id' | 'version' | 'name' | 'email' | 'roles' | 'status'>;

/** Users by id, one statement for all that an operation asks for at once. */
export function userLoader(database: Database): Loader<string, PublicUser | null> {
  return batchLoader(
    (ids) => database.sql<PublicUser>('select id, version, name, email, roles, status from users where id = any($1::uuid[])', [ids]),
    ({ id }) => id,
    (user) => user ?? null,
  );
}

/** A page of users in the order in which they were made. */
export async function listUsers(
  database: Database,
  filter: UserFilter,
  pageArguments: PageArguments,
): Promise<Connection<UserRow> & { readonly totalCount: () => Promise<number> }> {
  const page = pageOf(pageArguments);
  const matching = {
    ...(filter.role && { roles: { $contains: [filter.role] } }),
    ...(filter.status && { status: filter.status }),
  };
  const rows = await database.fork().find(
    UserEntity,
    { ...matching, ...(page.after && { id: { $gt: page.after[0] as string } }) },
    { orderBy: { id: 'asc' }, limit: page.limit + 1 },
  );
  return { ...connectionOf(rows, page, ({ id }) => [id]), totalCount: () => database.fork().count(UserEntity, matching) };
}
